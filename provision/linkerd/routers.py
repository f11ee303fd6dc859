"""The routers of a configuration as linkerd understands them: with a release's defaults for what is not written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from provision.linkerd.document import Location, get, items, scalar, text
from provision.linkerd.versions import number

ROUTER_PORTS = {"http": 4140, "h2": 4142, "thrift": 4114, "thriftmux": 4144, "mux": 4141}
"""Where a router listens when its server names no port."""

HTTP = ("http", "h2")
"""Protocols that have identifiers."""


@dataclass(frozen=True)
class Router:
    """One router: its node, and what matters for routing."""

    index: int
    node: yaml.Node
    protocol: str
    label: str
    prefix: str
    dtab_key: str
    dtab: str
    dtab_node: yaml.Node | None
    identifiers: tuple[Mapping[str, str], ...]

    @property
    def at(self) -> Location:
        """Where it stands."""
        return ("routers", self.index)

    @property
    def dtab_at(self) -> Location:
        """Where its dtab stands."""
        return (*self.at, self.dtab_key)

    def servers(self) -> list[yaml.Node]:
        """The server nodes."""
        return items(get(self.node, "servers"))


def dtab_key(version: str) -> str:
    """How a release calls a router's dtab."""
    return "dtab" if number(version) >= (0, 9, 0) else "baseDtab"


def routers(root: yaml.Node, version: str) -> Iterator[Router]:
    """Every router that has a protocol."""
    for index, node in enumerate(items(get(root, "routers"))):
        protocol = text(node, "protocol")
        if protocol is not None:
            yield _router(index, node, protocol, version)


def _router(index: int, node: yaml.Node, protocol: str, version: str) -> Router:
    key = _written_dtab_key(node, version)
    dtab = get(node, key)
    default = "/svc" if number(version) >= (0, 9, 0) else f"/{protocol}"
    return Router(
        index,
        node,
        protocol,
        text(node, "label") or protocol,
        text(node, "dstPrefix") or default,
        key,
        (scalar(dtab) if dtab is not None else None) or "",
        dtab,
        tuple(_identifiers(node, protocol, version)),
    )


def _written_dtab_key(node: yaml.Node, version: str) -> str:
    """The release's own key, or the other releases' when only that is there: linkerd refuses it, but what is meant is clear."""
    own = dtab_key(version)
    other = "dtab" if own == "baseDtab" else "baseDtab"
    return other if get(node, own) is None and get(node, other) is not None else own


def _identifiers(node: yaml.Node, protocol: str, version: str) -> Iterator[Mapping[str, str]]:
    written = get(node, "identifier")
    listed = [written] if isinstance(written, yaml.MappingNode) else items(written)
    if protocol not in HTTP or not listed:
        yield {"kind": default_identifier(protocol, version)}
        return
    for one in listed:
        pairs = one.value if isinstance(one, yaml.MappingNode) else []
        yield {scalar(key) or "": value_text for key, value in pairs if (value_text := scalar(value)) is not None}


def default_identifier(protocol: str, version: str) -> str:
    """The identifier that a release takes when none is written; protocols without any are called by their own name."""
    if protocol not in HTTP:
        return protocol
    if protocol == "http" and number(version) < (0, 9, 0):
        return "io.l5d.methodAndHost"
    return "io.l5d.header.token"
