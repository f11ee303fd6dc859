"""A configuration as nodes with positions, read as linkerd reads it: YAML, or JSON when it begins with `{`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import yaml

from provision.linkerd.jsonnodes import BadJson, compose_json

Location = tuple[str | int, ...]


class Unreadable(ValueError):
    """Not YAML at all: message, line and column from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


@dataclass(frozen=True, order=True)
class Spot:
    """A place in the file, counted from 1."""

    line: int
    column: int


def compose(text: str) -> yaml.Node | None:
    """The node tree of the first document, which is all that linkerd reads; None of an empty file. Raises Unreadable."""
    return next(iter(compose_all(text, most=1)), None)


def compose_all(text: str, most: int | None = None) -> list[yaml.Node]:
    """The node trees of the documents of a text, the first `most` of them. Raises Unreadable."""
    if text.lstrip()[:1] == "{":
        return [_json(text)]
    try:
        return list(islice(_documents(text), most))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise Unreadable(" ".join(filter(None, (error.context, error.problem))), line, column) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(f"the character {error.character!r} is not allowed: {error.reason}", line, 1) from error
    except (yaml.YAMLError, ValueError) as error:
        raise Unreadable(str(error), 1, 1) from error
    except RecursionError as error:
        raise Unreadable("nested too deeply", 1, 1) from error


def _documents(text: str) -> Iterator[yaml.Node]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        while loader.check_node():
            node: yaml.Node | None = loader.get_node()
            if node is not None:
                yield node
    finally:
        loader.dispose()


def _json(text: str) -> yaml.Node:
    try:
        return compose_json(text)
    except BadJson as error:
        line = text.count("\n", 0, error.offset) + 1
        raise Unreadable(error.message, line, error.offset - text.rfind("\n", 0, error.offset)) from error


def spot(node: yaml.Node) -> Spot:
    """Where a node begins."""
    mark = node.start_mark
    return Spot(mark.line + 1, mark.column + 1) if mark else Spot(1, 1)


def is_null(node: yaml.Node) -> bool:
    """An empty or null scalar, which linkerd takes for a key left out."""
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def scalar(node: yaml.Node) -> str | None:
    """The text of a scalar, None of anything else."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None


def get(node: yaml.Node | None, name: str) -> yaml.Node | None:
    """The value of a key, the last one where it stands twice; None when there is none."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in reversed(node.value) if scalar(key) == name and not is_null(value)), None)


def find(node: yaml.Node | None, *names: str) -> yaml.Node | None:
    """The value behind keys within keys, None when it is not there."""
    for name in names:
        node = get(node, name)
    return node


def text(node: yaml.Node | None, *names: str) -> str | None:
    """The text of a scalar behind keys within keys, None when there is none."""
    found = find(node, *names)
    return None if found is None else scalar(found)


def items(node: yaml.Node | None) -> list[yaml.Node]:
    """The items of a list, nothing of anything else."""
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def text_of(location: Location) -> str:
    """`routers[0].client.tls`."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def within(node: yaml.Node, offset: int, lines: Sequence[str]) -> Spot:
    """The place of an offset of a scalar: exact in literal blocks and in one-liners, the scalar's beginning elsewhere."""
    begin, text = spot(node), scalar(node) or ""
    line, column = text.count("\n", 0, offset), offset - (text.rfind("\n", 0, offset) + 1)
    if getattr(node, "style", None) == "|":
        inside = next((row for row in lines[begin.line :] if row.strip()), "")
        return Spot(begin.line + 1 + line, column + 1 + len(inside) - len(inside.lstrip(" ")))
    quoted = 1 if getattr(node, "style", None) else 0
    return Spot(begin.line, begin.column + quoted + offset) if "\n" not in text else begin
