"""Where the parts of a configuration stand in its text: offsets of nodes, of lines, and of comments, which no node holds."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

_COMMENT = re.compile(r"(?:(?<=\s)|^)#[^\n]*", re.MULTILINE)


def start(node: yaml.Node) -> int:
    """Where a node begins."""
    return int(node.start_mark.index)


def is_block(node: yaml.Node) -> bool:
    """Whether a mapping or list is written in lines, without brackets."""
    return isinstance(node, yaml.CollectionNode) and not node.flow_style


def end(node: yaml.Node, text: str) -> int:
    """Where a node's own text ends, without the space and comments behind it."""
    if isinstance(node, yaml.ScalarNode):
        stop = int(node.end_mark.index)
        return start(node) + len(text[start(node) : stop].rstrip()) if node.style in ("|", ">") else stop
    if not is_block(node):
        return int(node.end_mark.index)
    return end(_last(node), text)


def _last(node: yaml.Node) -> yaml.Node:
    last: yaml.Node = node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1]
    return last


def scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Every scalar below a node, keys too."""
    if isinstance(node, yaml.ScalarNode):
        yield node
    for child in node.value if not isinstance(node, yaml.ScalarNode) else ():
        for part in child if isinstance(child, tuple) else (child,):
            yield from scalars(part)


def comments(node: yaml.Node, text: str, begin: int, stop: int) -> list[str]:
    """The comments of a stretch of the text; `node` is what the text was read to."""
    taken = [(start(one), int(one.end_mark.index)) for one in scalars(node) if start(one) < stop]
    found = _COMMENT.finditer(text, begin, stop)
    return [one.group().rstrip() for one in found if not any(low <= one.start() < high for low, high in taken)]


def line_start(text: str, offset: int) -> int:
    """The beginning of the line of an offset."""
    return text.rfind("\n", 0, offset) + 1


def line_end(text: str, offset: int) -> int:
    """The end of the line of an offset, before its newline."""
    found = text.find("\n", offset)
    return len(text) if found < 0 else found


def column(text: str, offset: int) -> int:
    """How far an offset is from the beginning of its line."""
    return offset - line_start(text, offset)


def comments_above(text: str, offset: int) -> int:
    """Where the lines of comment begin that stand right above a line and as far in; the line's own beginning when there are none."""
    begin, indent = line_start(text, offset), " " * column(text, offset) + "#"
    while begin > 0 and text.startswith(indent, line_start(text, begin - 1)):
        begin = line_start(text, begin - 1)
    return begin


def shifted(lines: str, old: int, new: int) -> str:
    """Lines moved from one column to another; the first one has no indentation yet and is given the new one."""
    first, *rest = lines.split("\n")
    moved = [line[old:] if not line[:old].strip() else line.lstrip() for line in rest]
    return "\n".join(" " * new + line if line.strip() else "" for line in (first, *moved))
