"""A configuration while it is written: each value goes where the release reads it, and only there.

A path is keys and indexes: ("routers", 0, "client", "loadBalancer", "kind"). What a mapping may hold depends on its kind,
so a kind is written before its other keys.
"""

from __future__ import annotations

from typing import Any

from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.schema import Family, Key, Kind, Object
from provision.linkerd.text import Location, text_of

Node = dict[str | int, Any]


class Refused(Exception):
    """The release cannot be told this; the text says why, and is empty where it hangs on something that is refused itself."""


class Draft:
    """A configuration for one release, as far as it is written. Lists are mappings of indexes until the end."""

    def __init__(self, release: str) -> None:
        self.release = release
        self.tree: Node = {}
        self._keys: dict[str, dict[str, Key]] = {}

    def write(self, path: Location, value: Any) -> None:
        """Puts a value at a path. Raises Refused when the release has no such place, or no such kind."""
        kind = self._place(path, value)
        here = self.tree
        for step in path[:-1]:
            here = here.setdefault(step, {})
        here[path[-1]] = value
        if kind is not None and kind.needs_flag(self.release):
            here["experimental"] = True

    def finished(self) -> dict[str, Any]:
        """The whole configuration."""
        return {str(key): _listed(value) for key, value in self.tree.items()}

    def _place(self, path: Location, value: Any) -> Kind | None:
        """The kind that a value is, if it is one."""
        type_ = ".linker"
        for depth, step in enumerate(path):
            if isinstance(step, int):
                type_ = type_[1:-1]
                continue
            family = KNOWLEDGE.families[type_[1:]] if type_[0] == "@" else None
            if family is not None and step == family.selector:
                return self._kind(family, value)
            key = self._known(self._object(type_, family, path[:depth])).get(step)
            if key is None:
                raise Refused(f"has no {_named(path[: depth + 1])}")
            if not key.works(self.release):
                raise Refused(f"reads {_named(path[: depth + 1])} and does not do it")
            type_ = key.type.removeprefix("1+")
        return None

    def _kind(self, family: Family, value: Any) -> Kind:
        kind = family.at(self.release).get(str(value))
        if kind is None:
            raise Refused(f"has no {family.name} {value}")
        return kind

    def _object(self, type_: str, family: Family | None, path: Location) -> Object:
        if family is None:
            return KNOWLEDGE.objects[type_[1:]]
        kind = family.at(self.release).get(str(self._at(path).get(family.selector, family.default)))
        if kind is None:
            raise Refused("")
        return KNOWLEDGE.objects[kind.object]

    def _known(self, object_: Object) -> dict[str, Key]:
        if object_.name not in self._keys:
            self._keys[object_.name] = object_.at(self.release)
        return self._keys[object_.name]

    def _at(self, path: Location) -> Node:
        here = self.tree
        for step in path:
            here = here.get(step, {})
        return here


def _listed(value: Any) -> Any:
    """A value with lists where there are mappings of indexes."""
    if not isinstance(value, dict):
        return value
    if value and all(isinstance(key, int) for key in value):
        return [_listed(item) for _index, item in sorted(value.items())]
    return {key: _listed(item) for key, item in value.items()}


def _named(path: Location) -> str:
    """`client.loadBalancer.decayTimeMs`: a path as linkerd's documentation says it."""
    return text_of(tuple(step for step in path if not isinstance(step, int) and step != "routers"))
