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
    """All findings of an id at once where that mends them all, for a part that stands twenty times has twenty; else one by one.

    Errors come first: a misspelt key or kind may be what a trap misses, and would be written twice. What could not be mended is
    tried once more when others have been: a key may have stood in its way.
    """
    draft, done = Draft(text), list[Finding]()
    findings = validate(text, release, place)
    tried: set[tuple[str, str, str]] = set()
    alone: set[str] = set()
    before = 0
    while len(done) < MOST:
        waiting = [found for found in findings if found.id in MENDS and _name(found) not in tried]
        if not waiting and len(done) == before:
            break
        if not waiting:
            before = len(done)
            tried.clear()
            continue
        id_ = next((found.id for found in waiting if found.severity == "error"), waiting[0].id)
        batch = [found for found in waiting if found.id == id_][: 1 if id_ in alone else MOST - len(done)]
        after, mended = _together(draft, batch, release, place)
        fresh = validate(after.text, release, place) if mended else findings
        if mended and all(_better(findings, fresh, one) for one in mended):
            draft, findings = after, fresh
            done += mended
        elif len(batch) > 1:
            alone.add(id_)
            continue
        tried |= {_name(one) for one in batch}
    return draft.text, done


def _together(draft: Draft, batch: list[Finding], release: str, place: Place) -> tuple[Draft, list[Finding]]:
    """The draft with findings mended one after the other, and those that could be."""
    mended: list[Finding] = []
    for one in batch:
        try:
            draft = MENDS[one.id](Task(draft, one, release, place))
        except CannotEdit:
            continue
        mended.append(one)
    return draft, mended


def _name(found: Finding) -> tuple[str, str, str]:
    return found.id, found.field, found.message


def _better(before: tuple[Finding, ...], after: tuple[Finding, ...], mended: Finding) -> bool:
    """Whether the finding is gone. What was hidden behind it may show itself."""
    first, then = (Counter(map(_name, every)) for every in (before, after))
    same_id = [sum(one.id == mended.id for one in every) for every in (before, after)]
    return then[_name(mended)] < first[_name(mended)] and (same_id[1] < same_id[0] or mended.severity == "error")
