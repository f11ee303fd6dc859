"""Keys that stand twice: linkerd takes one of them, or from 1.0.1 on refuses the file."""

from __future__ import annotations

from collections.abc import Iterator

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.knowledge.twice import Counting
from provision.linkerd.text import Location, scalar, spot


def findings(root: Node, counts: Counting | None) -> Iterator[Finding]:
    """Keys that stand twice in a mapping. `counts` is None where a release refuses them."""
    waiting: list[tuple[Node, Location]] = [(root, ())]
    while waiting:
        node, at = waiting.pop()
        if isinstance(node, SequenceNode):
            waiting += [(item, (*at, index)) for index, item in enumerate(node.value)]
        elif isinstance(node, MappingNode):
            if _distinct(node) < len(node.value):
                yield from _duplicates(node, at, counts)
            waiting += [(value, (*at, scalar(key) or "?")) for key, value in node.value]


def repeats(root: Node) -> bool:
    """Whether a mapping has a key twice."""
    waiting = [root]
    for node in waiting:  # which grows meanwhile
        if node.__class__ is MappingNode:
            if _distinct(node) < len(node.value):
                return True
            waiting += [value for _key, value in node.value if value.__class__ is not ScalarNode]
        elif node.__class__ is SequenceNode:
            waiting += [value for value in node.value if value.__class__ is not ScalarNode]
    return False


def _distinct(node: MappingNode) -> int:
    """How many keys a mapping has. Those that are collections, which linkerd refuses anyway, count as one."""
    try:
        return len({key.value for key, _value in node.value})
    except TypeError:
        return len({*_names(node)})


def _names(node: MappingNode) -> list[str]:
    return [key.value if isinstance(key, ScalarNode) else "?" for key, _value in node.value]


def _duplicates(node: MappingNode, at: Location, counts: Counting | None) -> Iterator[Finding]:
    seen: dict[str, list[Node]] = {}
    for (key, value), name in zip(node.value, _names(node), strict=True):
        before = seen.setdefault(name, [])
        if before:
            line = spot(before[0]).line
            yield _refused(key, (*at, name), line) if counts is None else _taken(key, value, (*at, name), line, counts)
        before += [value] if before else [key, value]


def _refused(key: Node, at: Location, line: int) -> Finding:
    fragment = f"Duplicate field '{at[-1]}'"
    return found("ML346", key, at, f"stands in line {line} already", fragment, severity="error")


def _taken(key: Node, value: Node, at: Location, line: int, counts: Counting) -> Finding:
    if id(value) in counts.refused:
        message = f"stands in line {line} already, and chose the class there: here it is an unknown key"
        return found("ML346", key, at, message, f'Unrecognized field "{at[-1]}"', severity="error")
    which = "first" if id(value) in counts.lost else "last"
    message = f"stands in line {line} already: linkerd takes the {which} one and says nothing"
    return found("ML346", key, at, message, "", severity="trap")
