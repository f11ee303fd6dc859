"""A configuration as the rules look at it: its nodes, the release, the place, and the routers with their dtabs read once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import yaml

from provision.linkerd.knowledge.place import Place
from provision.linkerd.knowledge.versions import Version, number
from provision.linkerd.routing import dtab
from provision.linkerd.routing.bound import NEEDED, Namer
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

LOCAL = ("default",)
"""Interpreters that read the router's dtab."""

ASKED = {
    "io.l5d.namerd": "namerd",
    "io.l5d.namerd.http": "namerd",
    "io.l5d.mesh": "namerd",
    "io.l5d.fs": "a file for its dtab",
    "io.l5d.k8s.configMap": "Kubernetes for a ConfigMap",
    "io.l5d.consul.interpreter": "Consul",
    "io.l5d.k8s.istio": "Istio",
}
"""Who has the dtab of each interpreter but the default one."""


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

    @property
    def unreadable(self) -> bool:
        """Whether there is a dtab that linkerd could not read."""
        try:
            return dtab.parse(self.router.dtab) is None
        except dtab.DtabError:
            return True

    @property
    def transformers(self) -> tuple[str, ...]:
        """The kinds of its interpreter's transformers."""
        return tuple(
            text(one, "kind") or "" for one in items(get(self.router.fields.get("interpreter"), "transformers"))
        )

    @cached_property
    def leaves(self) -> tuple[tuple[dtab.Entry, dtab.Path], ...]:
        """Every path of every tree, with its entry."""
        return tuple((entry, leaf) for entry in self.entries for leaf in dtab.leaves(entry.tree))

    @property
    def interpreter(self) -> str:
        """Who reads the dtab: linkerd itself is `default`."""
        written = self.router.fields.get("interpreter")
        return "default" if written is None else text(written, "kind") or "default"

    @property
    def remote(self) -> bool:
        """Whether another process reads the dtab, with namers of its own."""
        return self.interpreter not in (*LOCAL, "io.l5d.fs", "io.l5d.k8s.configMap", "io.l5d.consul.interpreter")

    @property
    def asked(self) -> str:
        """Who is asked for the dtab, in words."""
        who = ASKED.get(self.interpreter)
        return f"{who} ({self.interpreter})" if who else f"{self.interpreter}, which is none of linkerd's interpreters,"


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
        for namer in self.bindable:
            yield namer.kind, namer.prefix

    @cached_property
    def bindable(self) -> tuple[Namer, ...]:
        """The configured namers, with what their names need."""
        return tuple(self._bindable())

    def _bindable(self) -> Iterator[Namer]:
        for namer in items(get(self.root, "namers")):
            kind = text(namer, "kind") or ""
            needs = NEEDED.get(kind, ())
            if kind == "io.l5d.consul" and (text(namer, "includeTag") or "").lower() == "true":
                needs = ("datacentre", "tag", "service")
            try:
                prefix = dtab.parse_path(text(namer, "prefix") or f"/{kind}")
            except dtab.DtabError:
                continue
            rewriting = ("pattern", "name") if kind == "io.l5d.rewrite" else ()
            yield Namer(kind, prefix, needs, *(text(namer, key) or "" for key in rewriting))

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
