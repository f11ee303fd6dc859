"""A configuration's way from one release to the next one, or back: what the knowledge says of that step, as changes of a text.

Forward, what is no longer known goes where the knowledge says that it went. Back, it comes from where it would go. What has no
other place stays, and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import yaml

from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.schema import Family, Key, Kind, Object
from provision.linkerd.knowledge.versions import number
from provision.linkerd.knowledge.walk import Chosen, Used, walk
from provision.linkerd.mend import (
    flattened,
    moved,
    protocol,
    renamed_kind,
    spread,
    target,
    unflattened,
)
from provision.linkerd.text import Location, is_null, scalar, text_of
from provision.linkerd.text.edit import CannotEdit, Draft


class Step(NamedTuple):
    """From one release to its neighbour, which may be the one before it."""

    source: str
    target: str

    @property
    def forward(self) -> bool:
        """Whether the target is the later one."""
        return number(self.source) < number(self.target)

    @property
    def later(self) -> str:
        """The release that made the difference."""
        return self.target if self.forward else self.source

    def when(self, why: str) -> str:
        """A reason; on the way back it is one of the release that is left."""
        return why if self.forward else f"new in {self.later}: {why}"


@dataclass(frozen=True)
class Action:
    """One change to make: where, what it does in words, why, and how; `edit` raises CannotEdit."""

    at: Location
    what: str
    why: str
    edit: Callable[[Draft], Draft]


def actions(draft: Draft, step: Step) -> Iterator[Action]:
    """What this step has to change in a text, the innermost first: what a kind means is known while the kind is as it was."""
    nodes = list(walk(draft.root, step.source))
    for one in reversed(nodes):
        yield from _of_kind(draft, one, step) if isinstance(one, Chosen) else _of_key(draft, one, step)
    if not step.forward:
        yield from _returning(draft, step)
        return
    for chosen in nodes:  # last: what stands beside them moves with them, once it is where it belongs
        yield from _spreading(chosen, step) if isinstance(chosen, Chosen) else ()


def strangers(draft: Draft, source: str, target: str) -> Iterator[tuple[Location, str]]:
    """Where a text for `target` still holds keys and kinds that it does not know and `source` did, with when they are there."""
    for one in walk(draft.root, target):
        if isinstance(one, Chosen):
            times: list[Kind] | list[Key] = one.family.ever(one.id)
            at: Location = (*one.at, one.family.selector)
        else:
            times, at = one.object.ever(str(one.at[-1])), one.at
        if any(time.known(source) for time in times) and not any(time.known(target) for time in times):
            name = one.id if isinstance(one, Chosen) else str(one.at[-1])
            yield at, f"{name} is there {' and '.join(_there(time) for time in times)}"


def _there(time: Key | Kind) -> str:
    return f"from {time.since}{f' to before {time.until}' if time.until else ''}"


def _spreading(chosen: Chosen, step: Step) -> Iterator[Action]:
    kind = chosen.family.at(step.source).get(chosen.id)
    how = kind.spread if kind is not None and not kind.known(step.target) else None
    if kind is not None and how is not None:
        what = f"{kind.id} becomes configs by prefix"
        yield Action(chosen.at, what, step.when(kind.why), lambda draft: spread(draft, chosen.at, how))


def _of_key(draft: Draft, used: Used, step: Step) -> Iterator[Action]:
    key, name = used.key, str(used.at[-1])
    others = [one for one in used.object.ever(name) if one.known(step.target)]
    if key is None or key in others:
        return
    if others:
        yield from (_listed if step.forward else _of_form)(draft, used.at, others[0], step)
        return
    if step.forward:
        what = f"becomes {_plainly(key.becomes)}" if key.becomes else "is taken out"
        yield Action(used.at, what, step.when(key.why or key.gone), lambda draft: moved(draft, used.at, key))
    elif key.unneeded:
        yield Action(used.at, "is taken out", key.unneeded, lambda draft: draft.remove(used.at))
    elif _is_default(draft, used, step):
        why = step.when("there is a choice; this is what it is before")
        yield Action(used.at, "is taken out", why, lambda draft: draft.remove(used.at))


def _listed(draft: Draft, at: Location, after: Key, step: Step) -> Iterator[Action]:
    """A key of another form since: a list, where one value was enough."""
    node = draft.find(at)
    value = scalar(node) if node is not None else None
    if after.type[0] == "[" and value is not None:
        why = step.when("linkerd reads a list here")
        yield Action(at, "becomes a list", why, lambda draft: draft.replace(at, [value]))


def _of_form(draft: Draft, at: Location, before: Key, step: Step) -> Iterator[Action]:
    """A key of another form before: of kinds, which other keys say since."""
    family = KNOWLEDGE.families.get(before.type.removeprefix("@")) if before.type[0] == "@" else None
    kinds = [one for one in family.at(step.target).values() if one.flat is not None] if family else []
    for kind in sorted(kinds, key=lambda one: -len(one.flat or ())):
        flat = kind.flat or ()
        if (
            family
            and not draft.written((*at, family.selector))
            and all(draft.says((*at, name), value) for name, value in flat)
        ):
            why, selector = step.when(kind.why), (*at, family.selector)
            what = f"is given {family.selector}: {kind.id}"
            yield Action(at, what, why, lambda draft: unflattened(draft, selector, kind.id, flat))  # noqa: B023 - returns
            return


def _is_default(draft: Draft, used: Used, step: Step) -> bool:
    """Whether a key only says which kind an object has, and the earlier release has no other."""
    kinds = {
        family.default
        for family in KNOWLEDGE.families.values()
        for kind in family.at(step.source).values()
        if kind.object == used.object.name and family.selector == used.at[-1]
    }
    node = draft.find(used.at)
    return node is not None and scalar(node) in kinds


def _plainly(becomes: str) -> str:
    return becomes.removeprefix("^.").removesuffix("[]")


def _of_kind(draft: Draft, chosen: Chosen, step: Step) -> Iterator[Action]:
    kind = chosen.family.at(step.source).get(chosen.id)
    if kind is None:
        return
    at = (*chosen.at, chosen.family.selector)
    if kind.known(step.target):
        flag = (*chosen.at, "experimental")
        if kind.needs_flag(step.target) and not kind.needs_flag(step.source) and not draft.says(flag, True):
            why = f"before {step.later} {kind.id} is experimental"
            yield Action(chosen.at, "is given experimental: true", why, lambda draft: _flagged(draft, flag))
        return
    if step.forward:
        yield from _kind_forward(draft, chosen, kind, at, step)
    else:
        yield from _kind_back(draft, chosen, at, step)


def _flagged(draft: Draft, at: Location) -> Draft:
    return draft.replace(at, True) if draft.written(at) else draft.put(at, True)


def _kind_forward(draft: Draft, chosen: Chosen, kind: Kind, at: Location, step: Step) -> Iterator[Action]:
    if kind.flat is not None:
        flat = kind.flat
        says = ", ".join(f"{name}: {str(value).lower()}" for name, value in flat)
        yield Action(
            at,
            f"becomes {says}" if says else "is taken out",
            step.when(kind.why),
            lambda draft: flattened(draft, at, flat),
        )
    elif kind.becomes:
        what = f"{kind.id} becomes {kind.becomes.replace('{protocol}', protocol(draft, at))}"
        yield Action(at, what, step.when(kind.why), lambda draft: _renamed(draft, at, kind))
    elif kind.spread is None and not _moves_with_its_list(chosen, step):
        yield Action(
            at, f"{kind.id} goes", step.when(kind.why), _refusing(at, kind.instead or "nothing means the same")
        )


def _renamed(draft: Draft, at: Location, kind: Kind) -> Draft:
    return draft.replace(at, renamed_kind(kind.becomes, protocol(draft, at)))


def _moves_with_its_list(chosen: Chosen, step: Step) -> bool:
    """Whether another family has the id in the later release, which the list's own move leads to: Zipkin, a tracer once."""
    return any(
        chosen.id in family.at(step.target) and family.at(step.target)[chosen.id].object == kind.object
        for family in KNOWLEDGE.families.values()
        for kind in chosen.family.ever(chosen.id)
        if family.name != chosen.family.name
    )


