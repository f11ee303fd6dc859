"""totals SECONDS FILE…: the sum of several pytest runs, from their JUnit files, as pytest itself would say it.

Ends with 1 when a test failed, or was skipped: a skipped test proves nothing.
"""

import sys
from collections import Counter

from lxml import etree

KINDS = {"failures": "failed", "errors": "errors", "skipped": "skipped"}


def count(path: str) -> Counter[str]:
    """What one file says, in pytest's words."""
    found: Counter[str] = Counter()
    for suite in etree.parse(path).getroot().iter("testsuite"):
        bad = {word: int(suite.get(key, "0")) for key, word in KINDS.items()}
        found += Counter({"passed": int(suite.get("tests", "0")) - sum(bad.values()), **bad})
    return found


total = sum((count(path) for path in sys.argv[2:]), Counter())
words = [f"{total[word]} {word}" for word in ("failed", "passed", "skipped", "errors") if total[word]]
print(f" all tests: {', '.join(words) or 'none'} in {int(sys.argv[1])}s ".center(100, "="))
sys.exit(1 if total["failed"] or total["errors"] or total["skipped"] or not total["passed"] else 0)
