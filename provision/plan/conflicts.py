"""What stands in the way of a plan and is not ours: like-named things without our stamp. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import netaddr

from provision.libvirt_xml import NetworkSeen
from provision.plan.artifacts import artifact_conflicts
from provision.plan.observed import HostSeen, Observed
from provision.specs import Desired, GuestSpec, NetworkSpec, PoolSpec


def conflicts(wanted: Desired, observed: Observed) -> Iterator[str]:
    """Each conflict in a sentence."""
    for pool in wanted.pools:
        yield from _pool_conflicts(pool, observed.hosts[pool.host])
        for artifact in wanted.artifacts:
            yield from artifact_conflicts(artifact, pool, observed.hosts[pool.host])
    for network in wanted.networks:
        yield from _network_conflicts(network, observed.hosts[network.host])
    for guest in wanted.guests:
        yield from _guest_conflicts(guest, observed)
    yield from _taken_twice(wanted, observed)


def _pool_conflicts(pool: PoolSpec, seen: HostSeen) -> Iterator[str]:
    for other in seen.pools:
        if other.name == pool.name and (other.type, other.path) != (pool.type, pool.path):
            yield f"{pool.host}: pool {pool.name} is a {other.type} pool at {other.path}, not {pool.type} at {pool.path}"
        if other.name != pool.name and pool.path and other.path == pool.path:
            yield f"{pool.host}: {pool.path} belongs to pool {other.name}"


def _network_conflicts(network: NetworkSpec, seen: HostSeen) -> Iterator[str]:
    for other in seen.networks:
        if other.name == network.name:
            if other.not_ours:
                yield f"{network.host}: network {network.name} exists and is not ours: {other.not_ours}"
            elif other.stamp is None or other.stamp.cluster != network.cluster:
                owner = "nobody's stamp" if other.stamp is None else f"the stamp of cluster {other.stamp.cluster}"
                yield f"{network.host}: network {network.name} exists and carries {owner}"
        elif network.mode == "nat" and not _ours(network, other) and (overlap := _overlap(network, other)):
            yield f"{network.host}: network {other.name} already has {overlap}"


def _ours(network: NetworkSpec, other: NetworkSeen) -> bool:
    return other.stamp is not None and other.stamp.cluster == network.cluster


def _overlap(network: NetworkSpec, other: NetworkSeen) -> str:
    ours = netaddr.IPNetwork(f"{network.address}/{network.prefix_length}")
    for address in other.addresses:
        theirs = netaddr.IPNetwork(address)
        if theirs.version == 4 and (theirs.network in ours or ours.network in theirs):
            return str(theirs.cidr)
    return f"bridge {network.bridge}" if network.bridge and network.bridge == other.bridge else ""


def _guest_conflicts(guest: GuestSpec, observed: Observed) -> Iterator[str]:
    found = observed.hosts[guest.host].domain(guest.domain)
    if found is None:
        return
    if found.stamp is None or (found.stamp.cluster, found.stamp.node) != (guest.cluster, guest.node):
        why = f"is not ours: {found.not_ours}" if found.not_ours else "does not carry our stamp"
        yield f"{guest.host}: domain {guest.domain} exists and {why}"


def _taken_twice(wanted: Desired, observed: Observed) -> Iterator[str]:
    """Addresses and MACs of new guests that another domain has. Derived addresses pass these over; fixed ones cannot."""
    domains = [(host, domain) for host, seen in observed.hosts.items() for domain in seen.domains]
    ours = {domain.name for _, domain in domains if domain.stamp is not None and domain.stamp.cluster == wanted.cluster}
    new = [guest for guest in wanted.guests if guest.domain not in ours]
    addresses, macs = {guest.address: guest for guest in new}, {guest.mac: guest for guest in new}
    for host, other in domains:
        stamp = other.stamp or other.pretended
        if stamp is not None and (guest := addresses.get(stamp.address)):
            yield f"{host}: domain {other.name} has the address {guest.address} that the inventory gives to {guest.node}"
        for guest in (macs[mac] for mac in other.macs if mac in macs):
            yield f"{host}: domain {other.name} has the MAC address {guest.mac} that {guest.node} would get"
    for address, guest in addresses.items():
        if address in observed.answering:
            yield f"{guest.host}: {address} is meant for {guest.node} and in use: {observed.answering[address]} answers for it"
