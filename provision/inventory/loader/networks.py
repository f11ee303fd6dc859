"""Ranges of addresses: what none of the guests' networks can be, and whose addresses they must not hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from provision.base.errors import Problem
from provision.inventory.jump import parse_jump
from provision.inventory.loader.document import Document, Location, field_name
from provision.inventory.loader.rules import Parts
from provision.inventory.model import Cluster, Network
from provision.inventory.uri import parse_uri

TAKEN = {
    "0.0.0.0/8": "is this network itself (RFC 791)",
    "127.0.0.0/8": "is loopback (RFC 1122)",
    "169.254.0.0/16": "is link-local (RFC 3927)",
    "172.17.0.0/16": "is docker0's, in each guest",
    "224.0.0.0/4": "is multicast (RFC 5771)",
    "240.0.0.0/4": "is reserved (RFC 1112)",
}
"""What no network of guests can be."""

PRIVATE = "take one of 10.0.0.0/8, 172.16.0.0/12 (but 172.17.0.0/16), 192.168.0.0/16"

BRIDGES = re.compile(
    r"docker0|lo|all|default|virbr[0-9]+|cni0|br-[0-9a-f]{12}|eth[0-9]+|en[ops][a-z0-9]+|wl[a-z0-9]+|\.\.?"
)
"""Names that another program's bridge or a network card has, or that no device can have."""

DEFAULT = "192.168.122.0/24"
"""libvirt's own network `default`, on virbr0."""


def problems(parts: Parts) -> Iterator[Problem]:
    """Every range that cannot be, or that holds an address of a host."""
    for location, cidr in _ranges(parts):
        kind = next(
            (f"{one} {what}" for one, what in TAKEN.items() if IPv4Network(one).overlaps(IPv4Network(cidr))), ""
        )
        if kind:
            yield parts.document.problem(location, f"{cidr} cannot be: {kind}", PRIVATE)
        elif location == ("network", "cidr") and parts.network is not None:
            yield from _hypervisors_network(parts, parts.network)
    if parts.network is not None:
        yield from _network_faults(parts, parts.network)


def doubts(document: Document, cluster: Cluster) -> Iterator[Problem]:
    """Ranges of addresses that belong to somebody on the Internet, whom guests then cannot reach."""
    for location, cidr in _ranges_of(cluster.network, cluster.kubernetes.pod_cidr, cluster.kubernetes.service_cidr):
        if IPv4Network(cidr).is_global:
            yield document.warning(
                location, f"{cidr} are addresses of the Internet", f"unless they are yours, {PRIVATE}"
            )

    network = cluster.network
    if network.mode == "nat" and IPv4Network(DEFAULT).overlaps(IPv4Network(network.cidr)):
        yield document.warning(("network", "cidr"), f"{DEFAULT} is libvirt's own network default", PRIVATE)
    if network.name == "default":
        yield document.warning(("network", "name"), "libvirt has a network default of its own", "another name: meshctl")
    jump = cluster.ssh.jump or ""
    if re.search(r":22(22)?$", jump) and parse_jump(jump).port is None:
        message = f"the whole of {jump} is an address, and 22 no port"
        yield document.warning(("ssh", "jump"), message, "an address with a port is written [2001:db8::1]:22")


def _ranges(parts: Parts) -> Iterator[tuple[Location, str]]:
    kubernetes = parts.kubernetes
    pods, services = (kubernetes.pod_cidr, kubernetes.service_cidr) if kubernetes is not None else ("", "")
    return _ranges_of(parts.network, pods, services)


def _ranges_of(network: Network | None, pods: str, services: str) -> Iterator[tuple[Location, str]]:
    if network is not None:
        yield ("network", "cidr"), network.cidr
    if pods:
        yield ("kubernetes", "pod_cidr"), pods
        yield ("kubernetes", "service_cidr"), services


def _hypervisors_network(parts: Parts, network: Network) -> Iterator[Problem]:
    """Under nat libvirt makes the network on the host, which must be outside; a bridge joins one that the host is in."""
    if network.mode == "nat":
        if IPv4Network(network.cidr).is_global:
            message = f"{network.cidr} are addresses of the Internet, which no guest would reach any more"
            yield parts.document.problem(("network", "cidr"), message, PRIVATE)
        for address, where in _addresses_of_others(parts):
            if address in IPv4Network(network.cidr):
                message = f"{network.cidr} holds {address}, which is {field_name(where)}"
                hint = "under nat the network is made anew: a range that no machine has an address in"
                yield parts.document.problem(("network", "cidr"), message, hint)
        return
    first, last = map(IPv4Address, network.node_range())
    for address, where in _addresses_of_others(parts):
        field = "nodes" if network.nodes else "cidr"
        if first <= address <= last:
            message = f"nodes may get {address}, which is {field_name(where)}"
            hint = "network.nodes: a part of the network that is free, FIRST-LAST"
            yield parts.document.problem(("network", field), message, hint)


def _addresses_of_others(parts: Parts) -> Iterator[tuple[IPv4Address, Location]]:
    """Addresses of hosts and of the jump host, where the inventory says them, and where it does."""
    named: list[tuple[str, Location]] = [
        (parse_uri(host.uri).host, ("hosts", index, "uri")) for index, host in parts.hosts.items()
    ]
    ssh = parts.document.value.get("ssh") if isinstance(parts.document.value, dict) else None
    jump = ssh.get("jump") if isinstance(ssh, dict) else None
    with suppress(ValueError):  # the model says it
        named += [(parse_jump(jump).host, ("ssh", "jump"))] if isinstance(jump, str) else []
    for text, where in named:
        try:
            yield IPv4Address(text), where
        except AddressValueError:
            continue


def _network_faults(parts: Parts, network: Network) -> Iterator[Problem]:
    first, last = map(IPv4Address, network.node_range())
    for index, server in enumerate(network.nameservers):
        address = IPv4Address(server)
        if address.is_loopback or address.is_multicast or address.is_reserved or address.is_unspecified:
            message = f"{server} is not a server that a guest can ask"
            hint = "127.0.0.53 is a machine's own: resolvectl status shows whom it asks"
            yield parts.document.problem(("network", "nameservers", index), message, hint)
        elif server != network.gateway_address and first <= address <= last:
            message, hint = f"nodes may get {server}", "network.nodes: a part of the network that is free, FIRST-LAST"
            yield parts.document.problem(("network", "nameservers", index), message, hint)
    if network.mode == "nat" and BRIDGES.fullmatch(network.bridge or ""):
        yield parts.document.problem(
            ("network", "bridge"), f"{network.bridge} is another's", "a name of its own: meshbr0"
        )
