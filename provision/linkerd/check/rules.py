"""The second part of the validation: what linkerd checks between nodes, in files and in its environment when it starts."""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from typing import NamedTuple

from yaml import Node, ScalarNode, SequenceNode

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.check.scalars import LARGEST, number, true
from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.routing import LOOPBACK, Config, Router
from provision.linkerd.text import (
    TEXT,
    Location,
    Spot,
    find,
    get,
    items,
    scalar,
    text,
    text_of,
)


def findings(config: Config) -> Iterator[Finding]:
    """Every violation of a rule between nodes."""
    listed = get(config.root, "routers")
    if isinstance(listed, SequenceNode) and not listed.value:
        yield found(
            "ML311", listed, ("routers",), "there is no router", "io.buoyant.config.NoRoutersSpecified$", "add one"
        )
    every = [routing.router for routing in config.routings]
    yield from _labels(every)
    addresses = list(_addresses(every))
    yield from _ports(addresses)
    yield from _plugins(config)
    yield from _files(config)
    yield from _environment(config)
    yield from _unserved(every)
    yield from _binds(config, addresses)


def _unserved(every: list[Router]) -> Iterator[Finding]:
    for router in every:
        servers = router.fields.get("servers")
        if isinstance(servers, SequenceNode) and not servers.value:
            fragment = f"router '{router.label}' has no servers"
            yield found("ML314", servers, (*router.at, "servers"), "is empty", fragment, "add one")


def _labels(every: list[Router]) -> Iterator[Finding]:
    first: dict[str, Router] = {}
    for router in every:
        written = router.fields.get("label")
        label = router.protocol if written is None else str(written.value)  # an empty label is one too
        if label in first:
            node = written or router.fields.get("protocol") or router.node
            other = text_of(first[label].at)
            message = f"{label} is the label of {other} (without one it is the protocol)"
            yield found("ML312", node, (*router.at, "label"), message, "io.buoyant.config.ConflictingLabels")
        first.setdefault(label, router)


class _Address(NamedTuple):
    """An address as linkerd understands it, and who listens there."""

    ip: str
    port: int
    at: Location
    node: Node | None = None

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}"


EVERYWHERE = ("0.0.0.0", "::")
_ADMIN_PORT = 9990
_DIGITS = 10
"""Fewer are certainly a number of Java's."""

_MANY = 20
"""Listeners of one port that a further one is compared with."""


def _addresses(every: list[Router]) -> Iterator[_Address]:
    """Where servers listen: `+4140` and `4140.9` are 4140, `::ffff:7f00:1` is 127.0.0.1. Without what is no address at all."""
    for router in every:
        for index, listener in enumerate(router.listeners):
            ip, written = listener.address
            plain = written.isdecimal() and written.isascii() and len(written) < _DIGITS
            size = int(written) if plain else number(ScalarNode(TEXT, written))
            if size is not None and abs(size) <= LARGEST:
                at: Location = ("routers", router.position, "servers", index)
                yield _Address(_unmapped(ip), int(size), at, listener.node)


def _unmapped(ip: str) -> str:
    if ":" not in ip:
        return ip
    import ipaddress  # not needed for most files, and not quick to load

    try:
        address = ipaddress.IPv6Address(ip)
    except ValueError:
        return ip
    return str(address.ipv4_mapped or address)


def _ports(addresses: list[_Address]) -> Iterator[Finding]:
    first: dict[tuple[str, int], _Address] = {}
    for here in addresses:
        there = first.setdefault((here.ip, here.port), here)
        if there is not here:
            message, fragment = f"{here} is taken by {text_of(there.at)}", "io.buoyant.config.ConflictingPorts"
            yield found("ML313", here.node or Spot(1, 1), here.at, message, fragment, "take another port")


def _binds(config: Config, addresses: list[_Address]) -> Iterator[Finding]:
    """One port on two addresses of which one is every address, or on the one that admin has: the second one cannot bind."""
    port = get(get(config.root, "admin"), "port")
    size = _ADMIN_PORT if port is None else number(port)
    ip = text(config.root, "admin", "ip") or ("0.0.0.0" if config.version < (1, 2, 0) else LOOPBACK)
    taken: dict[int, list[_Address]] = {}
    if size is not None and abs(size) <= LARGEST:
        taken[int(size)] = [_Address(_unmapped(ip), int(size), ("admin",))]
    for here in addresses:
        if not here.port:  # everybody gets another one
            continue
        others = taken.setdefault(here.port, [])
        clash = _clashing(others, here) if others else None
        if clash is not None:
            message = f"{here} cannot be had while {text_of(clash.at)} listens on {clash}"
            yield found("ML360", here.node or Spot(1, 1), here.at, message, "Failed to bind to", "take another port")
        if len(others) < _MANY:
            others.append(here)


def _clashing(others: list[_Address], here: _Address) -> _Address | None:
    """The first that leaves no room for an address. Equal addresses of two servers are linkerd's own finding, ML313."""
    for other in others:
        if other.node is None if other.ip == here.ip else here.ip in EVERYWHERE or other.ip in EVERYWHERE:
            return other
    return None


def _plugins(config: Config) -> Iterator[Finding]:
    """Jars whose kind is there already: linkerd's own, or another jar's."""
    if not config.place.plugins:
        return
    own = {kind for family in KNOWLEDGE.families.values() for kind in family.at(config.release)}
    seen: set[str] = set()
    for kind in config.place.plugins:
        if kind in own or kind in seen:
            whose = "linkerd itself" if kind in own else "another jar"
            yield found("ML327", Spot(1, 1), (), f"{kind} is a kind of {whose} already", "ConflictingSubtypes")
        seen.add(kind)


def _files(config: Config) -> Iterator[Finding]:
    """Folders and files that linkerd opens when it starts; not looked at when it starts elsewhere."""
    for index, namer in enumerate(items(get(config.root, "namers"))):
        if text(namer, "kind") == "io.l5d.fs":
            at: Location = ("namers", index, "rootDir")
            yield from _there(config, find(namer, "rootDir"), at, folder=True)
    for routing in config.routings:
        if routing.interpreter == "io.l5d.fs":
            node = get(routing.router.fields.get("interpreter"), "dtabFile")
            yield from _there(config, node, (*routing.router.at, "interpreter", "dtabFile"), folder=False)


def _there(config: Config, node: Node | None, at: Location, *, folder: bool) -> Iterator[Finding]:
    name = scalar(node) if node is not None else None
    if node is not None and name == "":
        what = "a directory" if folder else "a file"
        yield found("ML317", node, at, f"an empty name is not {what}", f" is not {what}")
    if node is None or not name or "\0" in name or config.place.folder is None:
        return
    path = os.path.join(config.place.folder, name)
    if not (os.path.isdir(path) if folder else os.path.isfile(path)):
        what = "a directory" if folder else "a file"
        yield found("ML317", node, at, f"{path} is not {what}", f"{name} is not {what}")


def _environment(config: Config) -> Iterator[Finding]:
    """What localnode transformers read from the environment."""
    environment = config.place.environment
    for at, node in config.transformers() if environment is not None else ():
        by_name = true(get(node, "hostNetwork"))
        wanted, what = ("NODE_NAME", "the node's name") if by_name else ("POD_IP", "the pod's IP")
        if text(node, "kind") == "io.l5d.k8s.localnode" and wanted not in (environment or ()):
            fragment = f"{wanted} env variable must be set to {what}"
            yield found("ML322", node, at, f"the container has no {wanted}", fragment)
