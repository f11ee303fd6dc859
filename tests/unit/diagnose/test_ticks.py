"""What ticks see, and what they say that they do not, are all findings together."""

from __future__ import annotations

import re

from provision.diagnose import UNSEEN
from provision.diagnose.pages import BY_ID
from tests.unit.house.rooms import ROOT


def ids(text: str) -> set[str]:
    """Those that a text names, one by one or from the one to the other."""
    ranges = re.findall(r"MD(\d+) to\s+MD(\d+)", text)
    inside = {f"MD{n}" for first, last in ranges for n in range(int(first), int(last) + 1)}
    return (inside | set(re.findall(r"MD\d+", text))) & set(BY_ID)


def test_every_finding_is_seen_or_said_to_be_unseen() -> None:
    page = (ROOT / "docs" / "watch.md").read_text()
    seen = ids(page[page.index("**Findings**") : page.index("`meshctl explain")])
    assert seen | ids(UNSEEN) == set(BY_ID)
    assert not seen & ids(UNSEEN)
