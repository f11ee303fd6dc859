"""A configuration as nodes with positions, read as linkerd reads it: YAML, or JSON when it begins with `{`."""

from __future__ import annotations

import gc
import operator
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import yaml
from yaml import MappingNode, ScalarNode, SequenceNode

Location = tuple[str | int, ...]

DEEPEST = 500
"""Collections within collections that are read. linkerd's own stack ends somewhere above."""

REMEMBERED = 100_000
"""Values whose tags are kept from one text to the next."""

NULL = "tag:yaml.org,2002:null"
INT = "tag:yaml.org,2002:int"
FLOAT = "tag:yaml.org,2002:float"
BOOL = "tag:yaml.org,2002:bool"
TEXT = "tag:yaml.org,2002:str"

ALIAS = "*"
"""The style of a scalar that stands for an alias: no other node has it."""

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), NULL),
    **{
        form: BOOL
        for word in ("yes", "no", "true", "false", "on", "off")
        for form in (word, word.title(), word.upper())
    },
}
_NUMBERS = (
    # What SnakeYAML 1.15 calls a whole number is one to Jackson 2.8 when it has digits only, and a text otherwise.
    (re.compile(r"-?(?:0[0-7]*|[1-9][0-9]*)"), INT),
    (re.compile(r"[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(?::[0-5]?[0-9])+)"), TEXT),
    (
        re.compile(
            r"[-+]?(?:[0-9_]+(?:\.[0-9_]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
        FLOAT,
    ),
)


@cache
def _resolve(kind: type[yaml.Node], value: str | None, implicit: tuple[bool, bool]) -> str:
    """The tag of a node that has none, as linkerd's parser takes it. Quickly: libyaml asks for every node.

    That is SnakeYAML 1.15 and what Jackson 2.8 makes of it: `on` and `yes` are true, `1e3` and `09` are fractions, and `+5`, `1_0` and
    `0x10` are texts. Unbounded within a text, as a cache that forgets is slower than none on one with more values than it holds.
    """
    if kind is ScalarNode and value is not None and implicit[0]:
        if value.isdecimal() and value.isascii() and value[0] != "0":
            return INT
        if value[:1] in _NUMERIC:
            return next((tag for pattern, tag in _NUMBERS if pattern.fullmatch(value)), TEXT)
        return _WORDS.get(value, TEXT)
    return TEXT


_NUMERIC = frozenset("+-.0123456789")


_Loader = type(
    "_Loader",
    (getattr(yaml, "CSafeLoader", yaml.SafeLoader),),
    {
        "resolve": staticmethod(_resolve),
        # libyaml calls both at every node. There are no path resolvers, and the cheapest thing to call is a builtin.
        "descend_resolver": operator.is_,
        "ascend_resolver": tuple,
    },
)


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
    """The node tree of the first document, which is all that linkerd reads; None of an empty file. Raises Unreadable.

    An alias is a text: the name of its anchor. linkerd's parser hands on no more of it.
    """
    if _may_alias(text) and not _is_json(text):
        with _readable(text):
            _check_nesting(text)
            return _First(text).node()
    return next(iter(_composed(text, 1)), None)


def compose_all(text: str) -> list[yaml.Node]:
    """The node trees of the documents of a text, as other programs read them: an alias is what its anchor holds. Raises Unreadable."""
    return _composed(text, None)


def _composed(text: str, most: int | None) -> list[yaml.Node]:
    if _is_json(text):
        return [_json(text)]
    with _readable(text):
        _check_nesting(text)
        return list(islice(_documents(text), most))


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] == "{"


_ALIAS = re.compile(r"(?:^|[\s\[{,])\*[^\s,\[\]{}]")


def _may_alias(text: str) -> bool:
    """Whether an alias may stand in a text; dtabs have `*` behind `/`."""
    return "*" in text and _ALIAS.search(text) is not None


