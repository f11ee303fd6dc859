"""What a function that mends is given: the text, the finding, and where in the configuration it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import yaml

from provision.linkerd.check import Finding
from provision.linkerd.knowledge.place import Place
from provision.linkerd.routing import Config
from provision.linkerd.text import Location, scalar, text_of
from provision.linkerd.text.edit import CannotEdit, Draft

_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


@dataclass(frozen=True)
class Task:
    """One finding to mend in a text."""

    draft: Draft
    finding: Finding
    release: str
    place: Place

    @cached_property
    def at(self) -> Location:
        """The finding's field as a location, which need not be there."""
        field = self.finding.field
        straight = location(field)
        if text_of(straight) == field and self.draft.find_key(straight) is not None:
            return straight
        here = next((at for at in _locations(self.draft.root, ()) if text_of(at) == field), None)
        return here or straight

    @cached_property
    def config(self) -> Config:
        """The configuration as the rules look at it."""
        return Config(self.draft.root, self.draft.text, self.release, self.place)

    def refuse(self, why: str) -> CannotEdit:
        """That it cannot be mended."""
        return CannotEdit(f"{self.finding.field}: {why}")


def location(field: str) -> Location:
    """`routers[0].client` as a location."""
    return tuple(int(index) if index else name for index, name in _STEP.findall(field))


def _locations(node: yaml.Node, at: Location) -> Iterator[Location]:
    yield at
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _locations(value, (*at, scalar(key) or "?"))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _locations(value, (*at, index))
