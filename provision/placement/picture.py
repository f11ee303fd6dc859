"""Placement as a small map: per host and NUMA node who is on which core, and who has which memory. For people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision.base.cpu_lists import cpu_list
from provision.base.units import KIB
from provision.inventory import Cluster, Host, Node
from provision.placement.keep import memory_of, own_threads, pinned
from provision.placement.layout import CellLayout, HostLayout, layout
from provision.placement.model import Pinning, Placement, Tenant
from provision.placement.remember import staying
from provision.placement.topology import Cell, Topology

SHOWN_FREE = 8
"""Free cores that are listed one by one; more are only counted."""


@dataclass(frozen=True)
class Who:
    """Somebody on CPUs or in memory. `kind` is host, foreign, guest, emulator, idle, pages or free; `of` the guest's name."""

    kind: str
    of: str = ""

    def __str__(self) -> str:
        forms = {"foreign": "({})", "guest": "{}", "emulator": "{}'s emulator", "idle": "idle for {}"}
        return forms.get(self.kind, self.kind).format(self.of)


HOST, PAGES, FREE = Who("host"), Who("pages"), Who("free")


_Guest = tuple[Node, Pinning]
"""A node and where it runs."""


@dataclass(frozen=True)
class Owner:
    """Who is on CPUs of a NUMA node: `cores` are, per core, the CPUs that it has there."""

    who: Who
    cores: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        if self.who == FREE and len(self.cores) > SHOWN_FREE:
            return f"free on {len(self.cores)} cores"
        return " ".join([str(self.who), *("+".join(map(str, core)) for core in self.cores)])


@dataclass(frozen=True)
class Stock:
    """Memory of one NUMA node and who has how much of it: in MiB, or in huge pages of `page_kib`."""

    page_kib: int
    total: int
    held: tuple[tuple[Who, int], ...]

    @property
    def free(self) -> int:
        """What nobody has."""
        return max(0, self.total - sum(amount for _, amount in self.held))


@dataclass(frozen=True)
class CellMap:
    """One NUMA node of a host, its owners, and its memory: ordinary memory first, then each size of huge pages.

    `efficient` are the CPUs of its slow cores, on a hybrid machine.
    """

    host: str
    cell: int
    owners: tuple[Owner, ...]
    stocks: tuple[Stock, ...]
    efficient: tuple[int, ...] = ()

    def __str__(self) -> str:
        slow = f" (efficient cores {cpu_list(self.efficient)})" if self.efficient else ""
        return f"{self.host} cell {self.cell}{slow}: {' | '.join(map(str, self.owners)) or 'no CPUs'}"

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        owners = [{"owner": str(owner.who), "cores": [list(core) for core in owner.cores]} for owner in self.owners]
        return {"host": self.host, "cell": self.cell, "efficient": list(self.efficient), "owners": owners}


def as_map(
    placement: Placement, cluster: Cluster, topologies: Mapping[str, Topology], current: Sequence[Tenant] = ()
) -> str:
    """One line per host and cell; siblings of one core are joined by +. `current`: foreign guests are shown too."""
    return "\n".join(map(str, cell_maps(placement, cluster, topologies, current)))


def cell_maps(
    placement: Placement, cluster: Cluster, topologies: Mapping[str, Topology], current: Sequence[Tenant] = ()
) -> tuple[CellMap, ...]:
    """The map, as data."""
    ours = staying(cluster, topologies, current)
    nodes = {node.name: node for node in cluster.nodes}
    guests: dict[str, list[_Guest]] = defaultdict(list)
    for pinning in placement.pinnings:
        guests[pinning.host].append((nodes[pinning.node], pinning))
    others: dict[str, list[Tenant]] = defaultdict(list)
    for tenant in current:
        if ours.get(tenant.node or "") is not tenant:
            others[tenant.host].append(tenant)
    return tuple(
        cell_map
        for host in cluster.hosts
        for cell_map in _of_host(host, topologies[host.name], guests[host.name], others[host.name])
    )