@contextmanager
def _readable(text: str) -> Iterator[None]:
    """The parser's exceptions as Unreadable."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise Unreadable(" ".join(filter(None, (error.context, error.problem))), line, column) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(f"the character {error.character!r} is not allowed: {error.reason}", line, 1) from error
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(str(error), 1, 1) from error
    except RecursionError as error:
        raise Unreadable("nested too deeply", 1, 1) from error


class _First:
    """The first document of a text out of its events, aliases as texts: libyaml's own composer would resolve them."""

    def __init__(self, text: str) -> None:
        self.events: Iterator[Any] = iter(
            yaml.parse(text, Loader=_Loader)
        )  # whose types say nothing of tags and styles

    def node(self) -> yaml.Node | None:
        """The root. Raises yaml.YAMLError, Unreadable."""
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                return self._node(next(self.events))
        return None

    def _node(self, event: Any) -> yaml.Node:
        begin = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            return ScalarNode(TEXT, event.anchor, begin, event.end_mark, style=ALIAS)  # type: ignore[arg-type]
        if isinstance(event, yaml.ScalarEvent):
            tag = event.tag if event.tag not in (None, "!") else _resolve(ScalarNode, event.value, event.implicit)
            return ScalarNode(tag, event.value, begin, event.end_mark, style=event.style)  # type: ignore[arg-type]
        if isinstance(event, yaml.SequenceStartEvent):
            found, last = self._many(yaml.SequenceEndEvent)
            return SequenceNode(event.tag or TEXT, found, begin, last.end_mark, flow_style=event.flow_style)
        found, last = self._many(yaml.MappingEndEvent)
        for key in found[::2]:
            if getattr(key, "style", None) == ALIAS:
                place = spot(key)
                raise Unreadable("Expected a field name (Scalar value in YAML), got an alias", place.line, place.column)
        pairs = list(zip(found[::2], found[1::2], strict=True))
        return MappingNode(event.tag or TEXT, pairs, begin, last.end_mark, flow_style=event.flow_style)

    def _many(self, end: type[yaml.Event]) -> tuple[list[yaml.Node], Any]:
        found: list[yaml.Node] = []
        while not isinstance(event := next(self.events), end):
            found.append(self._node(event))
        return found, event


def _check_nesting(text: str) -> None:
    """Refuses what nests so deeply that libyaml's recursion would not come back. Looks closely only where that may be."""
    flow = text.count("[") + text.count("{")
    if flow + 2 * max(map(len, text.split("\n"))) <= DEEPEST:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            mark = event.start_mark
            raise Unreadable("nested too deeply", *((mark.line + 1, mark.column + 1) if mark else (1, 1)))


@contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection: it would look over a tree of nodes again and again while that grows."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _documents(text: str) -> Iterator[yaml.Node]:
    if _resolve.cache_info().currsize > REMEMBERED:
        _resolve.cache_clear()
    loader = _Loader(text)
    try:
        while loader.check_node():
            node: yaml.Node | None = loader.get_node()
            if node is not None:
                yield node
    finally:
        loader.dispose()


def _json(text: str) -> yaml.Node:
    from provision.linkerd.text.jsonnodes import BadJson, compose_json, json_end  # most are YAML

    try:
        end = json_end(text)
        # JSON is YAML, nearly: libyaml reads it ten times as fast, and knows no tabs and no surrogates.
        return _as_yaml(text[:end]) or compose_json(text)
    except BadJson as error:
        line = text.count("\n", 0, error.offset) + 1
        raise Unreadable(error.message, line, error.offset - text.rfind("\n", 0, error.offset)) from error


def _as_yaml(text: str) -> yaml.Node | None:
    try:
        return None if "\t" in text else next(_documents(text), None)
    except yaml.YAMLError:
        return None


def spot(node: yaml.Node) -> Spot:
    """Where a node begins."""
    mark = node.start_mark
    return Spot(mark.line + 1, mark.column + 1) if mark else Spot(1, 1)


def is_null(node: yaml.Node) -> bool:
    """An empty or null scalar, which linkerd takes for a key left out."""
    return bool(node.tag == NULL)


def scalar(node: yaml.Node) -> str | None:
    """The text of a scalar, None of anything else."""
    value: str | None = node.value if isinstance(node, ScalarNode) else None
    return value


def get(node: yaml.Node | None, name: str) -> yaml.Node | None:
    """The value of a key, the last one where it stands twice; None when there is none."""
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if key.value == name and value.tag != NULL:
                found: yaml.Node = value
                return found
    return None


def fields(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """The values of a mapping by key, as `get` finds them one by one; empty for anything else."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return {key.value: value for key, value in pairs if value.tag != NULL and isinstance(key, yaml.ScalarNode)}


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
    found = ""
    for step in location:
        found += f"[{step}]" if isinstance(step, int) else f".{step}" if found else str(step)
    return found


class Inside:
    """The places of a scalar's characters: exact in literal blocks and in one-liners, the scalar's beginning elsewhere."""

    def __init__(self, node: yaml.Node, lines: Sequence[str]) -> None:
        text, style = scalar(node) or "", getattr(node, "style", None)
        self.begin = spot(node)
        self.block = style == "|"
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]
        inside = next((row for row in lines[self.begin.line :] if row.strip()), "") if self.block else ""
        self.indent = len(inside) - len(inside.lstrip(" ")) if self.block else 1 if style else 0

    def spot(self, offset: int) -> Spot:
        """Where the character at an offset stands."""
        if self.block:
            line = bisect_right(self.starts, offset) - 1
            return Spot(self.begin.line + 1 + line, offset - self.starts[line] + 1 + self.indent)
        one_line = len(self.starts) == 1
        return Spot(self.begin.line, self.begin.column + self.indent + offset) if one_line else self.begin
