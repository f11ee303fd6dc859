"""A configuration as the rules look at it: its nodes, the release, the place, and the routers with their dtabs read once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import yaml

from provision.linkerd.knowledge.place import Place
from provision.linkerd.knowledge.versions import Version, number
from provision.linkerd.routing import dtab
from provision.linkerd.routing.routers import Router, routers
from provision.linkerd.text import (
    Inside,
    Location,
    Spot,
    get,
    items,
    spot,
    text,
)


@dataclass(frozen=True)
class Routing:
    """A router and its dtab."""

    router: Router

    @cached_property
    def entries(self) -> tuple[dtab.Entry, ...]:
        """Its dtab's entries; none where linkerd could not read it."""
        try:
            return dtab.parse(self.router.dtab)
        except dtab.DtabError:
            return ()

    @cached_property
    def leaves(self) -> tuple[tuple[dtab.Entry, dtab.Path], ...]:
        """Every path of every tree, with its entry."""
        return tuple((entry, leaf) for entry in self.entries for leaf in dtab.leaves(entry.tree))

    @property
    def interpreter(self) -> str:
        """Who reads the dtab: linkerd itself is `default`."""
        return text(self.router.fields.get("interpreter"), "kind") or "default"


@dataclass(frozen=True)
class Config:
    """One file for one release at one place."""

    root: yaml.Node
    source: str
    release: str
    place: Place

    @cached_property
    def version(self) -> Version:
        """The release's number."""
        return number(self.release)

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the file."""
        return self.source.split("\n")

    @cached_property
    def routings(self) -> tuple[Routing, ...]:
        """The routers that have a protocol."""
        return tuple(map(Routing, routers(self.root, self.release)))

    @cached_property
    def namers(self) -> tuple[tuple[str, dtab.Path], ...]:
        """Kind and prefix of each configured namer, the prefix as it stands behind `/#/`."""
        return tuple(self._namers())

    def _namers(self) -> Iterator[tuple[str, dtab.Path]]:
        for namer in items(get(self.root, "namers")):
            kind = text(namer, "kind") or ""
            try:
                yield kind, dtab.parse_path(text(namer, "prefix") or f"/{kind}")
            except dtab.DtabError:
                continue

    def transformers(self) -> Iterator[tuple[Location, yaml.Node]]:
        """Every transformer, of routers and of namers, with its place."""
        owners: list[tuple[Location, yaml.Node]] = [
            ((*routing.router.at, "interpreter"), routing.router.fields["interpreter"])
            for routing in self.routings
            if "interpreter" in routing.router.fields
        ]
        owners += [(("namers", index), namer) for index, namer in enumerate(items(get(self.root, "namers")))]
        for at, owner in owners:
            for index, node in enumerate(items(get(owner, "transformers"))):
                yield (*at, "transformers", index), node

    def spot(self, router: Router, entry: dtab.Entry) -> Spot:
        """Where an entry of a router's dtab stands."""
        inside = self._insides.get(router.position)
        if inside is None and router.dtab_node is not None:
            inside = self._insides.setdefault(router.position, Inside(router.dtab_node, self.lines))
        return spot(router.node) if inside is None else inside.spot(entry.start)

    @cached_property
    def _insides(self) -> dict[int, Inside]:
        return {}
