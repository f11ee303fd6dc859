"""Placement as a small map: per host and NUMA node who is on which core. For people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from provision.inventory import Cluster
from provision.placement.layout import reserved_cpus
from provision.placement.model import Pinning, Placement
from provision.topology import Cell, Topology

SHOWN_FREE = 8
"""Free cores that are listed one by one; more are only counted."""


def as_map(placement: Placement, cluster: Cluster, topologies: Mapping[str, Topology]) -> str:
    """One line per host and cell; siblings of one core are joined by +."""
    lines = []
    for host in cluster.hosts:
        here = [pinning for pinning in placement.pinnings if pinning.host == host.name]
        reserved = reserved_cpus(host, topologies[host.name])
        for cell in topologies[host.name].cells:
            lines.append(f"{host.name} cell {cell.id}: {' | '.join(_owners(cell, here, reserved))}")
    return "\n".join(lines)


def _owners(cell: Cell, pinnings: list[Pinning], reserved: frozenset[int]) -> Iterator[str]:
    held: dict[str, set[int]] = {"host": {cpu.id for cpu in cell.cpus} & reserved}
    for pinning in pinnings:
        held[pinning.node] = set(pinning.vcpu_pins)
        if len(pinning.emulator_cpus) == 1 and not set(pinning.emulator_cpus) & (reserved | set(pinning.vcpu_pins)):
            held[f"{pinning.node}'s emulator"] = set(pinning.emulator_cpus)
    taken: set[int] = set().union(*held.values())
    for owner, cpus in held.items():
        if cores := _cores(cell, cpus):
            yield f"{owner} {' '.join(cores)}"
    free = _cores(cell, {cpu.id for cpu in cell.cpus} - taken)
    if free:
        yield f"free {' '.join(free)}" if len(free) <= SHOWN_FREE else f"free on {len(free)} cores"


def _cores(cell: Cell, cpus: set[int]) -> list[str]:
    """`1+5 2`: the given CPUs of each core."""
    cores = {min(cpu.siblings): sorted(cpu.siblings & cpus) for cpu in cell.cpus if cpu.siblings & cpus}
    return ["+".join(map(str, core)) for _, core in sorted(cores.items())]
