"""Changes that the knowledge describes, made in a text: a key that another one replaces, one that is gone, a kind with a new id."""

from __future__ import annotations

from provision.linkerd.knowledge.schema import Key, Spread
from provision.linkerd.text import Location, scalar, text_of
from provision.linkerd.text.edit import CannotEdit, Draft
from provision.linkerd.text.plain import Plain, Scalar


def target(at: Location, becomes: str) -> Location:
    """Where a key goes: `becomes` as in schema.Key, seen from the mapping in which the key stands."""
    place = at[:-1]
    for step in becomes.split("."):
        place = around(place) if step == "^" else (*place, step)
    return place


def around(at: Location) -> Location:
    """The mapping around a mapping, which may be an item of its list."""
    return at[:-2] if at and isinstance(at[-1], int) else at[:-1]


def moved(draft: Draft, at: Location, key: Key) -> Draft:
    """A key where its successor is, or taken out when it needs none. Raises CannotEdit."""
    if not key.becomes:
        if not key.gone:
            raise CannotEdit(f"nothing takes the place of {text_of(at)}")
        return draft.remove(at)
    to = target(at, key.becomes.removesuffix("[]"))
    if key.becomes.endswith("[]"):
        return draft.enlist(at, to)
    if draft.written(to):
        return _joined(draft, at, to)
    if any(draft.written((*to[:depth], "configs")) for depth in range(len(at), len(to))):
        raise CannotEdit(f"{text_of(to[:-1])} has configs: one of them has to hold {to[-1]}")
    if to[:-1] == at[:-1]:
        return draft.rename(at, str(to[-1]))
    return draft.move(at, to, after="client")


def _joined(draft: Draft, at: Location, to: Location) -> Draft:
    """The successor is there already: lists are put together, equal values are one."""
    if draft.length(at) and draft.length(to):
        return _together(draft, at, to)
    if draft.meaning(at) == draft.meaning(to):
        return draft.remove(at)
    raise CannotEdit(f"{text_of(at)} and {text_of(to)} say different things")


def _together(draft: Draft, at: Location, to: Location) -> Draft:
    """Two lists as one, with nothing in it twice. Two of one kind that say different things would both be at work: those stay."""
    have = [draft.meaning((*to, index)) for index in range(draft.length(to))]
    kinds = [one.get("kind") for one in have if isinstance(one, dict)]
    for index in reversed(range(draft.length(at))):
        one = draft.meaning((*at, index))
        if one in have:
            draft = draft.remove((*at, index)) if draft.length(at) > 1 else draft.remove(at)
        elif isinstance(one, dict) and one.get("kind") in kinds:
            raise CannotEdit(f"{text_of(at)} and {text_of(to)} have the same kind with different settings")
    return draft.move_items(at, to) if draft.length(at) else draft


def flattened(draft: Draft, selector: Location, says: tuple[tuple[str, bool], ...]) -> Draft:
    """An object without its kind: other keys say what the kind said. Raises CannotEdit."""
    for name, value in says:
        draft = draft.put((*selector[:-1], name), value, after=str(selector[-1]))
    return draft.remove(selector)


def unflattened(draft: Draft, selector: Location, id_: str, says: tuple[tuple[str, bool], ...]) -> Draft:
    """The reverse of `flattened`. Raises CannotEdit."""
    names = draft.names(selector[:-1])
    draft = draft.put(selector, id_, before=names[0] if names else "")
    for name, _value in says:
        draft = draft.remove((*selector[:-1], name))
    return draft


def spread(draft: Draft, at: Location, how: Spread) -> Draft:
    """An object with items by prefix, as configs by prefix of the mapping around it; what else that holds is for all. Raises CannotEdit."""
    around, (name, wanted) = at[:-1], how.only
    node = draft.find((*at, name))
    if node is None or (scalar(node) or "").lower() != wanted:
        raise CannotEdit(how.otherwise)
    if draft.written((*around, "configs")):
        raise CannotEdit(f"{text_of(around)} has configs already")
    shared: dict[str, Plain] = {}
    for old, new in how.shared:
        if draft.written((*at, old)):
            value = draft.meaning((*at, old))
            shared[new.removesuffix("[]")] = [value] if new.endswith("[]") else value
    configs = [
        _config(draft, (*at, how.items, index), str(at[-1]), how, shared)
        for index in range(draft.length((*at, how.items)))
    ]
    others = [key for key in draft.names(around) if key != at[-1]]
    draft = draft.put((*around, "configs"), [{"prefix": "/"}] if others else [], after=str(at[-1])).remove(at)
    for key in others:
        draft = draft.move((*around, key), (*around, "configs", 0, key))
    for config in configs:
        draft = draft.add((*around, "configs"), config)
    return draft.put((*around, "kind"), "io.l5d.static", before="configs")


def _config(draft: Draft, at: Location, name: str, how: Spread, shared: dict[str, Plain]) -> Plain:
    own = {new: draft.meaning((*at, old)) for old, new in how.item_keys if draft.written((*at, old))}
    return {"prefix": draft.meaning((*at, "prefix")), name: {**own, **shared}}


def protocol(draft: Draft, at: Location) -> str:
    """The protocol of the router in which a place is."""
    if at[:1] != ("routers",) or not draft.written((*at[:2], "protocol")):
        return ""
    found = draft.meaning((*at[:2], "protocol"))
    return found.text if isinstance(found, Scalar) else ""


def renamed_kind(becomes: str, protocol: str) -> str:
    """The new id of a kind; for a router's protocol, where the id holds it. Raises CannotEdit where that protocol has none."""
    if "{protocol}" in becomes and protocol not in ("http", "h2"):
        raise CannotEdit(f"{protocol or 'this place'} has no such kind")
    return becomes.replace("{protocol}", protocol)
