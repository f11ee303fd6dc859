"""A host's NUMA nodes as placement sees them: cores with their threads, what is reserved, memory and huge pages. Fixed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from provision.base.units import KIB, MIB
from provision.inventory import Host
from provision.placement.topology import Cell, Topology


@dataclass(frozen=True, eq=False)
class CellLayout:
    """One NUMA node. `cores` are the CPUs of each core that guests may get, `threads` how many CPUs the core has in all:
    where the two differ, a sibling is reserved. `memory_mib` is ordinary memory: without reserve and huge pages. `kinds` says of each core
    of a hybrid machine whether it is for performance or efficient, "" of all others.
    """

    id: int
    cores: tuple[tuple[int, ...], ...]
    threads: tuple[int, ...]
    reserved: tuple[int, ...]
    cpus: tuple[int, ...]
    has_memory: bool
    memory_mib: int
    pages: tuple[tuple[int, int], ...]
    kinds: tuple[str, ...]

    @cached_property
    def core_of(self) -> dict[int, int]:
        """Core number (an index into `cores`) of each CPU that guests may get."""
        return {cpu: index for index, core in enumerate(self.cores) for cpu in core}

    @property
    def most_threads(self) -> int:
        """Threads of the core that has most."""
        return max(self.threads, default=0)


@dataclass(frozen=True, eq=False)
class HostLayout:
    """All NUMA nodes of a host. `distances` are between indexes of `cells`."""

    cells: tuple[CellLayout, ...]
    distances: tuple[tuple[int, ...], ...]
    shapes: dict[Hashable, int] = field(default_factory=dict, repr=False)
    """Over how many NUMA nodes a guest goes: remembered here by `seats.parts`, as it depends on nothing that changes."""

    @cached_property
    def reserved(self) -> tuple[int, ...]:
        """All reserved CPUs."""
        return tuple(sorted(cpu for cell in self.cells for cpu in cell.reserved))

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of cores that guests may get, those for performance first."""
        return tuple(sorted({kind for cell in self.cells for kind in cell.kinds}, reverse=True))

    @cached_property
    def cpus_of_cells(self) -> tuple[tuple[int, ...], ...]:
        """The CPUs of each cell, reserved ones too."""
        return tuple(cell.cpus for cell in self.cells)

    @cached_property
    def online(self) -> frozenset[int]:
        """All CPUs, reserved ones too."""
        return frozenset(cpu for cell in self.cells for cpu in cell.cpus)

    @cached_property
    def cell_of(self) -> dict[int, int]:
        """Index of the cell of each CPU that guests may get."""
        return {cpu: index for index, cell in enumerate(self.cells) for cpu in cell.core_of}


def layout(host: Host, topology: Topology) -> HostLayout:
    """The layout of a host, its reserved CPUs and memory taken off."""
    reserved = reserved_cpus(host, topology)
    kept_mib = _kept_mib(topology.cells, -(-host.reserved_memory // MIB))
    cells = tuple(_cell(cell, reserved, kept_mib[cell.id], topology.efficient) for cell in topology.cells)
    return HostLayout(cells, _distances(topology.cells))


def reserved_cpus(host: Host, topology: Topology) -> frozenset[int]:
    """The inventory's, else the first core of each NUMA node with its siblings, as Nova's documentation advises."""
    if host.reserved_cpus is not None:
        return frozenset(host.reserved_cpus)
    firsts = (min(cell.cpus, key=lambda cpu: cpu.id) for cell in topology.cells if cell.cpus)
    return frozenset(sibling for first in firsts for sibling in first.siblings)


def _kept_mib(cells: Sequence[Cell], reserved_mib: int) -> dict[int, int]:
    """What each cell keeps back for the host: equal parts of those that have CPUs, where the host's own programs run, as far as
    their ordinary memory goes; what they cannot give is kept back by the others.
    """
    kept = dict.fromkeys((cell.id for cell in cells), 0)
    rest = reserved_mib
    for some in ([cell for cell in cells if cell.cpus], [cell for cell in cells if not cell.cpus]):
        for left, cell in zip(range(len(some), 0, -1), sorted(some, key=_ordinary_mib), strict=True):
            kept[cell.id] = min(_ordinary_mib(cell), -(-rest // left))
            rest -= kept[cell.id]
    return kept


def _ordinary_mib(cell: Cell) -> int:
    """Memory that is not set aside as huge pages."""
    return max(0, cell.memory_mib - sum(size * count for size, count in cell.hugepages) // KIB)


def _cell(cell: Cell, reserved: frozenset[int], kept_mib: int, efficient: frozenset[int]) -> CellLayout:
    cores = _cores(cell)
    usable = [(tuple(cpu for cpu in core if cpu not in reserved), len(core)) for core in cores]
    return CellLayout(
        id=cell.id,
        cores=tuple(core for core, _ in usable if core),
        threads=tuple(threads for core, threads in usable if core),
        reserved=tuple(sorted(cpu.id for cpu in cell.cpus if cpu.id in reserved)),
        cpus=tuple(sorted(cpu.id for cpu in cell.cpus)),
        has_memory=cell.memory_mib > 0,
        memory_mib=_ordinary_mib(cell) - kept_mib,
        pages=cell.hugepages,
        kinds=tuple(_kind(core, efficient) for core, _ in usable if core),
    )


def _kind(core: tuple[int, ...], efficient: frozenset[int]) -> str:
    return "" if not efficient else "efficient" if core[0] in efficient else "performance"


def _cores(cell: Cell) -> list[tuple[int, ...]]:
    """Online CPUs by core, each core once, in the order of its first CPU."""
    online = {cpu.id for cpu in cell.cpus}
    cores: dict[int, tuple[int, ...]] = {}
    for cpu in sorted(cell.cpus, key=lambda cpu: cpu.id):
        core = tuple(sorted(cpu.siblings & online)) or (cpu.id,)
        cores.setdefault(core[0], core)
    return list(cores.values())


def _distances(cells: Sequence[Cell]) -> tuple[tuple[int, ...], ...]:
    """Distances as the firmware's table says; where it says nothing, 10 to itself and 20 to others (ACPI's defaults)."""
    known = [dict(cell.distances) for cell in cells]
    return tuple(
        tuple(row.get(other.id, 10 if other.id == cell.id else 20) for other in cells)
        for cell, row in zip(cells, known, strict=True)
    )
