"""meshctl explain: the page of an id that a command said."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

import click

from provision.cli.say import hand_over, say

if TYPE_CHECKING:
    from provision.base.pages import Entry

FAMILIES = {
    "MC1": ("provision.doctor.pages", "CHECKS"),
    "MK2": ("provision.kubernetes.pages", "PAGES"),
    "MD4": ("provision.diagnose.pages", "REASONS"),
    "ML3": ("provision.linkerd.pages", "CHECKS"),
}
"""By how the ids begin: the module that has the pages, and its name for them. A new family is one line here."""


@click.command()
@click.argument("id_", metavar="[ID]", required=False)
def explain(id_: str | None) -> None:
    """Print the page of ID (such as ML301): what happens, why, and what to do. Without ID: all ids."""
    every = pages()
    if id_ is None:
        for each in every.values():
            say(f"{each.id}  {each.severity:<5}  {each.title}")
        return
    page = every.get(id_.upper())
    if page is None:
        near = difflib.get_close_matches(id_.upper(), every, n=1, cutoff=0)
        raise click.BadParameter(f"there is no {id_}; the nearest is {near[0]}", param_hint="ID")
    hand_over(page.text())


def pages() -> dict[str, Entry]:
    """Every page of every family, by id."""
    found: dict[str, Entry] = {}
    for module, name in FAMILIES.values():
        found |= {page.id: page for page in getattr(importlib.import_module(module), name)}
    return found
