"""Placement as a small map: per host and NUMA node who is on which core. For people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision.inventory import Cluster, Host
from provision.placement.keep import pinned
from provision.placement.layout import reserved_cpus
from provision.placement.model import Pinning, Placement, Tenant
from provision.topology import Cell, Topology

SHOWN_FREE = 8
"""Free cores that are listed one by one; more are only counted."""


@dataclass(frozen=True)
class Owner:
    """Who is on CPUs of a NUMA node: `cores` are, per core, the CPUs that it has there. `free` are nobody's."""

    name: str
    cores: tuple[tuple[int, ...], ...]
    free: bool = False

    def __str__(self) -> str:
        if self.free and len(self.cores) > SHOWN_FREE:
            return f"free on {len(self.cores)} cores"
        return " ".join([self.name, *("+".join(map(str, core)) for core in self.cores)])


@dataclass(frozen=True)
class CellMap:
    """One NUMA node of a host and its owners."""

    host: str
    cell: int
    owners: tuple[Owner, ...]

    def __str__(self) -> str:
        return f"{self.host} cell {self.cell}: {' | '.join(map(str, self.owners))}"

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        owners = [{"owner": owner.name, "cores": [list(core) for core in owner.cores]} for owner in self.owners]
        return {"host": self.host, "cell": self.cell, "owners": owners}


def as_map(
    placement: Placement, cluster: Cluster, topologies: Mapping[str, Topology], current: Sequence[Tenant] = ()
) -> str:
    """One line per host and cell; siblings of one core are joined by +. `current`: foreign guests are shown too."""
    return "\n".join(map(str, cell_maps(placement, cluster, topologies, current)))


def cell_maps(
    placement: Placement, cluster: Cluster, topologies: Mapping[str, Topology], current: Sequence[Tenant] = ()
) -> tuple[CellMap, ...]:
    """The map, as data."""
    return tuple(
        CellMap(host.name, cell.id, tuple(_owners(cell, held)))
        for host in cluster.hosts
        for held in [_held(host, placement, cluster, topologies[host.name], current)]
        for cell in topologies[host.name].cells
    )


def _held(
    host: Host, placement: Placement, cluster: Cluster, topology: Topology, current: Sequence[Tenant]
) -> dict[str, set[int]]:
    """CPUs by owner: the host itself, foreign guests, ours."""
    held = {"host": set(reserved_cpus(host, topology))}
    held |= _foreign(topology, [tenant for tenant in current if tenant.host == host.name])
    for pinning in placement.pinnings:
        if pinning.host == host.name:
            held |= held_by(pinning, cluster, topology)
    return held


def _foreign(topology: Topology, tenants: Sequence[Tenant]) -> dict[str, set[int]]:
    online = frozenset(cpu.id for cpu in topology.cpus)
    theirs = [tenant for tenant in tenants if tenant.node is None]
    return {f"({one.name})": {cpu for cpus in one.vcpu_cpus for cpu in pinned(cpus, online)} for one in theirs}


def held_by(pinning: Pinning, cluster: Cluster, topology: Topology) -> dict[str, set[int]]:
    """CPUs that a guest of ours has: its own, its emulator's where that has one alone, those that stay idle for it."""
    node, pins, emulator = cluster.node(pinning.node), set(pinning.vcpu_pins), set(pinning.emulator_cpus)
    held = {pinning.node: pins}
    if node.cpu.emulator == "isolated":
        held[f"{pinning.node}'s emulator"] = emulator
    if pinning.exclusive and node.cpu.threads == "isolate":
        idle = {sibling for cpu in topology.cpus if cpu.id in pins for sibling in cpu.siblings}
        held[f"idle for {pinning.node}"] = idle - pins - reserved_cpus(cluster.host(pinning.host), topology)
    return held


def _owners(cell: Cell, held: Mapping[str, set[int]]) -> Iterator[Owner]:
    for owner, cpus in held.items():
        if cores := _cores(cell, cpus):
            yield Owner(owner, cores)
    free = _cores(cell, {cpu.id for cpu in cell.cpus} - set[int]().union(*held.values()))
    if free:
        yield Owner("free", free, free=True)


def _cores(cell: Cell, cpus: set[int]) -> tuple[tuple[int, ...], ...]:
    """The given CPUs of each core."""
    cores = {min(cpu.siblings): tuple(sorted(cpu.siblings & cpus)) for cpu in cell.cpus if cpu.siblings & cpus}
    return tuple(core for _, core in sorted(cores.items()))
