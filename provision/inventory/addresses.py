"""Addresses of nodes, subnets of their pods and MAC addresses: all derived, none stored.

A node's slot in the network comes from a hash of its name, so that adding or removing a node moves no other.
Where two names hash to one slot the later one in the inventory takes the next free slot; addresses that are in
use already (`remembered`, read from the stamps) and addresses fixed by the inventory come first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import netaddr

SMALLEST_POD_PREFIX = 28
"""A /28 gives 13 pods a node: fewer cannot hold Kubernetes' own pods and the mesh."""


class NetworkLike(Protocol):
    """What `inventory.Network` has that addresses need."""

    @property
    def gateway_address(self) -> str: ...  # noqa: D102

    def node_range(self) -> tuple[str, str]: ...  # noqa: D102


class NodeLike(Protocol):
    """What `inventory.Node` has that addresses need."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def address(self) -> str | None: ...  # noqa: D102


@dataclass(frozen=True)
class Taken:
    """What others have, and nobody is given a second time: addresses, and subnets of pods."""

    addresses: frozenset[str] = frozenset()
    pod_subnets: frozenset[str] = frozenset()

    def with_addresses(self, more: Iterable[str]) -> Taken:
        """The same and these addresses."""
        return Taken(self.addresses | frozenset(more), self.pod_subnets)

    def has(self, address: str, subnet: str) -> bool:
        """Whether somebody has this address, or a part of this subnet."""
        if address in self.addresses:
            return True
        ours = netaddr.IPNetwork(subnet) if self.pod_subnets else None
        return ours is not None and any(
            ours.first <= theirs.last and theirs.first <= ours.last
            for theirs in map(netaddr.IPNetwork, self.pod_subnets)
        )


NOTHING_TAKEN = Taken()


class TooSmall(ValueError):
    """A CIDR cannot hold what must come from it."""


def slots(network: NetworkLike) -> int:
    """How many addresses the node range spans, the gateway's included when it lies inside."""
    first, last = (int(netaddr.IPAddress(end)) for end in network.node_range())
    return last - first + 1


def node_addresses(
    network: NetworkLike,
    nodes: Iterable[NodeLike],
    remembered: Mapping[str, str] | None = None,
    free: Callable[[str], bool] = lambda _: True,
) -> dict[str, str]:
    """Address of every node, by name; derived ones are those that `free` lets pass. Raises TooSmall when there are more nodes than
    addresses.
    """
    nodes = tuple(nodes)
    first, last = (int(netaddr.IPAddress(end)) for end in network.node_range())
    given = {node.name: node.address or (remembered or {}).get(node.name) for node in nodes}
    addresses = {name: address for name, address in given.items() if address}
    taken = {int(netaddr.IPAddress(network.gateway_address)), *(int(netaddr.IPAddress(a)) for a in addresses.values())}
    for node in nodes:
        if node.name not in addresses:
            addresses[node.name] = _next_free(node.name, first, last, taken, free)
    return {node.name: addresses[node.name] for node in nodes}


def _next_free(name: str, first: int, last: int, taken: set[int], free: Callable[[str], bool]) -> str:
    count = last - first + 1
    start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % count
    for step in range(count):
        candidate = first + (start + step) % count
        address = str(netaddr.IPAddress(candidate))
        if candidate not in taken and free(address):
            taken.add(candidate)
            return address
    raise TooSmall(f"no address is left for node {name}: the range has {count}")


def pod_prefix_length(network: NetworkLike, pod_cidr: str) -> int:
    """Length of a node's pod prefix, so that every address slot has a subnet of its own: 24 for a /24 in a /16.

    Raises TooSmall when that leaves fewer than 16 addresses for a node's pods.
    """
    bits = slots(network).bit_length()  # slots 0 … n, as slot 0 stays unused
    length = netaddr.IPNetwork(pod_cidr).prefixlen + bits
    if length > SMALLEST_POD_PREFIX:
        raise TooSmall(
            f"{pod_cidr} cannot give each of {slots(network)} addresses a pod subnet of a /{SMALLEST_POD_PREFIX} or larger"
        )
    return int(max(length, 24))


def pod_subnets(network: NetworkLike, pod_cidr: str, addresses: Mapping[str, str]) -> dict[str, str]:
    """`pod_subnet` of many nodes, by name: what they share is worked out once."""
    first = int(netaddr.IPAddress(network.node_range()[0]))
    length = pod_prefix_length(network, pod_cidr)
    start = int(netaddr.IPNetwork(pod_cidr).network)
    return {name: _subnet(int(netaddr.IPAddress(one)) - first + 1, start, length) for name, one in addresses.items()}


def pod_subnet(network: NetworkLike, pod_cidr: str, address: str) -> str:
    """The pod subnet of the node at `address`: it follows from the address alone, so it moves no more than that does."""
    return pod_subnets(network, pod_cidr, {"": address})[""]


def _subnet(slot: int, start: int, length: int) -> str:
    # Slot 0 stays unused: with the default range, 10.77.0.61 then gets 10.244.61.0/24, which people can read.
    return f"{netaddr.IPAddress(start + (slot << (32 - length)))}/{length}"


def mac_address(owner: str, node: str) -> str:
    """The node's MAC address: QEMU's prefix 52:54:00 and 24 bits of a hash of the owner's key and the node."""
    digest = hashlib.sha256(f"{owner}/{node}".encode()).digest()
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in digest[:3])
