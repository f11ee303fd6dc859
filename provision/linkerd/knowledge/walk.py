"""Every key and every chosen kind of a configuration, each with what the knowledge has on it. For changes; what is wrong, shape says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
    known = object_.at(release)
    for key, value in node.value:
        name = scalar(key) or ""
        if name in known or name != selector:
            yield Used((*at, name), object_, known.get(name))
        if name in known:
            yield from _value(known[name].type, value, (*at, name), release)


def _plugin(family: Family, node: yaml.MappingNode, at: Location, release: str) -> Iterator[Used | Chosen]:
    written = next((scalar(value) for key, value in node.value if scalar(key) == family.selector), None)
    id_ = written or family.default
    if id_ is None:
        return
    if written:
        yield Chosen(at, family, written)
    times = family.ever(id_)
    kind = family.at(release).get(id_) or (times[0] if times else None)
    if kind is not None:
        yield from _object(KNOWLEDGE.objects[kind.object], node, at, release, family.selector)
