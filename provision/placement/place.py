"""Which CPUs of which host each guest gets. Pure, deterministic, explained, and it remembers: pins that are right stay.

`dedicated`: a CPU serves one vCPU, foreign domains' pins are respected, reserved CPUs carry emulator and iothreads.
`shared`: pins may overlap, up to the host's ratio, the least loaded CPUs first. A guest that one NUMA node can hold
gets one; a larger one is split evenly. A refusal is given only when no arrangement of few new guests exists
(`search.MOST_GUESTS`); beyond that, when placing them one after the other failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from provision.inventory import Cluster, Node
from provision.placement.apart import apart
from provision.placement.explain import reasons
from provision.placement.fitness import check_hosts
from provision.placement.layout import HostLayout, layout
from provision.placement.model import Pinning, Placement, Refusal, Tenant
from provision.placement.need import Need, need_of
from provision.placement.remember import remember, staying
from provision.placement.room import HostRoom, Seat, host_room
from provision.placement.search import Guest, Seated, all_of_them, hardest_first, one_by_one
from provision.placement.topology import Topology

__all__ = ["Pinning", "Placement", "Refusal", "Tenant", "place"]


def place(cluster: Cluster, topologies: Mapping[str, Topology], current: Sequence[Tenant]) -> Placement:
    """Pins for every node of the inventory, or its refusal.

    `topologies` are by host name; `current` are the guests that the hosts have now, ours and others'. Raises PlacementError
    for hosts of another architecture, and when the inventory names CPUs or NUMA nodes that a host does not have.
    """
    cluster = apart(cluster, current)
    check_hosts(cluster.hosts, {host.name: topologies[host.name] for host in cluster.hosts})
    hosts = _rooms(cluster, topologies)
    by_name = {host.host.name: host for host in hosts}
    ours = staying(cluster, by_name, current)
    found = remember(cluster, by_name, current, ours)
    guests = [
        Guest(node, index, node.host or (ours[node.name].host if node.name in ours else None))
        for index, node in enumerate(cluster.nodes)
        if node.name not in found
    ]
    found |= _seat_new(guests, hosts, cluster)
    return Placement(
        tuple(_pinning(node, *found[node.name]) for node in cluster.nodes if node.name in found),
        tuple(_refusals([guest for guest in guests if guest.node.name not in found], hosts)),
    )


def _rooms(cluster: Cluster, topologies: Mapping[str, Topology]) -> list[HostRoom]:
    """Empty hosts; those that are alike share what does not change."""
    layouts: dict[tuple[int, object, int], HostLayout] = {}
    rooms = []
    for index, host in enumerate(cluster.hosts):
        key = (id(topologies[host.name]), host.reserved_cpus, host.reserved_memory)
        if key not in layouts:
            layouts[key] = layout(host, topologies[host.name])
        rooms.append(host_room(host, index, layouts[key]))
    return rooms


def _seat_new(guests: Sequence[Guest], hosts: Sequence[HostRoom], cluster: Cluster) -> dict[str, Seated]:
    """Seats one after the other; when that leaves guests over, any arrangement that seats all."""
    ordered = hardest_first(guests, hosts)
    before = [([cell.snapshot() for cell in host.cells], dict(host.groups)) for host in hosts]
    found = one_by_one(ordered, hosts, cluster.placement)
    if len(found) == len(guests) or len(guests) == 1:
        return found
    after = [([cell.snapshot() for cell in host.cells], host.groups) for host in hosts]
    _restore(hosts, before)
    everyone = all_of_them(ordered, hosts, cluster.placement)
    if everyone is None:
        _restore(hosts, after)
    return found if everyone is None else everyone


def _restore(hosts: Sequence[HostRoom], states: Sequence[tuple[list[tuple[object, ...]], dict[str, str]]]) -> None:
    for host, (cells, groups) in zip(hosts, states, strict=True):
        host.groups = groups
        for cell, snapshot in zip(host.cells, cells, strict=True):
            cell.restore(snapshot)


def _refusals(guests: Sequence[Guest], hosts: Sequence[HostRoom]) -> list[Refusal]:
    """Reasons against what is left in the end; like guests are refused for like reasons."""
    known: dict[tuple[object, ...], tuple[str, ...]] = {}
    found = []
    for guest in guests:
        node = guest.node
        key = (guest.host, node.cpu, node.vcpus, node.memory, node.hugepages, node.numa_cells, node.group)
        if key not in known:
            known[key] = tuple(_reasons(guest, hosts))
        needs = str(need_of(node, hosts[0].host))
        if guest.host is not None:
            needs += f" on {guest.host}" + ("" if node.host else ", where its volumes are")
        found.append(Refusal(node.name, needs, known[key]))
    return found


def _reasons(guest: Guest, hosts: Sequence[HostRoom]) -> list[str]:
    allowed = [host for host in hosts if guest.host in (None, host.host.name)]
    need_per_host = [(host, need_of(guest.node, host.host)) for host in allowed]
    found = [line for host, need in need_per_host for line in reasons(host, need, guest.node.group)]
    return found or [f"there is no host {guest.host}"]


def _pinning(node: Node, host: HostRoom, seats: tuple[Seat, ...]) -> Pinning:
    need = need_of(node, host.host)
    share = need.share(len(seats))
    pins = tuple(cpu for seat in seats for cpu in seat.cpus)
    housekeeping = _housekeeping(host, need, seats, pins)
    cells = tuple(host.layout.cells[seat.cell].id for seat in seats)
    return Pinning(
        node=node.name,
        host=host.host.name,
        cells=cells,
        vcpu_pins=pins,
        emulator_cpus=housekeeping,
        iothread_cpus=housekeeping,
        hugepages=tuple((cell, need.page_kib, share.pages) for cell in cells) if need.page_kib else (),
        exclusive=need.dedicated,
        threads=_threads(host, seats) if need.dedicated else 1,
    )


def _housekeeping(host: HostRoom, need: Need, seats: Sequence[Seat], pins: tuple[int, ...]) -> tuple[int, ...]:
    """CPUs of emulator and iothread: its own one; else the reserved ones of its cells, or of the host.

    Where nothing is reserved: the guest's own CPUs (dedicated), or all of its cells (shared). Nova pins the one
    iothread that it gives to a guest like the emulator.
    """
    if seats[0].emulator is not None:
        return (seats[0].emulator,)
    cells = [host.layout.cells[seat.cell] for seat in seats]
    near = tuple(sorted(cpu for cell in cells for cpu in cell.reserved))
    if near or host.layout.reserved:
        return near or host.layout.reserved
    if need.dedicated or not host.shared:
        return tuple(sorted(set(pins)))
    return tuple(sorted(cpu for cell in cells for cpu in cell.cpus))


def _threads(host: HostRoom, seats: Sequence[Seat]) -> int:
    """How many successive vCPUs share a core, the same on every core; 1 when that is not so."""
    cores = [[(seat.cell, host.layout.cells[seat.cell].core_of[cpu]) for cpu in seat.cpus] for seat in seats]
    size = cores[0].count(cores[0][0])
    chunks = [part[start : start + size] for part in cores for start in range(0, len(part), size)]
    even = all(len(chunk) == size and len(set(chunk)) == 1 for chunk in chunks)
    return size if even and len({chunk[0] for chunk in chunks}) == len(chunks) else 1
