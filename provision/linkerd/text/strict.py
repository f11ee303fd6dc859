"""What SnakeYAML 1.15, linkerd's reader of YAML, refuses and libyaml, which reads it here, takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from provision.linkerd.text.document import Spot, spot

_BEYOND = re.compile("[\U00010000-\U0010ffff]")
_COLON = re.compile(r":[^\s,\[\]{}]")
_SLASH = re.compile(r"(?<!\\)(?:\\\\)*\\/")
_COMMENT = re.compile(r"#[^\n]*")


class Refused(NamedTuple):
    """SnakeYAML's message and where it stops."""

    message: str
    at: Spot


def refused(text: str, root: yaml.Node) -> Refused | None:
    """The first of them in a text that was read to `root`; None in JSON, which has another reader."""
    if text.lstrip()[:1] == "{":
        return None
    found = None if text.isascii() else _BEYOND.search(text)
    if found is not None:
        return Refused("special characters are not allowed", _place(text, found.start()))
    if ("{" in text or "[" in text) and ("?" in text or _COLON.search(text)):
        for one in _in_brackets(root, inside=False):
            return one
    return _blank(text) if "\t" in text or "\\/" in text else None


def _place(text: str, offset: int) -> Spot:
    return Spot(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def _in_brackets(root: yaml.Node, *, inside: bool) -> Iterator[Refused]:
    """Texts without quotes within brackets, that hold a colon or a question mark."""
    waiting = [(root, inside)]
    while waiting:
        node, flow = waiting.pop()
        if isinstance(node, yaml.ScalarNode):
            if flow and not node.style and ":" in node.value:
                yield Refused("found unexpected ':'", spot(node))
            elif flow and not node.style and "?" in node.value[1:]:
                yield Refused("but got Key", spot(node))
            continue
        flow = flow or bool(getattr(node, "flow_style", False))
        for child in reversed(node.value):
            parts = child if isinstance(child, tuple) else (child,)
            waiting += [(part, flow) for part in reversed(parts)]


def _blank(text: str) -> Refused | None:
    """The first tab between tokens, or the first slash that is escaped in double quotes: neither is anything to SnakeYAML."""
    stopped, plain = 0, False
    for token in _tokens(text):
        begin, end = token.start_mark.index, token.end_mark.index
        gap = text[stopped:begin]
        if plain:
            gap = gap.lstrip(" \t")
        if "\t" in _COMMENT.sub("", gap):
            return Refused("that cannot start any token", _place(text, text.find("\t", stopped, begin)))
        scalar = isinstance(token, yaml.ScalarToken)
        if scalar and token.style == '"' and (slash := _SLASH.search(text, begin, end)):
            return Refused("found unknown escape character /(47)", _place(text, slash.start()))
        stopped, plain = end, scalar and token.plain
    return None


def _tokens(text: str) -> Iterator[Any]:
    """The tokens of the first document."""
    begun = False
    try:
        for token in yaml.scan(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if begun and isinstance(token, yaml.DocumentStartToken | yaml.DocumentEndToken):
                return
            begun = begun or not isinstance(token, yaml.StreamStartToken | yaml.DirectiveToken)
            yield token
    except yaml.YAMLError:
        return  # behind the document, which was read without a fault
