"""Texts of an inventory that hold what nobody sees: a character that steers a terminal, a line break where one line is meant.

What is refused here never reaches a file, an XML or a terminal, so no other rule has to think of it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import yaml

from provision.base.errors import Problem
from provision.inventory.loader.document import Document, Location, field_name

OF_SEVERAL_LINES = ("dtab",)
"""Fields whose text may have several lines."""


def problems(document: Document) -> Iterator[Problem]:
    """Every value that holds such a character; its location becomes a faulty one."""
    for location, node in document.nodes():
        character = _unseen(location, node.value) if isinstance(node, yaml.ScalarNode) else ""
        if character:
            document.faulty.add(location)
            name = unicodedata.name(character, "a line break" if character in "\r\n" else "a control character")
            message = f"holds U+{ord(character):04X}, {name.lower()}"
            # Not by the location alone: where a key stands twice, that would be the other one's.
            line, column = node.start_mark.line + 1, node.start_mark.column + 1
            yield Problem(
                document.file, line, column, field_name(location), message, "write it as one line of plain text"
            )


def _unseen(location: Location, text: str) -> str:
    """The first character that must not be there, "" when there is none."""
    if text.isprintable():
        return ""
    kept = "\n\t" if location[-1:] and location[-1] in OF_SEVERAL_LINES else ""
    # A block (`|`) ends with a line break, which nobody means.
    return next((one for one in text.removesuffix("\n") if not one.isprintable() and one not in kept), "")
