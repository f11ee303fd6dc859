"""totals SECONDS FILE…: the sum of several pytest runs, from their JUnit files, as pytest itself would say it.

What failed is named once more, with the end of what it said: of a run of an hour only the end is looked at.
Ends with 1 when a test failed, or was skipped: a skipped test proves nothing.
"""

import sys
from collections import Counter
from collections.abc import Iterator

from lxml import etree

KINDS = {"failures": "failed", "errors": "errors", "skipped": "skipped"}
# How much is said of each test that failed, and of how many: enough for a traceback's end, little enough to stay within a page or two.
LINES, TOLD = 15, 6


def count(path: str) -> Counter[str]:
    """What one file says, in pytest's words."""
    found: Counter[str] = Counter()
    for suite in etree.parse(path).getroot().iter("testsuite"):
        bad = {word: int(suite.get(key, "0")) for key, word in KINDS.items()}
        found += Counter({"passed": int(suite.get("tests", "0")) - sum(bad.values()), **bad})
    return found


def failures(path: str) -> Iterator[str]:
    """Each test of one file that failed or was skipped: its name, and the end of what it said."""
    for case in etree.parse(path).getroot().iter("testcase"):
        for told in case:
            if told.tag in ("failure", "error", "skipped"):
                end = (told.text or told.get("message", "")).splitlines()[-LINES:]
                yield "\n".join(
                    [f"{told.tag}: {case.get('classname')}::{case.get('name')}", *(f"    {line}" for line in end)]
                )


total = sum((count(path) for path in sys.argv[2:]), Counter())
told = [each for path in sys.argv[2:] for each in failures(path)]
print("\n".join([*told[:TOLD], *(each.splitlines()[0] for each in told[TOLD:])]))
words = [f"{total[word]} {word}" for word in ("failed", "passed", "skipped", "errors") if total[word]]
print(f" all tests: {', '.join(words) or 'none'} in {int(sys.argv[1])}s ".center(100, "="))
sys.exit(1 if total["failed"] or total["errors"] or total["skipped"] or not total["passed"] else 0)
