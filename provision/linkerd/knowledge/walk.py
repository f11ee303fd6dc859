"""Every key and every chosen kind of a configuration, each with what the knowledge has on it. For changes; what is wrong, shape says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import yaml

from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.schema import Family, Key, Object
from provision.linkerd.text import Location, is_null, scalar

DEEPEST = 60
"""As in shape."""


@dataclass(frozen=True)
class Used:
    """A key as it is used; `key` is None where the release does not know it."""

    at: Location
    object: Object
    key: Key | None


@dataclass(frozen=True)
class Chosen:
    """The kind of a plugin as it is written, known to the release or not; `at` is the plugin."""

    at: Location
    family: Family
    id: str


def walk(root: yaml.Node, release: str) -> Iterator[Used | Chosen]:
    """Keys and kinds in the order of the file, as far down as the release's knowledge leads."""
    yield from _value(".linker", root, (), release)


def _value(type_: str, node: yaml.Node, at: Location, release: str) -> Iterator[Used | Chosen]:
    if len(at) > DEEPEST or is_null(node):
        return
    if type_.startswith("1+"):
        type_ = f"[{type_[2:]}]" if isinstance(node, yaml.SequenceNode) else type_[2:]
    if type_[0] == "[" and isinstance(node, yaml.SequenceNode):
        for index, one in enumerate(node.value):
            yield from _value(type_[1:-1], one, (*at, index), release)
    elif type_[0] == "." and isinstance(node, yaml.MappingNode):
        yield from _object(KNOWLEDGE.objects[type_[1:]], node, at, release, None)
    elif type_[0] == "@" and isinstance(node, yaml.MappingNode):
        yield from _plugin(KNOWLEDGE.families[type_[1:]], node, at, release)


def _object(
    object_: Object, node: yaml.MappingNode, at: Location, release: str, selector: str | None
) -> Iterator[Used | Chosen]:
    known = _keys(object_.name, release)
    for key, value in node.value:
        name = scalar(key) or ""
        if name in known or name != selector:
            yield Used((*at, name), object_, known.get(name))
        if name in known:
            yield from _value(known[name].type, value, (*at, name), release)


def _plugin(family: Family, node: yaml.MappingNode, at: Location, release: str) -> Iterator[Used | Chosen]:
    written = _written(family, node)
    if written:
        yield Chosen(at, family, written)
    thing = _meant(family.name, written or family.default, release)
    if thing is not None:
        yield from _object(thing, node, at, release, family.selector)


def reads(root: yaml.Node, at: Location, release: str) -> bool:
    """Whether a release reads a key at this place of a file: what `walk` says of it, without going through all the rest."""
    type_, node = ".linker", root
    for depth, step in enumerate(at):
        if isinstance(step, int):
            if not isinstance(node, yaml.SequenceNode) or step >= len(node.value) or type_[:1] not in ("[", "1"):
                return False
            type_, node = type_.removeprefix("1+").removeprefix("[").removesuffix("]"), node.value[step]
            continue
        type_ = type_.removeprefix("1+")
        if not isinstance(node, yaml.MappingNode) or type_[0] not in ".@":
            return False
        thing: Object | None = KNOWLEDGE.objects[type_[1:]] if type_[0] == "." else None
        if type_[0] == "@":
            family = KNOWLEDGE.families[type_[1:]]
            if step == family.selector and depth == len(at) - 1:
                return True
            thing = _meant(family.name, _written(family, node) or family.default, release)
        key = None if thing is None else _keys(thing.name, release).get(step)
        below = next((value for name, value in reversed(node.value) if scalar(name) == step), None)
        if key is None or below is None:
            return False
        type_, node = key.type, below
    return True


def _written(family: Family, node: yaml.MappingNode) -> str | None:
    return next((scalar(value) for key, value in node.value if scalar(key) == family.selector), None)


@cache
def _meant(family: str, id_: str | None, release: str) -> Object | None:
    """What a kind's mapping is read into; of a kind that the release does not have, what other releases read it into."""
    times = KNOWLEDGE.families[family].ever(id_) if id_ is not None else []
    kind = next((one for one in times if one.known(release)), times[0] if times else None)
    return None if kind is None else KNOWLEDGE.objects[kind.object]


@cache
def _keys(thing: str, release: str) -> dict[str, Key]:
    return KNOWLEDGE.objects[thing].at(release)
