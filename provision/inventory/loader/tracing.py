"""Rules of `tracing:`: the node, its volume, the memory, the Service's address, and who else says where traces go."""

from __future__ import annotations

from collections.abc import Iterator

import netaddr

from provision.base.errors import Problem
from provision.base.units import MIB, format_size
from provision.inventory.loader.document import Location
from provision.inventory.loader.rules import Parts
from provision.inventory.model import BUILT
from provision.inventory.tracing import RESERVE, ROOM, SERVICE_OFFSET, Tracing, default_address, home, volume_of

GIVEN = {1: "the API server's", 10: "DNS's"}
"""Addresses of the service range that kubeadm gives away."""


def problems(parts: Parts) -> Iterator[Problem]:
    """Every violation of a rule of the traces."""
    tracing = parts.tracing
    if tracing is None:
        return
    yield from _said_twice(parts)
    if tracing.kind == "zipkin":
        yield from _place(parts, tracing)
        yield from _address(parts, tracing)
        yield from _bundle(parts)


def _said_twice(parts: Parts) -> Iterator[Problem]:
    """Linkerd has one tracer, and it is `tracing` that says which."""
    if parts.document.has(("mesh", "tracer")):
        yield parts.document.problem(("mesh", "tracer"), "tracing says where traces go", "take one of the two out")
    if parts.mesh is not None and parts.mesh.config_file is not None:
        message = f"{parts.mesh.config_file} says where traces go, and meshctl does not write into it"
        hint = "take it out, and tell linkerd by the other fields of mesh"
        yield parts.document.problem(("mesh", "config_file"), message, hint)


def _place(parts: Parts, tracing: Tracing) -> Iterator[Problem]:
    names = [name for name in parts.names("nodes") if name]
    if tracing.node is not None and tracing.node not in names:
        hint = f"the nodes are {', '.join(names)}"
        yield parts.document.problem(("tracing", "node"), f"there is no node {tracing.node}", hint)
        return
    if len(parts.nodes) < len(parts.raw("nodes")):
        return  # a node with a fault of its own may be the one that has the volume
    node = home(tracing, parts.nodes.values())
    volume = volume_of(tracing, node) if node is not None else None
    if node is None or volume is None:
        who = f"node {tracing.node}" if tracing.node else "no node"
        message = f"{who} has {'no' if tracing.node else 'a'} data volume {tracing.volume}"
        hint = f"nodes[].volumes: [{{name: {tracing.volume}, size: 16GiB, mount: /srv/{tracing.volume}}}]"
        yield parts.document.problem(_nearest(parts, "volume", "node"), message, hint)
        return
    if not tracing.fits(volume.size):
        yield _too_small(parts, tracing, node.name, volume.size)
    if tracing.memory * 2 > node.memory:
        message = f"Zipkin and its database want {format_size(tracing.memory)}, and node {node.name} has {format_size(node.memory)}"
        hint = "half of a node's memory at the most: less memory, or another node"
        yield parts.document.problem(_nearest(parts, "memory"), message, hint)


def _too_small(parts: Parts, tracing: Tracing, node: str, size: int) -> Problem:
    least = tracing.room(size) * ROOM + RESERVE if tracing.max_size else 0
    message = f"volume {tracing.volume} of {node} has {format_size(size)}, too little for "
    message += f"{format_size(tracing.max_size)} of traces" if tracing.max_size else "traces"
    most = max(0, size - RESERVE) // ROOM // MIB
    hint = f"max_size: {most}MiB at the most, or a volume of {format_size(least)}" if least else "1GiB at the least"
    return parts.document.problem(_nearest(parts, "max_size", "volume"), message, hint)


def _nearest(parts: Parts, *fields: str) -> Location:
    """The first of these fields that is written, else `tracing` itself."""
    return next((("tracing", name) for name in fields if parts.document.has(("tracing", name))), ("tracing",))


def _address(parts: Parts, tracing: Tracing) -> Iterator[Problem]:
    given = tracing.service_address
    if given is None or parts.kubernetes is None:
        return
    network = netaddr.IPNetwork(parts.kubernetes.service_cidr)
    owners = {str(network[offset]): f"it is {whose}" for offset, whose in GIVEN.items()}
    owners |= {str(network[0]): "it is the range's own", str(network[-1]): "it is the range's last"}
    fault = owners.get(given) or ("" if netaddr.IPAddress(given) in network else "it is not in it")
    if fault:
        message = f"{given} cannot be a Service's of {parts.kubernetes.service_cidr}: {fault}"
        hint = f"leave it out for the {SERVICE_OFFSET}th: {default_address(parts.kubernetes.service_cidr)}"
        yield parts.document.problem(("tracing", "service_address"), message, hint)


def _bundle(parts: Parts) -> Iterator[Problem]:
    without, having = BUILT
    if parts.kubernetes is not None and parts.kubernetes.bundle == without:
        written = parts.document.has(("kubernetes", "bundle"))
        where = ("kubernetes", "bundle") if written else _nearest(parts, "kind")
        hint = f"kubernetes.bundle: {having}, made by `meshctl bundle build --from {without} --with tracing`"
        yield parts.document.problem(where, f"the bundle {without} holds no Zipkin", hint)