def _kind_back(draft: Draft, chosen: Chosen, at: Location, step: Step) -> Iterator[Action]:
    before = _id_before(chosen, protocol(draft, at), step)
    place = _list_before(chosen, step)
    if before is not None:
        what = f"{chosen.id} becomes {before.id}"
        yield Action(at, what, step.when(before.why), lambda draft: draft.replace(at, before.id))
    elif place is not None:
        to: Location = (place.name,)
        what = f"{chosen.id} becomes one of {place.name}"
        yield Action(chosen.at, what, step.when(place.why), lambda draft: draft.move_item(chosen.at, to))


def _id_before(chosen: Chosen, protocol: str, step: Step) -> Kind | None:
    kinds = chosen.family.at(step.target).values()
    return next((one for one in kinds if one.becomes and one.becomes.format(protocol=protocol) == chosen.id), None)


def _list_before(chosen: Chosen, step: Step) -> Key | None:
    """The list at the top in which a plugin stood before its list took it up."""
    for key in KNOWLEDGE.objects["linker"].keys:
        family = KNOWLEDGE.families.get(key.type.strip("[]").removeprefix("@"))
        taken = key.becomes == chosen.at[0] and key.until == step.later
        if taken and family is not None and chosen.id in family.at(step.target):
            return key
    return None


