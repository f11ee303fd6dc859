"""What a configuration says, without how it is written: mappings, lists and scalars, compared and printed in YAML or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import yaml

from provision.linkerd.text.document import scalar

Data = Mapping[str, "Data"] | Sequence["Data"] | str | int | bool
"""What is to be written."""

_TEXT = "tag:yaml.org,2002:str"
_NUMBER = "tag:yaml.org,2002:float"
_NOT_BARE = frozenset(",[]{}\n\t\"'&*!|>%@`")
_ESCAPED = re.compile(r"[\x7f-\x9f\u2028-\u202e\ufeff\ufffe\uffff\ud800-\udfff]")
"""What YAML does not take raw, what it takes for the end of a line, and what turns the direction of a terminal's text."""


@dataclass(frozen=True)
class Scalar:
    """A scalar: YAML's tag says whether it is a text, a number, true or nothing."""

    text: str
    tag: str = _TEXT


Plain = dict[str, "Plain"] | list["Plain"] | Scalar


def plain(node: yaml.Node) -> Plain:
    """The meaning of a node; of keys that stand twice the last one, as linkerd reads it."""
    if isinstance(node, yaml.MappingNode):
        return {scalar(key) or "": plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(value) for value in node.value]
    return Scalar(str(node.value), _NUMBER if node.tag.endswith(":int") else str(node.tag))


def of(data: Data) -> Plain:
    """The meaning of what is to be written."""
    match data:
        case str():
            return Scalar(data)
        case bool():
            return Scalar(str(data).lower(), "tag:yaml.org,2002:bool")
        case int():
            return Scalar(str(data), _NUMBER)
        case Mapping():
            return {name: of(value) for name, value in data.items()}
        case _:
            return [of(value) for value in data]


def inline(value: Plain, *, strict: bool = False) -> str:
    """In one line; `strict`: as JSON, else as YAML with no more quotes than it needs."""
    if isinstance(value, Scalar):
        return _quoted(value.text) if value.tag == _TEXT and not _bare(value.text, strict) else value.text
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{word(name, strict=strict)}: {inline(one, strict=strict)}" for name, one in value.items())
            + "}"
        )
    return "[" + ", ".join(inline(one, strict=strict) for one in value) + "]"


def word(name: str, *, strict: bool = False) -> str:
    """A key."""
    return name if _bare(name, strict) else _quoted(name)


def _quoted(text: str) -> str:
    """In double quotes, as both YAML and JSON read it: YAML takes some characters as escapes only."""
    return _ESCAPED.sub(lambda one: f"\\u{ord(one[0]):04x}", json.dumps(text, ensure_ascii=False))


@lru_cache
def _bare(text: str, strict: bool) -> bool:
    """Whether YAML reads a text as itself without quotes, within brackets too."""
    if (
        strict
        or not text
        or _NOT_BARE & set(text)
        or text[0] in "?:-#"
        or ": " in text
        or " #" in text
        or text[-1] == ":"
    ):
        return False
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:  # a character that it takes as an escape only, or a sign of its own
        return False
    return isinstance(node, yaml.ScalarNode) and (node.tag, node.value) == (_TEXT, text)


def block(name: str, value: Plain) -> str:
    """`name: value` in lines, from column 0, without a newline at its end."""
    if isinstance(value, Scalar) and value.tag == _TEXT and _literal(value.text):
        lines = value.text[:-1].split("\n")
        return "\n".join([f"{word(name)}: |", *(f"  {line}" if line else "" for line in lines)])
    if isinstance(value, dict) and value:
        return "\n".join([f"{word(name)}:", *(_indented(block(key, one)) for key, one in value.items())])
    if isinstance(value, list) and value:
        return "\n".join([f"{word(name)}:", *(item(one) for one in value)])
    return f"{word(name)}: {inline(value)}"


def item(value: Plain) -> str:
    """`- value` in lines, from column 0."""
    if isinstance(value, dict) and value:
        lines = "\n".join(block(key, one) for key, one in value.items())
        return "- " + _indented(lines)[2:]
    return f"- {inline(value)}"


def _indented(lines: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in lines.split("\n"))


def _literal(text: str) -> bool:
    """Whether a text is well written as a literal block."""
    return (
        text.endswith("\n")
        and not text.endswith("\n\n")
        and text[0] not in " \n"
        and all(line.isprintable() for line in text.split("\n"))
    )
