"""Placement as a small map: per host and NUMA node who is on which core. For people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from provision.inventory import Cluster
from provision.placement.layout import reserved_cpus
from provision.placement.model import Pinning, Placement, Tenant
from provision.topology import Cell, Topology

SHOWN_FREE = 8
"""Free cores that are listed one by one; more are only counted."""


def as_map(
    placement: Placement, cluster: Cluster, topologies: Mapping[str, Topology], current: Sequence[Tenant] = ()
) -> str:
    """One line per host and cell; siblings of one core are joined by +. `current`: foreign guests are shown too."""
    lines = []
    for host in cluster.hosts:
        topology = topologies[host.name]
        held = {"host": set(reserved_cpus(host, topology))}
        held |= _foreign(topology, [tenant for tenant in current if tenant.host == host.name])
        for pinning in placement.pinnings:
            if pinning.host == host.name:
                held |= _ours(pinning, cluster, topology, held["host"])
        lines += [f"{host.name} cell {cell.id}: {' | '.join(_owners(cell, held))}" for cell in topology.cells]
    return "\n".join(lines)


def _foreign(topology: Topology, tenants: Sequence[Tenant]) -> dict[str, set[int]]:
    everything = {cpu.id for cpu in topology.cpus}
    theirs = [tenant for tenant in tenants if tenant.node is None]
    return {
        f"({tenant.name})": {cpu for cpus in tenant.vcpu_cpus if cpus < everything for cpu in cpus} for tenant in theirs
    }


def _ours(pinning: Pinning, cluster: Cluster, topology: Topology, reserved: set[int]) -> dict[str, set[int]]:
    node, pins, emulator = cluster.node(pinning.node), set(pinning.vcpu_pins), set(pinning.emulator_cpus)
    held = {pinning.node: pins}
    if node.cpu.emulator == "isolated":
        held[f"{pinning.node}'s emulator"] = emulator
    if pinning.exclusive and node.cpu.threads == "isolate":
        idle = {sibling for cpu in topology.cpus if cpu.id in pins for sibling in cpu.siblings}
        held[f"idle for {pinning.node}"] = idle - pins - reserved
    return held


def _owners(cell: Cell, held: Mapping[str, set[int]]) -> Iterator[str]:
    for owner, cpus in held.items():
        if cores := _cores(cell, cpus):
            yield f"{owner} {' '.join(cores)}"
    free = _cores(cell, {cpu.id for cpu in cell.cpus} - set[int]().union(*held.values()))
    if free:
        yield f"free {' '.join(free)}" if len(free) <= SHOWN_FREE else f"free on {len(free)} cores"


def _cores(cell: Cell, cpus: set[int]) -> list[str]:
    """`1+5 2`: the given CPUs of each core."""
    cores = {min(cpu.siblings): sorted(cpu.siblings & cpus) for cpu in cell.cpus if cpu.siblings & cpus}
    return ["+".join(map(str, core)) for _, core in sorted(cores.items())]
