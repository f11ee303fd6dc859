"""Mends the mechanical findings of a linkerd.yaml: by id, a function that changes the text. Whatever it cannot mend safely is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from provision.linkerd.check import Finding, validate
from provision.linkerd.knowledge.place import ANYWHERE, Place
from provision.linkerd.mend import shape as mend_shape
from provision.linkerd.mend import traps as mend_traps
from provision.linkerd.mend.task import Task
from provision.linkerd.mend.within import Inner, rewritten
from provision.linkerd.text.edit import CannotEdit, Draft

Mend = Callable[[Task], Draft]

MENDS: Mapping[str, Mend] = MappingProxyType({**mend_shape.MENDS, **mend_traps.MENDS})
"""What mends the findings of an id."""

MOST = 500
"""Changes to one file. Each mends one finding; a file with more is left half done and can be mended again."""


@dataclass(frozen=True)
class Mended:
    """A text after mending: what was mended, in order, and every finding that is left."""

    text: str
    done: tuple[Finding, ...]
    left: tuple[Finding, ...]


def mend(text: str, release: str, place: Place = ANYWHERE) -> Mended:
    """Mends one finding after the other until nothing mends itself any more; in a Kubernetes manifest too. Line ends stay as they are."""
    done: list[Finding] = []

    def change(inner: Inner) -> str:
        fresh, mended = _mended(inner.text, release, inner.place)
        done[:0] = mended if inner.block is None else [inner.block.outside(found) for found in mended]
        return fresh

    fresh = rewritten(text, place, change)
    return Mended(fresh, tuple(done), validate(fresh, release, place))


def _mended(text: str, release: str, place: Place) -> tuple[str, list[Finding]]:
    draft, done = Draft(text), list[Finding]()
    findings = validate(text, release, place)
    tried: set[tuple[str, str, str]] = set()
    while len(done) < MOST:
        one = next((found for found in findings if found.id in MENDS and _name(found) not in tried), None)
        if one is None:
            break
        tried.add(_name(one))
        try:
            after = MENDS[one.id](Task(draft, one, release, place))
        except CannotEdit:
            continue
        fresh = validate(after.text, release, place)
        if _better(findings, fresh, one):
            draft, findings = after, fresh
            done.append(one)
    return draft.text, done


def _name(found: Finding) -> tuple[str, str, str]:
    return found.id, found.field, found.message


def _better(before: tuple[Finding, ...], after: tuple[Finding, ...], mended: Finding) -> bool:
    """Whether the finding is gone. What was hidden behind it may show itself."""
    first, then = (Counter(map(_name, every)) for every in (before, after))
    same_id = [sum(one.id == mended.id for one in every) for every in (before, after)]
    return then[_name(mended)] < first[_name(mended)] and (same_id[1] < same_id[0] or mended.severity == "error")
