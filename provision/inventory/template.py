"""An inventory as a template: the same cluster under another name, beside the inventory's own and beside others. Pure.

What two clusters on one host cannot both have is made anew: name, owner's id, libvirt's network, under nat also its range of addresses and
its bridge. Which range is free is seen on the host; here are those that could be taken, in an order that the name alone decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice

import netaddr

from provision.base.errors import InventoryError
from provision.base.scalars import NAME
from provision.inventory.loader.networks import DEFAULT, TAKEN
from provision.inventory.model import Cluster, Network

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918."""

MOST = 4096
"""Ranges that are tried in each of them before it is said that none is free."""


def named(cluster: Cluster, name: str) -> Cluster:
    """The cluster that `--name` makes of an inventory. Raises InventoryError for a name that is none, or the inventory's own.

    Its id follows from the inventory's where that says one, so that every machine of a pipeline knows it.
    """
    if NAME.fullmatch(name) is None:
        raise InventoryError(f"--name: {name!r} is not a name", hint=_better(name))
    if name == cluster.cluster:
        raise InventoryError(f"--name: {name} is the inventory's own cluster", hint="leave --name out, or take another")
    update: dict[str, object] = {
        "cluster": name,
        "id": cluster.id and _digest(f"{cluster.id}/{name}")[:16],
        "id_file": cluster.id_file and f"{cluster.id_file}-{name}",
        "network": cluster.network.model_copy(update={"name": f"mesh-{name}"}),
    }
    if cluster.network.mode == "bridge":  # the same range as the inventory's own: no address of that
        _refuse_endpoint(cluster)
        update["nodes"] = tuple(node.model_copy(update={"address": None}) for node in cluster.nodes)
    return cluster.model_copy(update=update)


def _refuse_endpoint(cluster: Cluster) -> None:
    """Raises InventoryError for an address that the inventory's own cluster has, and that no other can be found for."""
    if cluster.kubernetes.control_plane_endpoint is not None:
        raise InventoryError(
            "--name: kubernetes.control_plane_endpoint is the inventory's own cluster's, and mode bridge has no other range",
            hint="an inventory with network.mode nat, or one of its own for this cluster, with another endpoint",
        )


def _better(name: str) -> str:
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in name.lower()).split()
    good = "-".join(words)[:63].rstrip("-")
    rule = "lower-case letters, digits and inner hyphens, at most 63 (a DNS label)"
    return f"{rule}: {good}" if good else rule


def placed_in(cluster: Cluster, cidr: str, bridge: str) -> Cluster:
    """The cluster with its network in another range of the same size, in which addresses keep their distance from the beginning."""
    said = cluster.network
    offset = int(netaddr.IPNetwork(cidr).network) - int(netaddr.IPNetwork(said.cidr).network)

    def moved(address: str) -> str:
        inside = netaddr.IPAddress(address) in netaddr.IPNetwork(said.cidr)
        return str(netaddr.IPAddress(int(netaddr.IPAddress(address)) + offset)) if inside else address

    network: Network = said.model_copy(
        update={
            "cidr": cidr,
            "bridge": bridge,
            "gateway": said.gateway and moved(said.gateway),
            "nodes": said.nodes and "-".join(map(moved, said.nodes.split("-"))),
            "nameservers": tuple(map(moved, said.nameservers)),
        }
    )
    nodes = tuple(
        node.model_copy(update={"address": moved(node.address)}) if node.address else node for node in cluster.nodes
    )
    endpoint = cluster.kubernetes.control_plane_endpoint
    kubernetes = cluster.kubernetes.model_copy(update={"control_plane_endpoint": endpoint and moved(endpoint)})
    return cluster.model_copy(update={"network": network, "nodes": nodes, "kubernetes": kubernetes})


def bridge_names(name: str) -> Iterator[str]:
    """Names for the bridge, which Linux wants in 15 characters: by a hash of the cluster's name."""
    for number in range(MOST):
        yield f"mesh{_digest(f'{name}/{number}')[:8]}"


def free_range(cluster: Cluster, taken: Iterable[str]) -> str:
    """A private range of the size of the cluster's that overlaps none of `taken`, nor what the inventory itself has.

    Raises InventoryError when there is none.
    """
    kubernetes, length = cluster.kubernetes, cluster.network.prefix_length
    own = (cluster.network.cidr, kubernetes.pod_cidr, kubernetes.service_cidr, DEFAULT, *TAKEN)
    full = netaddr.IPSet([*own, *taken])
    for candidate in _ranges(cluster.cluster, cluster.network.cidr, length):
        if full.isdisjoint(netaddr.IPSet([candidate])):
            return str(candidate)
    raise InventoryError(
        f"network.cidr: no private range of a /{length} is free for cluster {cluster.cluster}",
        hint="a smaller network in the inventory, or `meshctl gc`",
    )


def _ranges(name: str, cidr: str, length: int) -> Iterator[netaddr.IPNetwork]:
    """Those of the block that the inventory's own range lies in come first."""
    for block in sorted(PRIVATE, key=lambda block: netaddr.IPNetwork(cidr) not in netaddr.IPNetwork(block)):
        whole = netaddr.IPNetwork(block)
        count = 1 << max(0, length - whole.prefixlen)
        start = int(_digest(name)[:12], 16) % count
        size = 1 << (32 - length)
        for step in islice(range(count if length >= whole.prefixlen else 0), MOST):
            first = int(whole.network) + (start + step) % count * size
            yield netaddr.IPNetwork(f"{netaddr.IPAddress(first)}/{length}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
