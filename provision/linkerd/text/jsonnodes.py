"""JSON as nodes with positions: linkerd takes a file that begins with `{` for JSON, strictly, and for YAML only otherwise."""

from __future__ import annotations

import json
import re
from bisect import bisect_right

import yaml

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")
_WHOLE = re.compile(r"-?[0-9]+")
_TAGS = {"t": "bool", "f": "bool", "n": "null"}

DEEPEST = 200
"""Brackets within brackets; a configuration has a dozen."""


class BadJson(ValueError):
    """Not JSON: what is wrong, and the offset in the text."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message, self.offset = message, offset


def compose_json(text: str) -> yaml.Node:
    """The first value of a text. What follows it is not read, as linkerd does not. Raises BadJson."""
    return _Reader(text).value(0)


def json_end(text: str) -> int:
    """The offset behind the first value. Raises BadJson."""
    start = len(text) - len(text.lstrip())
    try:
        return json.JSONDecoder(parse_constant=_constant).raw_decode(text, start)[1]
    except json.JSONDecodeError as error:
        compose_json(text)  # says it better
        raise BadJson(error.msg, error.pos) from error
    except RecursionError as error:
        raise BadJson("nested too deeply", start) from error
    except ValueError as error:
        raise BadJson(str(error), start) from error


def _constant(name: str) -> object:
    raise ValueError(f"{name} is no value of JSON")


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.index = 0
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def value(self, depth: int) -> yaml.Node:
        self._space()
        if depth > DEEPEST:
            raise BadJson("nested too deeply", self.index)
        match self._peek():
            case "{":
                return self._object(depth)
            case "[":
                return self._list(depth)
            case '"':
                return self._string()
            case _:
                return self._plain()

    def _object(self, depth: int) -> yaml.Node:
        start = self._mark()
        pairs: list[tuple[yaml.Node, yaml.Node]] = []
        self.index += 1
        while not self._ends("}", first=not pairs):
            key = self._string()
            self._space()
            self._eat(":")
            pairs.append((key, self.value(depth + 1)))
        return yaml.MappingNode("tag:yaml.org,2002:map", pairs, start, self._mark(), flow_style=True)

    def _list(self, depth: int) -> yaml.Node:
        start = self._mark()
        found: list[yaml.Node] = []
        self.index += 1
        while not self._ends("]", first=not found):
            found.append(self.value(depth + 1))
        return yaml.SequenceNode("tag:yaml.org,2002:seq", found, start, self._mark(), flow_style=True)

    def _ends(self, bracket: str, *, first: bool) -> bool:
        """Whether the bracket closes here; else a comma has to stand before what is next, and space is passed."""
        self._space()
        if self._peek() == bracket:
            self.index += 1
            return True
        if not first:
            self._eat(",")
            self._space()
        return False

    def _string(self) -> yaml.ScalarNode:
        found, start = _STRING.match(self.text, self.index), self._mark()
        if found is None:
            raise self._unexpected('a text in "')
        try:
            value = json.loads(found.group())
        except ValueError:
            raise BadJson("an escape that JSON does not have", self.index) from None
        self.index = found.end()
        return yaml.ScalarNode("tag:yaml.org,2002:str", value, start, self._mark(), style='"')

    def _plain(self) -> yaml.ScalarNode:
        found, start = _PLAIN.match(self.text, self.index), self._mark()
        if found is None:
            raise self._unexpected("a value")
        self.index = found.end()
        number = "int" if _WHOLE.fullmatch(found.group()) else "float"
        kind = _TAGS.get(found.group()[0], number)
        return yaml.ScalarNode(f"tag:yaml.org,2002:{kind}", found.group(), start, self._mark())

    def _mark(self) -> yaml.Mark:
        line = bisect_right(self.starts, self.index) - 1
        return yaml.Mark("", self.index, line, self.index - self.starts[line], None, 0)

    def _space(self) -> None:
        found = _SPACE.match(self.text, self.index)
        self.index = found.end() if found else self.index

    def _peek(self) -> str:
        return self.text[self.index : self.index + 1]

    def _eat(self, char: str) -> None:
        if self._peek() != char:
            raise self._unexpected(f"'{char}'")
        self.index += 1

    def _unexpected(self, wanted: str) -> BadJson:
        have = f"'{self._peek()}'" if self._peek() else "the end"
        return BadJson(
            f"Unexpected character: {have} where {wanted} should be (a file that begins with {{ is JSON)", self.index
        )
