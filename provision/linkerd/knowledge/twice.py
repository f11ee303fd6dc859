"""Which one counts of keys that stand twice in a mapping: before 1.0.1 Jackson is not told to refuse them.

The last one sets what is a parameter of the constructor. Everything else is kept until the object is made, and set from the last to the
first, so that the first one counts; what is read when it is made already is set at once. Of `kind` and `protocol` the first one chooses
the class.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import yaml

from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.schema import Family, Object
from provision.linkerd.knowledge.versions import number
from provision.linkerd.text import is_null, scalar

STRICT = (1, 0, 1)
"""The first release that refuses keys that stand twice."""

_DEEPEST = 60


class Counting(NamedTuple):
    """The tree without what does not count, and the identities of the nodes that do not: nothing uses them."""

    root: yaml.Node
    lost: frozenset[int]
    refused: frozenset[int]
    """Of these the ones that are no keys of the class that the first one chose."""


def counting(root: yaml.Node, release: str) -> Counting:
    """What a release takes of a tree in which keys stand twice."""
    walk = _Walk(release)
    return Counting(walk.value(".linker", root, 0), frozenset(walk.lost), frozenset(walk.refused))


def _made(object_: Object | None, known: Collection[str], names: list[str]) -> int:
    """How many keys are read until the object is made: when it has all parameters of its constructor, or at the end."""
    waiting = set() if object_ is None else {name for name in known if name not in object_.first}
    for index, name in enumerate(names):
        waiting.discard(name)
        if not waiting and name in known and object_ is not None and name not in object_.first:
            return index
    return len(names)


class _Walk:
    def __init__(self, release: str) -> None:
        self.release = release
        self.lost: set[int] = set()
        self.refused: set[int] = set()
        self.tree = False

    def value(self, type_: str, node: yaml.Node, depth: int) -> yaml.Node:
        if depth > _DEEPEST or is_null(node):
            return node
        if type_.startswith("1+"):
            type_ = f"[{type_[2:]}]" if isinstance(node, yaml.SequenceNode) else type_[2:]
        if type_[0] == "[" and isinstance(node, yaml.SequenceNode):
            found = [self.value(type_[1:-1], one, depth + 1) for one in node.value]
            return yaml.SequenceNode(node.tag, found, node.start_mark, node.end_mark, flow_style=node.flow_style)
        if not isinstance(node, yaml.MappingNode) or type_[0] not in ".@":
            return node
        if type_[0] == ".":
            return self.object(KNOWLEDGE.objects[type_[1:]], None, node, depth)
        return self.plugin(KNOWLEDGE.families[type_[1:]], node, depth)

    def plugin(self, family: Family, node: yaml.MappingNode, depth: int) -> yaml.Node:
        written = [scalar(value) for key, value in node.value if scalar(key) == family.selector]
        id_ = (written[-1 if family.tree else 0] if written else None) or family.default or ""
        kind = family.at(self.release).get(id_)
        before, self.tree = self.tree, self.tree or family.tree
        found = self.object(None if kind is None else KNOWLEDGE.objects[kind.object], family, node, depth)
        self.tree = before
        return found

    def object(self, object_: Object | None, family: Family | None, node: yaml.MappingNode, depth: int) -> yaml.Node:
        known = {} if object_ is None else object_.at(self.release)
        names = [scalar(key) or "?" for key, _value in node.value]
        made = _made(object_, known, names)
        places: dict[str, int] = {}
        for index, name in enumerate(names):
            chooses = family is not None and name == family.selector
            kept = object_ is not None and name in object_.first and index < made
            if name not in places or self.tree or not (chooses or kept):
                places[name] = index
        pairs = []
        for index, (key, value) in enumerate(node.value):
            name = scalar(key) or "?"
            if places[name] != index:
                self.lost.add(id(value))
                if family is not None and name == family.selector == "kind" and not self.tree and not family.default:
                    self.refused.add(id(value))
            elif name in known:
                pairs.append((key, self.value(known[name].type, value, depth + 1)))
            else:
                pairs.append((key, value))
        return yaml.MappingNode(node.tag, pairs, node.start_mark, node.end_mark, flow_style=node.flow_style)


def strict(release: str) -> bool:
    """Whether a release refuses keys that stand twice."""
    return number(release) >= STRICT
