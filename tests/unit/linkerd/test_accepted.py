"""Configurations in the manner of those that linkerd published: accepted by every release that they are for, and by no other.

Each file begins with the releases: `# linkerd: 0.9.0 … 1.7.5`. Traps are allowed: the published ones are full of them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from provision.linkerd.check.validate import validate
from provision.linkerd.knowledge.versions import FIRST, LAST, RELEASES

FOLDER = Path(__file__).parents[2] / "data" / "linkerd" / "accepted"
FILES = sorted(FOLDER.iterdir())


def releases(path: Path) -> tuple[str, ...]:
    """The releases that a file is for; JSON has no comments and is for all."""
    found = re.match(r"# linkerd: (\S+) … (\S+)", path.read_text())
    first, last = found.groups() if found else (FIRST, LAST)
    return RELEASES[RELEASES.index(first) : RELEASES.index(last) + 1]


CASES = [(path, release) for path in FILES for release in RELEASES]


@pytest.mark.parametrize(("path", "release"), CASES, ids=lambda value: value.stem if isinstance(value, Path) else value)
def test_it_is_accepted_by_its_releases_alone(path: Path, release: str) -> None:
    errors = [found.shown(path.name) for found in validate(path.read_text(), release) if found.severity == "error"]
    if release in releases(path):
        assert errors == []
    else:
        assert errors


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_has_some(release: str) -> None:
    assert sum(release in releases(path) for path in FILES) >= 3
