"""The routers of a configuration as linkerd understands them: with a release's defaults for what is not written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

import yaml

from provision.linkerd.knowledge.defaults import default
from provision.linkerd.knowledge.versions import number
from provision.linkerd.text import Location, fields, get, items, scalar

ROUTER_PORTS = {"http": 4140, "h2": 4142, "thrift": 4114, "thriftmux": 4144, "mux": 4141}
"""Where a router listens when its server names no port."""

LOOPBACK = "127.0.0.1"

HTTP = ("http", "h2")
"""Protocols that have identifiers."""

FAMILIES = {"http": "identifier", "h2": "h2Identifier"}
"""The family of a protocol's identifiers in the knowledge."""


class Listener(NamedTuple):
    """Where a server of a router listens; without `ip` that is loopback, without port the protocol's own."""

    node: yaml.Node
    ip: str | None
    port: str

    @property
    def address(self) -> tuple[str, str]:
        """Address and port, with the defaults."""
        return self.ip or LOOPBACK, self.port


class Router(NamedTuple):
    """One router: its node, and what matters for routing. A tuple that works out little, as a file may have thousands."""

    position: int
    node: yaml.Node
    fields: Mapping[str, yaml.Node]
    protocol: str
    label: str
    listeners: tuple[Listener, ...]
    release: str

    @property
    def at(self) -> Location:
        """Where it stands."""
        return ("routers", self.position)

    @property
    def prefix(self) -> str:
        """Its dstPrefix, with the release's default."""
        return _text(self.fields.get("dstPrefix")) or default_prefix(self.protocol, self.release)

    @property
    def identifiers(self) -> tuple[Mapping[str, str], ...]:
        """The scalars of each of its identifiers, with the release's default."""
        found = _identifiers(self.fields.get("identifier"), self.protocol, self.release)
        method = _text(self.fields.get("thriftMethodInDst"))
        return found if method is None else tuple({**one, "thriftMethodInDst": method} for one in found)

    @property
    def dtab_key(self) -> str:
        """The key of its dtab: the release's own, or the other releases' when only that is there. linkerd refuses it, but what is
        meant is clear.
        """
        own = dtab_key(self.release)
        other = "dtab" if own == "baseDtab" else "baseDtab"
        return other if own not in self.fields and other in self.fields else own

    @property
    def dtab_node(self) -> yaml.Node | None:
        """Its dtab as it stands in the file."""
        return self.fields.get(self.dtab_key)

    @property
    def dtab(self) -> str:
        """Its dtab's text, empty when there is none."""
        return _text(self.dtab_node) or ""

    @property
    def dtab_at(self) -> Location:
        """Where its dtab stands."""
        return (*self.at, self.dtab_key)


@cache
def dtab_key(version: str) -> str:
    """How a release calls a router's dtab."""
    return "dtab" if number(version) >= (0, 9, 0) else "baseDtab"


def routers(root: yaml.Node, version: str) -> Iterator[Router]:
    """Every router that has a protocol."""
    for index, node in enumerate(items(get(root, "routers"))):
        values = fields(node)
        protocol = values.get("protocol")
        if isinstance(protocol, yaml.ScalarNode):
            yield _router(index, node, values, str(protocol.value), version)


def _router(index: int, node: yaml.Node, values: Mapping[str, yaml.Node], protocol: str, version: str) -> Router:
    listeners = tuple([_listener(server, protocol) for server in items(values.get("servers"))])
    return Router(index, node, values, protocol, _text(values.get("label")) or protocol, listeners, version)


def _listener(server: yaml.Node, protocol: str) -> Listener:
    values = fields(server)
    port = _text(values.get("port")) or str(ROUTER_PORTS.get(protocol, ""))
    return Listener(server, _text(values.get("ip")), port)


def _text(node: yaml.Node | None) -> str | None:
    return None if node is None else scalar(node)


def _identifiers(written: yaml.Node | None, protocol: str, version: str) -> tuple[Mapping[str, str], ...]:
    listed = [written] if isinstance(written, yaml.MappingNode) else items(written)
    if protocol not in HTTP or not listed:
        return _unwritten(protocol, version)
    return tuple(
        {name: value_text for name, value in fields(one).items() if (value_text := scalar(value)) is not None}
        for one in listed
    )


@cache
def _unwritten(protocol: str, version: str) -> tuple[Mapping[str, str], ...]:
    return ({"kind": default_identifier(protocol, version)},)


@cache
def default_prefix(protocol: str, version: str) -> str:
    """The dstPrefix that a release takes when none is written."""
    return str(default("routers[].dstPrefix", protocol, version))


def default_identifier(protocol: str, version: str) -> str:
    """The identifier that a release takes when none is written; protocols without any are called by their own name."""
    if protocol not in HTTP:
        return protocol
    found = default("routers[].identifier", protocol, version)
    if isinstance(found, Mapping):
        return str(found["kind"])
    return "io.l5d.headerToken" if number(version) < (1, 0, 0) else "io.l5d.header.token"