def _of_host(host: Host, topology: Topology, guests: Sequence[_Guest], others: Sequence[Tenant]) -> Iterator[CellMap]:
    """`others` are guests that placement does not move: foreign ones, and ours that should go."""
    plan = layout(host, topology)
    held = {HOST: set(plan.reserved)} | _foreign(plan, others)
    for guest in guests:
        held |= held_by(guest, topology, held[HOST])
    for index, cell in enumerate(topology.cells):
        stocks = _stocks(index, cell, plan, guests, others)
        slow = tuple(sorted(cpu.id for cpu in cell.cpus if cpu.id in topology.efficient))
        yield CellMap(host.name, cell.id, tuple(_owners(cell, held)), tuple(stocks), slow)


def _foreign(plan: HostLayout, others: Sequence[Tenant]) -> dict[Who, set[int]]:
    return {
        Who("foreign", one.name): {cpu for cpus in one.vcpu_cpus for cpu in pinned(cpus, plan.online)}
        | (own_threads(plan.cpus_of_cells, one) - set(plan.reserved))
        for one in others
    }


def held_by(guest: tuple[Node, Pinning], topology: Topology, reserved: Collection[int]) -> dict[Who, set[int]]:
    """CPUs that a guest of ours has: its own, its emulator's where that has one alone, those that stay idle for it."""
    node, pinning = guest
    pins, emulator = set(pinning.vcpu_pins), set(pinning.emulator_cpus)
    held = {Who("guest", pinning.node): pins}
    if node.cpu.emulator == "isolated":
        held[Who("emulator", pinning.node)] = emulator
    if pinning.exclusive and node.cpu.threads == "isolate":
        idle = {sibling for cpu in topology.cpus if cpu.id in pins for sibling in cpu.siblings}
        held[Who("idle", pinning.node)] = idle - pins - set(reserved)
    return held


def _owners(cell: Cell, held: Mapping[Who, set[int]]) -> Iterator[Owner]:
    for who, cpus in held.items():
        if cores := _cores(cell, cpus):
            yield Owner(who, cores)
    free = _cores(cell, {cpu.id for cpu in cell.cpus} - set[int]().union(*held.values()))
    if free:
        yield Owner(FREE, free)


def _cores(cell: Cell, cpus: set[int]) -> tuple[tuple[int, ...], ...]:
    """The given CPUs of each core."""
    cores = {min(cpu.siblings): tuple(sorted(cpu.siblings & cpus)) for cpu in cell.cpus if cpu.siblings & cpus}
    return tuple(core for _, core in sorted(cores.items()))


# ── memory ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _stocks(
    index: int, cell: Cell, plan: HostLayout, guests: Sequence[_Guest], others: Sequence[Tenant]
) -> Iterator[Stock]:
    theirs = [
        (Who("foreign", one.name), page_kib, mib)
        for one in others
        for (cell_index, page_kib), mib in _summed(memory_of(plan, one)).items()
        if cell_index == index
    ]
    here = [(node, pin) for node, pin in guests if cell.id in pin.cells]
    ours = [(Who("guest", node.name), _page_kib(pin), node.memory_mib // len(pin.cells)) for node, pin in here]
    aside = _set_aside(cell, plan.cells[index])
    ordinary = [*aside, *((who, mib) for who, page_kib, mib in (*theirs, *ours) if not page_kib)]
    yield Stock(0, cell.memory_mib, tuple((who, mib) for who, mib in ordinary if mib))
    for size, count in cell.hugepages:
        paged = ((who, -(-mib * KIB // size)) for who, page_kib, mib in (*theirs, *ours) if page_kib == size)
        if count:
            yield Stock(size, count, tuple((who, pages) for who, pages in paged if pages))


def _summed(memory: Iterable[tuple[int, int, int]]) -> dict[tuple[int, int], int]:
    """MiB by cell and page size."""
    found: dict[tuple[int, int], int] = defaultdict(int)
    for cell, mib, page_kib in memory:
        found[cell, page_kib] += mib
    return found


def _page_kib(pinning: Pinning) -> int:
    return pinning.hugepages[0][1] if pinning.hugepages else 0


def _set_aside(cell: Cell, plan: CellLayout) -> list[tuple[Who, int]]:
    """What is the host's own, and what is set aside as huge pages."""
    paged_mib = sum(size * count for size, count in cell.hugepages) // KIB
    return [(HOST, max(0, cell.memory_mib - paged_mib - plan.memory_mib)), (PAGES, paged_mib)]
