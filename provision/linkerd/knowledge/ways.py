"""Whether what one release has under a name has a place in another one too: what `mesh migrate` does, as far as the knowledge says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.schema import Key, Kind
from provision.linkerd.knowledge.versions import RELEASES, number

PROTOCOLS = tuple(kind.id for kind in KNOWLEDGE.families["router"].kinds)


def before(release: str) -> str:
    """The release before one; the first one itself."""
    return RELEASES[max(RELEASES.index(release) - 1, 0)]


@cache
def has_place(name: str, source: str, target: str) -> bool:
    """Whether a key or kind called so in a release has a place in another one, or is not needed there."""
    return _comes_back(name, target) if number(source) > number(target) else _goes_on(name, target)


def _goes_on(name: str, target: str) -> bool:
    moved = any(key.becomes or key.gone for key in _keys() if key.name == name and not key.known(target))
    kinds = [kind for kind in _kinds() if kind.id == name and not kind.known(target)]
    selects = any(family.selector == name and _flat(family.kinds) for family in KNOWLEDGE.families.values())
    return moved or selects or _flat(kinds) or any(kind.becomes or kind.spread for kind in kinds)


def _flat(kinds: list[Kind] | tuple[Kind, ...]) -> bool:
    """Whether keys alone say later what a kind said."""
    return any(kind.flat is not None for kind in kinds)


def _comes_back(name: str, target: str) -> bool:
    if any(key.unneeded for key in _keys() if key.name == name):
        return True
    steps = (key.becomes.replace("[]", "").split(".") for key in _keys() if key.becomes and key.known(target))
    known = [kind for kind in _kinds() if kind.known(target)]
    ids = {kind.becomes.replace("{protocol}", protocol) for kind in known for protocol in PROTOCOLS}
    later = {kind.object for kind in _kinds() if kind.id == name and not kind.known(target)}
    same = later & {kind.object for kind in known if kind.id == name}
    return any(name in step for step in steps) or name in ids or bool(same)


def _keys() -> Iterator[Key]:
    return (key for thing in KNOWLEDGE.objects.values() for key in thing.keys)


def _kinds() -> Iterator[Kind]:
    return (kind for family in KNOWLEDGE.families.values() for kind in family.kinds)