def _refusing(at: Location, why: str) -> Callable[[Draft], Draft]:
    def edit(_draft: Draft) -> Draft:
        raise CannotEdit(f"{text_of(at)}: {why}")

    return edit


def _returning(draft: Draft, step: Step) -> Iterator[Action]:
    """What the earlier release has in another place, or under another name."""
    unknown = {one.at for one in walk(draft.root, step.target) if isinstance(one, Used) and one.key is None}
    homes: dict[Location, list[tuple[Location, Key]]] = {}
    for at, object_ in _objects(draft.root, step.target):
        for key in object_.keys:
            if key.until == step.later and key.becomes and key.known(step.target):
                to = target((*at, key.name), key.becomes.removesuffix("[]"))
                if draft.written(to) and any(to[:depth] in unknown for depth in range(1, len(to) + 1)):
                    homes.setdefault(to, []).append(((*at, key.name), key))
    for source, places in homes.items():
        what = f"becomes {' and '.join(_from(place, source) for place, _key in places)}"
        yield Action(source, what, step.when(places[0][1].why), _back(source, places))


def _from(place: Location, source: Location) -> str:
    """A place as said from the router, or whatever the two have in common."""
    common = 0
    while place[: common + 1] == source[: common + 1]:
        common += 1
    return text_of(place[common:])


def _back(source: Location, places: list[tuple[Location, Key]]) -> Callable[[Draft], Draft]:
    def edit(draft: Draft) -> Draft:
        for place, _key in places[1:]:
            draft = draft.copy(source, place)
        place, key = places[0]
        if key.becomes.endswith("[]"):
            return draft.unlist(source, place)
        return draft.rename(source, key.name) if place[:-1] == source[:-1] else draft.move(source, place)

    return edit


def _objects(root: yaml.Node, release: str) -> Iterator[tuple[Location, Object]]:
    """Every object that a release would read, written or not; of plugins and lists those that are written."""
    yield from _object(KNOWLEDGE.objects["linker"], root, (), release)


def _object(object_: Object, node: yaml.Node | None, at: Location, release: str) -> Iterator[tuple[Location, Object]]:
    yield at, object_
    written = {scalar(key): value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
    for key in object_.at(release).values():
        yield from _value(key.type.removeprefix("1+"), written.get(key.name), (*at, key.name), release)


def _value(type_: str, node: yaml.Node | None, at: Location, release: str) -> Iterator[tuple[Location, Object]]:
    if node is not None and not isinstance(node, yaml.MappingNode | yaml.SequenceNode) and not is_null(node):
        return
    if type_[0] == ".":
        yield from _object(KNOWLEDGE.objects[type_[1:]], node, at, release)
    elif type_[0] == "@" and (node is None or isinstance(node, yaml.MappingNode)):
        object_ = _chosen(KNOWLEDGE.families[type_[1:]], node, release)
        if object_ is not None:
            yield from _object(object_, node, at, release)
    elif type_[0] == "[" and isinstance(node, yaml.SequenceNode):
        for index, one in enumerate(node.value):
            yield from _value(type_[1:-1], one, (*at, index), release)


def _chosen(family: Family, node: yaml.MappingNode | None, release: str) -> Object | None:
    pairs = node.value if node is not None else ()
    written = next((scalar(value) for key, value in pairs if scalar(key) == family.selector), None)
    kind = family.at(release).get(written or family.default or "")
    return None if kind is None else KNOWLEDGE.objects[kind.object]
