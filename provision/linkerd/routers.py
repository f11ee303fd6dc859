"""The routers of a configuration as linkerd understands them: with a release's defaults for what is not written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from provision.linkerd.document import get, items, scalar
from provision.linkerd.versions import number

ROUTER_PORTS = {"http": 4140, "h2": 4142, "thrift": 4114, "thriftmux": 4144, "mux": 4141}
"""Where a router listens when its server names no port."""


@dataclass(frozen=True)
class Router:
    """One router: its node, and what matters for routing."""

    index: int
    node: yaml.Node
    protocol: str
    label: str
    prefix: str
    dtab: str
    dtab_node: yaml.Node | None
    identifiers: tuple[Mapping[str, str], ...]

    def servers(self) -> list[yaml.Node]:
        """The server nodes."""
        return items(get(self.node, "servers"))


def dtab_key(version: str) -> str:
    """How a release calls a router's dtab."""
    return "dtab" if number(version) >= (0, 9, 0) else "baseDtab"


def routers(root: yaml.Node, version: str) -> Iterator[Router]:
    """Every router that has a protocol."""
    for index, node in enumerate(items(get(root, "routers"))):
        protocol = scalar(get(node, "protocol") or node)
        if protocol is not None:
            yield _router(index, node, protocol, version)


def _router(index: int, node: yaml.Node, protocol: str, version: str) -> Router:
    dtab = get(node, dtab_key(version))
    prefix = scalar(get(node, "dstPrefix") or node)
    default = "/svc" if number(version) >= (0, 9, 0) else f"/{protocol}"
    return Router(
        index,
        node,
        protocol,
        scalar(get(node, "label") or node) or protocol,
        prefix or default,
        (scalar(dtab) if dtab is not None else None) or "",
        dtab,
        tuple(_identifiers(node, protocol, version)),
    )


def _identifiers(node: yaml.Node, protocol: str, version: str) -> Iterator[Mapping[str, str]]:
    written = get(node, "identifier")
    listed = [written] if isinstance(written, yaml.MappingNode) else items(written)
    if not listed:
        yield {"kind": default_identifier(protocol, version)}
    for one in listed:
        pairs = one.value if isinstance(one, yaml.MappingNode) else []
        yield {scalar(key) or "": text for key, value in pairs if (text := scalar(value)) is not None}


def default_identifier(protocol: str, version: str) -> str:
    """The identifier that a release takes when none is written."""
    if protocol == "http" and number(version) < (0, 9, 0):
        return "io.l5d.methodAndHost"
    return "io.l5d.header.token"
