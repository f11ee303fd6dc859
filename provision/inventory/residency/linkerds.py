"""The places that a linkerd.yaml names: collectors, namers, registries, where requests go, and linkerd's reports of usage."""

from __future__ import annotations

from collections.abc import Iterator

from provision.inventory.residency.place import Place, Spot
from provision.linkerd.check import outward
from provision.linkerd.knowledge.place import ANYWHERE
from provision.linkerd.routing import Config, Path
from provision.linkerd.text import Unreadable, compose, spot, text_of

FIELD = ("mesh", "config_file")

GOES = {
    "tracers": "traces: whole URIs of requests",
    "telemetry": "traces and metrics",
    "namers": "which services are asked for",
    "routers": "requests, or what is asked about them",
}
"""What goes to a machine, by the section that names it."""


def linkerds_places(text: str, release: str, file: str) -> Iterator[Place]:
    """Those of a file for a release. One that cannot be read names none: it is refused elsewhere."""
    try:
        root = compose(text)
    except Unreadable:
        return
    if root is None:
        return
    config = Config(root, text, release, ANYWHERE)
    for one in outward.machines(config):
        at = spot(one.node)
        here = Spot(file, at.line, at.column, text_of(one.at))
        yield (
            _any(FIELD, here)
            if one.host == outward.ANY
            else _machine(GOES.get(str(one.at[0]), "requests"), one.host, here)
        )
    where = outward.usage_reports(config)
    if where is not None:
        at = spot(where)
        yield _usage(Spot(file, at.line, at.column, "usage"))


def destination(field: tuple[str | int, ...], leaf: Path) -> Place | None:
    """The place that a leaf of one of the inventory's dtabs leads to, None for a name that a namer binds."""
    host = outward.inet_host(leaf)
    if host == outward.ANY:
        return _any(field)
    return Place("requests", f"the machine {host}", field, host) if host else None


def _machine(what: str, host: str, here: Spot) -> Place:
    return Place(what, f"the machine {host}", FIELD, host, spot=here)


def _any(field: tuple[str | int, ...], here: Spot | None = None) -> Place:
    fault = "/$/inet without a host sends a request to whatever machine it names, so nobody can say where"
    return Place("requests", "any machine", field, fault=fault, say="name the machines: /$/inet/HOST/PORT", spot=here)


def _usage(here: Spot) -> Place:
    fault = f"linkerd reports its configuration and numbers to {outward.USAGE_HOST} every hour"
    return Place("reports of usage", outward.USAGE_HOST, FIELD, fault=fault, say="usage: {enabled: false}", spot=here)
