"""The network of a cluster that an inventory is the template of: the one that it has on its host, else one that is free there. Reads only.

Nothing of the choice is kept but on the hypervisor: the network carries the cluster's stamp, and the next run finds it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from ipaddress import AddressValueError, IPv4Address

import netaddr

from provision.base.errors import MeshctlError
from provision.base.shell import Shell
from provision.hosts import Hypervisor, host_shell, routed
from provision.inventory import Cluster, bridge_names, free_range, parse_jump, parse_uri, placed_in
from provision.libvirt_xml import DomainSeen, NetworkSeen
from provision.run.identity import things_on

Ask = Callable[[], Iterable[str]]


def with_own_network(cluster: Cluster, hypervisors: Mapping[str, Hypervisor]) -> Cluster:
    """The cluster with a network of its own. Under mode bridge that is the hosts' bridge, and nobody is asked.

    A host that does not answer is met again by whoever needs it. Raises InventoryError when no range is free.
    """
    if cluster.network.mode == "bridge":
        return cluster
    host = cluster.hosts[0]  # nat is for one host: the loader refuses others
    door = hypervisors[host.name]
    domains, networks = things_on(door) or ((), ())
    return settled(cluster, domains, networks, lambda: _routes(host_shell(host, door.calls)))


def settled(cluster: Cluster, domains: Iterable[DomainSeen], networks: Iterable[NetworkSeen], routes: Ask) -> Cluster:
    """The same, from what was seen on the host; `routes` is asked where a range is to be found.

    By the name alone: whether a cluster of this name is ours is judged later, from the seeds that this network is part of.
    """
    networks = tuple(networks)
    for one in networks:
        if one.stamp is not None and one.stamp.cluster == cluster.cluster and one.addresses:
            return placed_in(cluster, str(netaddr.IPNetwork(one.addresses[0]).cidr), one.bridge)
    bridges = {one.bridge for one in networks}
    bridge = next(name for name in bridge_names(cluster.cluster) if name not in bridges)
    if (former := _range_of_guests(cluster, domains)) is not None:
        return placed_in(cluster, former, bridge)
    taken = [str(netaddr.IPNetwork(address).cidr) for one in networks for address in one.addresses]
    return placed_in(cluster, free_range(cluster, [*taken, *routes(), *_machines(cluster)]), bridge)


def _range_of_guests(cluster: Cluster, domains: Iterable[DomainSeen]) -> str | None:
    """The range that its guests have addresses in, where somebody took their network away."""
    stamps = (domain.stamp for domain in domains)
    addresses = (one.address for one in stamps if one and one.cluster == cluster.cluster and one.address)
    found = next(addresses, None)
    return found and str(netaddr.IPNetwork(f"{found}/{cluster.network.prefix_length}").cidr)


def _routes(shell: Shell | None) -> tuple[str, ...]:
    """What a host has a way to; nothing where it cannot be asked: libvirt refuses a range that is in use there."""
    with suppress(MeshctlError):
        return () if shell is None else routed(shell)
    return ()


def _machines(cluster: Cluster) -> Iterator[str]:
    """Addresses of the hosts and of the jump host, where the inventory says them."""
    names = [parse_uri(host.uri).host for host in cluster.hosts]
    names += [parse_jump(cluster.ssh.jump).host] if cluster.ssh.jump else []
    for name in names:
        with suppress(AddressValueError):
            yield f"{IPv4Address(name)}/32"
