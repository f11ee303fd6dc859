"""Strict YAML with positions: the node tree, its values, and everything that YAML itself makes ambiguous.

Only `true` and `false` are booleans, only plain decimals are numbers. What other YAML readers take for something
else than the text that stands there (`no`, `010`, `52:54:00:12:34:56`) is a problem; so are duplicate keys and aliases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from yaml.events import AliasEvent

from provision.base.errors import Problem

Location = tuple[str | int, ...]

TAG = "tag:yaml.org,2002:"


class Alias(yaml.ScalarNode):
    """Stands where the file has an alias; `value` is the anchor's name. Constructed, it is None."""


class StrictLoader(yaml.SafeLoader):
    """YAML 1.2's core schema, narrowed: true/false, null, decimal integers and fractions; all else is text. Tags are not read."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own form

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node. Aliases are never followed: no loop and no billion laughs."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]
            return Alias(f"{TAG}null", event.anchor, event.start_mark, event.end_mark)
        if getattr(event, "tag", None) not in (None, "!", *(f"{TAG}{kind}" for kind in ("str", "map", "seq"))):
            message = f"there is no constructor for the tag {event.tag!r}"
            raise yaml.constructor.ConstructorError(None, None, message, event.start_mark)
        return super().compose_node(parent, index)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        r"""A scalar's text, halves of surrogate pairs (`"\ud800"`) written out: no encoding has them. `characters` refuses them."""
        text: str = super().construct_scalar(node)
        return text if text.isascii() else text.encode(errors="backslashreplace").decode()


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"0|-?[1-9][0-9]*", "-0123456789"),
    ("float", r"-?(?:0|[1-9][0-9]*)\.[0-9]+", "-0123456789"),
):
    StrictLoader.add_implicit_resolver(f"{TAG}{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))

LONGEST_NUMBER = 20
"""Digits of 2⁶⁴: whatever has more is no number of anything, and Python refuses to read one of 4,300."""

LONGEST_MESSAGE = 400
"""Characters of a message: it shows what stands there, which may be a whole file."""

TRAPS = (
    ("a truth value", re.compile(r"y|yes|n|no|true|false|on|off", re.IGNORECASE), "write true or false"),
    ("nothing", re.compile(r"null", re.IGNORECASE), "write null"),
    ("a number to the base of 60", re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), ""),
    ("an octal number", re.compile(r"[-+]?0o?[0-7_]+"), "write it without leading zeros"),
    ("a hexadecimal number", re.compile(r"[-+]?0x[0-9a-fA-F_]+"), "write it in decimals"),
    ("a binary number", re.compile(r"[-+]?0b[01_]+"), "write it in decimals"),
    (
        "a number",
        re.compile(r"[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9_]+)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", re.IGNORECASE),
        "write it as plain decimals",
    ),
    ("a date", re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?"), ""),
    ("a default value", re.compile(r"="), ""),
)
"""Plain scalars that YAML 1.1 readers (PyYAML, Ansible, most editors) take for something else: what, and how to say that."""


@dataclass
class Document:
    """The node tree of a file, its values, and the problems found so far."""

    file: str
    text: str = ""
    root: yaml.Node | None = None
    value: Any = None
    problems: list[Problem] = field(default_factory=list)
    faulty: set[Location] = field(default_factory=set)
    """Where a problem of YAML stands: what the model says of the value there would only repeat it."""

    @property
    def folder(self) -> Path:
        """Where relative paths in the file begin."""
        return Path(self.file).resolve().parent if self.file != "-" else Path.cwd()

    def path(self, text: str) -> Path:
        """The file that a text of the inventory names. Raises ValueError, with a hint, for the home of a user who is none."""
        try:
            return self.folder / Path(text).expanduser()
        except RuntimeError as error:
            raise ValueError(f"{text}: whose home is that?\nwrite the path from / on") from error

    def nodes(self) -> Iterator[tuple[Location, yaml.Node]]:
        """Every node with its location, the root first."""
        return _nodes(self.root, ())

    def sound(self, location: Location) -> bool:
        """Whether YAML's problems are all elsewhere than at a location and below it."""
        return not any(place[: len(location)] == location for place in self.faulty)

    def problem(self, location: Location, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A problem at a field; where the field is missing, at what should hold it."""
        line, column = self.position(location, key=key)
        return Problem(self.file, line, column, field_name(location), _short(message), _short(hint))

    def warning(self, location: Location, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """The same for what can work, and is unwise."""
        return replace(self.problem(location, message, hint, key=key), severity="warning")

    def position(self, location: Location, *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of the deepest part of a location that exists."""
        steps = self._walk(location)
        if not steps:
            return (1, 1)
        node = steps[-1][0] if key else steps[-1][1]
        return (node.start_mark.line + 1, node.start_mark.column + 1) if node.start_mark else (1, 1)

    def written(self, location: Location) -> str | None:
        """The text of a scalar as it stands in the file (`1.30`, where the value is 1.3), None when there is none."""
        node = self.node(location)
        return node.value if isinstance(node, yaml.ScalarNode) else None

    def node(self, location: Location) -> yaml.Node | None:
        """What stands at a location, None when nothing does."""
        steps = self._walk(location)
        return steps[-1][1] if len(steps) == len(location) + 1 else None

    def has(self, location: Location) -> bool:
        """Whether the file says something at a location."""
        return self.node(location) is not None

    def _walk(self, location: Location) -> list[tuple[yaml.Node, yaml.Node]]:
        """Key and value of the root and of each step, as far as they exist."""
        steps = [(self.root, self.root)] if self.root is not None else []
        for step in location:
            pair = _step(steps[-1][1], step) if steps else None
            if pair is None:
                break
            steps.append(pair)
        return steps


def _step(node: yaml.Node, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        # The last of duplicate keys is the one that counts, as in the constructed value.
        return next(((key, value) for key, value in reversed(node.value) if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def field_name(location: Location) -> str:
    """`nodes[1].memory`."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def parse(file: str, text: str) -> Document:
    """The document with all problems that YAML itself has. One that cannot be parsed has one problem and no root."""
    document = Document(file, text)
    try:
        loader = StrictLoader(text)
        document.root = loader.get_single_node()
        _examine(document)
        document.value = loader.construct_document(document.root) if document.root is not None else None
    except yaml.YAMLError as error:
        document.root = None
        document.problems.append(_syntax(file, text, error))
    except RecursionError:
        document.root = None
        document.problems.append(Problem(file, 1, 1, "", "not YAML for an inventory: nested too deeply"))
    return document


def _syntax(file: str, text: str, error: yaml.YAMLError) -> Problem:
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1
        message = f"the character U+{error.character:04X} is not allowed"
        return Problem(
            file, line, column, "", f"not YAML: {message}", "delete it, or write it as \\x.. in double quotes"
        )
    mark, begun = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    message = str(getattr(error, "problem", None) or error)
    if begun is not None and begun.line + 1 < line:
        message += f" ({error.context}, begun in line {begun.line + 1})"  # type: ignore[attr-defined]
    return Problem(file, line, column, "", f"not YAML: {message}", _advice(message))


def _advice(message: str) -> str:
    if "\\t" in message:
        return "indent with spaces"
    if "another document" in message:
        return "one inventory a file: take the --- out"
    if "constructor for the tag" in message:
        return "tags (!…) are not read here: write the plain value"
    return "quote text that holds : # { [ & * ! | > % @, and look at the indentation"


def _examine(document: Document) -> None:
    for location, node in document.nodes():
        if isinstance(node, yaml.MappingNode):
            document.problems += _key_faults(document, node, location)
        elif node.tag in (f"{TAG}int", f"{TAG}float") and len(node.value) > LONGEST_NUMBER:
            node.tag = f"{TAG}str"
            document.faulty.add(location)
            message = f"a number of {sum(map(str.isdigit, node.value))} digits"
            document.problems.append(_at(document.file, node, field_name(location), message, "is there one too many?"))
        elif isinstance(node, yaml.ScalarNode) and (trap := _trap(node)):
            document.faulty.add(location)
            document.problems.append(_at(document.file, node, field_name(location), *trap))


def _nodes(node: yaml.Node | None, location: Location) -> Iterator[tuple[Location, yaml.Node]]:
    if node is not None:
        yield location, node
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _nodes(value, (*location, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _nodes(item, (*location, index))


def _key_faults(document: Document, node: yaml.MappingNode, location: Location) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and not key.value.isascii():
            key.value = key.value.encode(errors="backslashreplace").decode()
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
        here = (*location, name)
        if name in seen:
            message = f"duplicate key: it stands in line {seen[name]} already"
            yield _at(document.file, key, field_name(here), message, "keep one of the two")
        elif isinstance(key, yaml.ScalarNode) and name == "<<" and key.style is None:
            message = "merge keys are not read here"
            yield _at(document.file, key, field_name(here), message, "write the fields out")
        seen.setdefault(name, key.start_mark.line + 1)


def _trap(node: yaml.ScalarNode) -> tuple[str, str] | None:
    """Message and hint for an alias, and for a plain scalar that is text here but not to every reader of YAML."""
    if isinstance(node, Alias):
        return f"alias *{node.value}: aliases are not read here", "write the value out"
    if node.style is not None or node.tag != f"{TAG}str":
        return None
    for what, pattern, alternative in TRAPS:
        if pattern.fullmatch(node.value):
            hint = f'if text is meant, put it in quotes: "{node.value}"'
            return f"{node.value} without quotes is {what} to many readers of YAML", (
                f"{hint}; otherwise {alternative}" if alternative else hint
            )
    return None


def _at(file: str, thing: Any, name: str, message: str, hint: str) -> Problem:
    return Problem(file, thing.start_mark.line + 1, thing.start_mark.column + 1, name, _short(message), _short(hint))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE // 2]}…{text[-LONGEST_MESSAGE // 4 :]}"
