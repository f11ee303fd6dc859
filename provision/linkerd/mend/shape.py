"""Mends what linkerd refuses: keys and kinds of other releases or misspelt, flags that are missing, values that have one meaning."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

from provision.linkerd.check import nearest
from provision.linkerd.knowledge.schema import Family, Key
from provision.linkerd.knowledge.versions import number
from provision.linkerd.knowledge.walk import Chosen, Used, walk
from provision.linkerd.mend.moves import moved, protocol, renamed_kind
from provision.linkerd.mend.task import Task, location
from provision.linkerd.text.edit import Draft

NEAR = 0.84
"""How alike a misspelt key has to be: one letter of six. The validator names keys that are less alike, but does not write them."""

_SLIPPED = re.compile(r"it has slipped out of (\S+)$")

SHORTEST = 5
"""Letters that a key's beginning needs to stand for the key, such as smoothWin of linkerd's own documentation."""


def unknown_key(task: Task) -> Draft:
    """A key of another release gets that release's place and name, a misspelt one its own; one that is gone without loss goes."""
    used = next(
        (one for one in walk(task.draft.root, task.release) if isinstance(one, Used) and one.at == task.at), None
    )
    if used is None:
        raise task.refuse("the knowledge does not lead there")
    name, known = str(task.at[-1]), used.object.at(task.release)
    slipped = _SLIPPED.search(task.finding.message)
    if slipped is not None:
        return task.draft.move(task.at, (*location(slipped[1]), name))
    past = [key for key in used.object.ever(name) if key.until and number(key.until) <= number(task.release)]
    if past:
        return moved(task.draft, task.at, past[-1])
    own = _predecessor(name, known.values()) or _misspelt(name, known, task)
    if not own:
        raise task.refuse("no key of this release means the same")
    return task.draft.rename(task.at, own)


def _predecessor(name: str, known: Iterable[Key]) -> str:
    """What a later key was called in a release."""
    return next((key.name for key in known if key.becomes == name), "")


def _misspelt(name: str, known: Iterable[str], task: Task) -> str:
    missing = [key for key in known if key not in task.draft.names(task.at[:-1])]
    longer = [key for key in missing if len(name) >= SHORTEST and key.startswith(name)]
    if len(longer) == 1:
        return longer[0]
    return next(iter(difflib.get_close_matches(name, missing, n=1, cutoff=NEAR)), "")


def unknown_kind(task: Task) -> Draft:
    """The id of another release, or a misspelt one, becomes this release's."""
    at = task.at[:-1]
    chosen = next(
        (one for one in walk(task.draft.root, task.release) if isinstance(one, Chosen) and one.at == at), None
    )
    if chosen is None:
        raise task.refuse("the knowledge does not lead there")
    if ": that is a " in task.finding.message:
        raise task.refuse("it is a kind of something else")
    own = _own_id(chosen.family, chosen.id, protocol(task.draft, at), task)
    if own not in chosen.family.at(task.release):
        raise task.refuse("no kind of this release is meant for certain")
    return task.draft.replace((*at, chosen.family.selector), own)


def _own_id(family: Family, id_: str, protocol: str, task: Task) -> str:
    past = [kind for kind in family.ever(id_) if kind.becomes]
    if past:
        return renamed_kind(past[-1].becomes, protocol)
    kinds = family.at(task.release).values()
    before = [kind.id for kind in kinds if kind.becomes and renamed_kind(kind.becomes, protocol or "http") == id_]
    if before or family.ever(id_):
        return next(iter(before), "")
    return nearest(id_, family.at(task.release))


def experimental(task: Task) -> Draft:
    """The flag without which linkerd refuses what is written."""
    at = (*task.at, "experimental")
    return task.draft.replace(at, True) if task.draft.written(at) else task.draft.put(at, True)


def address(task: Task) -> Draft:
    """`localhost` where an address has to stand."""
    node = task.draft.find(task.at)
    if node is None or node.value != "localhost":
        raise task.refuse("which address is meant is not known")
    return task.draft.replace(task.at, "127.0.0.1")


def cache(task: Task) -> Draft:
    """A cache of no size."""
    return task.draft.replace(task.at, 1000)


def no_identifier(task: Task) -> Draft:
    """An empty list of identifiers: without one linkerd takes its default."""
    return task.draft.remove(task.at)


MENDS: dict[str, Callable[[Task], Draft]] = {
    **dict.fromkeys(("ML304", "ML305", "ML306", "ML307", "ML308"), unknown_key),
    "ML309": unknown_kind,
    "ML315": address,
    **dict.fromkeys(("ML318", "ML319", "ML320"), experimental),
    "ML326": no_identifier,
    "ML328": cache,
}
