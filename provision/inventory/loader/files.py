"""Files that an inventory names, as far as the name alone tells."""

from __future__ import annotations

from collections.abc import Iterator

from provision.base.errors import Problem
from provision.inventory.loader.document import Document, Location

NAMED: tuple[Location, ...] = (("id_file",), ("ssh", "key_file"), ("kubernetes", "bundle"), ("mesh", "config_file"))


def problems(document: Document) -> Iterator[Problem]:
    """Every name that names no file of this machine, whatever lies there."""
    for location in NAMED:
        text = document.written(location)
        if text is None or not document.sound(location):
            continue
        try:
            document.path(text)
        except ValueError as error:
            message, _, hint = str(error).partition("\n")
            yield document.problem(location, message, hint)
