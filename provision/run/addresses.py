"""Which addresses are somebody's already: our guests' own, those of every other stamped guest, and what answers on the wire. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from provision.base.errors import InventoryError, ShellError
from provision.base.parallel import for_each
from provision.base.shell import Shell
from provision.hosts import in_use
from provision.inventory import Cluster, Taken, TooSmall
from provision.placement import Pinning
from provision.plan import HostSeen, members
from provision.specs import Stamp

MOST_LOOKS = 8
"""How often the next free addresses are asked for before it is said that the network is somebody else's."""


def remembered_addresses(cluster: Cluster, hosts: Mapping[str, HostSeen]) -> dict[str, str]:
    """Addresses that our guests have, from their stamps: a node keeps its address whatever happens to others."""
    return {stamp.node: stamp.address for stamp in _ours(cluster, hosts)}


def remembered_pods(cluster: Cluster, hosts: Mapping[str, HostSeen]) -> dict[str, str]:
    """The subnets that our guests' pods have, from their stamps, where these say it: else it follows from the address."""
    return {stamp.node: stamp.pod_subnet for stamp in _ours(cluster, hosts) if stamp.pod_subnet}


def _ours(cluster: Cluster, hosts: Mapping[str, HostSeen]) -> Iterator[Stamp]:
    for domain in (domain for seen in hosts.values() for domain in seen.domains):
        stamp = domain.stamp
        if stamp is not None and stamp.cluster == cluster.cluster and stamp.node:
            yield stamp


def taken_by_others(cluster: Cluster, hosts: Mapping[str, HostSeen]) -> Taken:
    """What guests have that are no node of this inventory: other clusters', of whatever name, and nodes of ours that left it."""
    stamps = list(_strangers(cluster, hosts))
    endpoint = cluster.kubernetes.control_plane_endpoint
    shared = {stamp.endpoint for stamp in stamps if not (cluster.owner.owns(stamp) and stamp.endpoint == endpoint)}
    return Taken(
        frozenset(stamp.address for stamp in stamps if stamp.address) | (shared - {""}),
        frozenset(stamp.pod_subnet for stamp in stamps if stamp.pod_subnet),
    )


def _strangers(cluster: Cluster, hosts: Mapping[str, HostSeen]) -> Iterator[Stamp]:
    nodes = {node.name for node in cluster.nodes}
    for domain in (domain for seen in hosts.values() for domain in seen.domains):
        stamp = domain.stamp or domain.pretended
        if stamp is not None and not (domain.stamp and cluster.owner.owns(stamp) and stamp.node in nodes):
            yield stamp


def answering_addresses(
    cluster: Cluster,
    hosts: Mapping[str, HostSeen],
    pinnings: Iterable[Pinning],
    shell: Callable[[str], Shell | None],
) -> dict[str, str]:
    """Addresses that new nodes would be given and that somebody has, with who answers. Hosts without a shell are not asked.

    Asked again with the next free ones, until none of them is answered for. Raises InventoryError when there is no end to it.
    """
    used, found = sorted({pin.host for pin in pinnings}), dict[str, str]()
    bridges = {host: _bridge(cluster, hosts[host]) for host in used}
    for _ in range(MOST_LOOKS):
        asked = _new_addresses(cluster, hosts, found) - found.keys()
        heard = _heard(used, bridges, sorted(asked), shell)
        if not heard:
            return found
        found |= heard
    raise InventoryError(
        f"network.cidr: {cluster.network.cidr}: {len(found)} of the addresses that nodes would get are in use already",
        hint="`network.nodes: FIRST-LAST` names the part of the network that is yours to give",
    )


def require_endpoint(
    cluster: Cluster,
    hosts: Mapping[str, HostSeen],
    pinnings: Iterable[Pinning],
    shell: Callable[[str], Shell | None],
) -> None:
    """Raises InventoryError when the address that the control planes are to share is somebody's: by the stamps of all guests, and, as long
    as no control plane of ours can hold it, by who answers for it. Hosts without a shell are not asked.
    """
    endpoint = cluster.kubernetes.control_plane_endpoint
    if endpoint is None:
        return
    if endpoint in taken_by_others(cluster, hosts).addresses:
        raise _endpoint_taken(endpoint, "another guest or cluster on these hosts")
    if any(stamp.endpoint for stamp in _ours(cluster, hosts)):
        return
    used = sorted({pin.host for pin in pinnings})
    heard = _heard(used, {host: _bridge(cluster, hosts[host]) for host in used}, [endpoint], shell)
    if endpoint in heard:
        raise _endpoint_taken(endpoint, heard[endpoint])


def _endpoint_taken(endpoint: str, who: str) -> InventoryError:
    return InventoryError(
        f"kubernetes.control_plane_endpoint: {endpoint} is in use already: by {who}",
        hint="it needs to be a free address of network.cidr, which the control plane that serves takes",
    )


def _new_addresses(cluster: Cluster, hosts: Mapping[str, HostSeen], answering: Iterable[str]) -> set[str]:
    remembered, taken = remembered_addresses(cluster, hosts), taken_by_others(cluster, hosts).with_addresses(answering)
    try:
        given = members(cluster, remembered, {}, taken, remembered_pods(cluster, hosts))
    except TooSmall as error:
        hint = "others on these hosts have the rest: a larger network.cidr or network.nodes, or fewer nodes"
        raise InventoryError(f"network: {error}", hint=hint) from error
    return {member.address for member in given if member.name not in remembered}


def _heard(
    used: list[str], bridges: Mapping[str, str], asked: list[str], shell: Callable[[str], Shell | None]
) -> dict[str, str]:
    if not asked:
        return {}
    answers = for_each(used, lambda host: _answers(host, bridges[host], asked, shell))
    return {address: mac for one in answers for address, mac in one.items()}


def _bridge(cluster: Cluster, seen: HostSeen) -> str:
    """The bridge of the guests' network on a host: as the inventory names it, or as libvirt did; empty when there is none yet."""
    named = (network.bridge for network in seen.networks if network.name == cluster.network.name)
    return cluster.network.bridge or next(named, "")


def _answers(host: str, bridge: str, addresses: Iterable[str], shell: Callable[[str], Shell | None]) -> dict[str, str]:
    door = shell(host) if bridge else None
    try:
        return {} if door is None else in_use(door, bridge, addresses)
    except ShellError:
        return {}
