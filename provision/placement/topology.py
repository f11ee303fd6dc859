"""A host's CPUs, cores, NUMA nodes and memory, as libvirt's capabilities describe them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from provision.base.cpu_lists import cpu_list, parse_cpu_list
from provision.base.units import KIB, MIB
from provision.libvirt_xml import root_of, scaled_bytes

LARGEST_ORDINARY_PAGE_KIB = 64
"""Pages that are not huge: 4 KiB, on ARM and POWER also 16 or 64 KiB."""


@dataclass(frozen=True)
class Cpu:
    """A logical CPU. `siblings` are all hardware threads of its core, itself included."""

    id: int
    socket: int
    die: int
    core: int
    siblings: frozenset[int]


@dataclass(frozen=True)
class Cell:
    """A NUMA node. `hugepages` are pairs of page size in KiB and count; `distances` pairs of cell id and distance."""

    id: int
    memory_mib: int
    cpus: tuple[Cpu, ...]
    hugepages: tuple[tuple[int, int], ...] = ()
    distances: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Topology:
    """A host. `cpu_vendor` is Intel, AMD or another as libvirt names it, `architecture` the kernel's (x86_64), `machine` the host's
    uuid: each empty when it does not say.

    However the cells are given, a CPU stands in one of them and a core is whole: in the first that names one of its CPUs (as hwloc
    does it). Firmware that lies and `numa=fake=N` name CPUs in several. `strayed` are the CPUs that stood elsewhere too. `efficient` are
    those of a hybrid machine's slow cores (Intel's E cores), none where all are alike or nobody knows.
    """

    cells: tuple[Cell, ...]
    cpu_vendor: str = ""
    architecture: str = ""
    machine: str = ""
    efficient: frozenset[int] = frozenset()
    strayed: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        cells, strayed = _apart(self.cells)
        object.__setattr__(self, "cells", cells)
        object.__setattr__(self, "strayed", self.strayed | strayed)

    @property
    def numa(self) -> bool:
        """Whether the host knows its NUMA nodes. One without NUMA support has one cell, made up by libvirt, without distances."""
        return len(self.cells) > 1 or any(cell.distances for cell in self.cells)

    @property
    def stray_note(self) -> str:
        """What is to be said of CPUs that stand in several NUMA nodes, empty when none does."""
        if not self.strayed:
            return ""
        return f"CPUs {cpu_list(self.strayed)} or their siblings stand in several NUMA nodes; each is taken for one of the first"

    @property
    def cpus(self) -> tuple[Cpu, ...]:
        """All online CPUs, by number."""
        return tuple(sorted((cpu for cell in self.cells for cpu in cell.cpus), key=lambda cpu: cpu.id))


def _apart(cells: Iterable[Cell]) -> tuple[tuple[Cell, ...], frozenset[int]]:
    """The cells with each CPU in one of them, and the CPUs that stood in another too. A second cell of the same id is none."""
    apart: dict[int, Cell] = {}
    for one in cells:
        apart.setdefault(one.id, one)
    listed = [(cell.id, cpu) for cell in apart.values() for cpu in cell.cpus]
    cores = _cores([cpu for _, cpu in listed])
    homes: dict[frozenset[int], int] = {}
    members: dict[int, dict[int, Cpu]] = {number: {} for number in apart}
    for cell, cpu in listed:
        home, core = homes.setdefault(cores[cpu.id], cell), cores[cpu.id]
        members[home].setdefault(cpu.id, cpu if cpu.siblings == core else replace(cpu, siblings=core))
    found = tuple(replace(cell, cpus=tuple(members[cell.id].values())) for cell in apart.values())
    return found, frozenset(cpu.id for cell, cpu in listed if homes[cores[cpu.id]] != cell)


def _cores(cpus: Sequence[Cpu]) -> dict[int, frozenset[int]]:
    """The core of each CPU: all that are online and call each other siblings, directly or by others, and itself."""
    online = frozenset(cpu.id for cpu in cpus)
    cores: dict[int, frozenset[int]] = {}
    for cpu in cpus:
        core = (cpu.siblings & online) | {cpu.id}
        if core != cores.get(cpu.id):
            core = core.union(*(cores.get(sibling, ()) for sibling in core))
            cores.update(dict.fromkeys(core, core))
    return cores


def parse_capabilities(xml: str, *, cpus: int = 0, memory_mib: int = 0) -> Topology:
    """The topology in `virsh capabilities`.

    A driver that reports no cell (libvirt's test driver) has one with `cpus` CPUs, each a core of its own, and `memory_mib`.
    CPUs without a core number are offline and left out. Raises ValueError when the text is something else.
    """
    root = root_of(xml)
    if root.tag != "capabilities" or root.find("host") is None:
        raise ValueError(f"<{root.tag}> are not the capabilities of a host")
    found = Topology(
        tuple(_cell(cell) for cell in root.findall("host/topology/cells/cell")) or (_plain(cpus, memory_mib),),
        root.findtext("host/cpu/vendor", ""),
        root.findtext("host/cpu/arch", "").strip(),
        root.findtext("host/uuid", "").strip().lower(),
    )
    return replace_efficient(found, _apparently_efficient(found))


def replace_efficient(topology: Topology, cpus: frozenset[int]) -> Topology:
    """The topology of a machine that has these efficient cores; where they are all of its cores, none is the slower."""
    known = cpus & {cpu.id for cpu in topology.cpus}
    return replace(topology, efficient=known if len(known) < len(topology.cpus) else frozenset())


def _apparently_efficient(topology: Topology) -> frozenset[int]:
    """What capabilities tell of Intel's hybrid machines, which they never name: E cores have one thread, P cores two, and are
    numbered behind them. A gap in the numbers is a sibling that is offline: then nothing can be told. Nor without hyper-threading.
    """
    cpus = topology.cpus
    lone = [cpu.id for cpu in cpus if len(cpu.siblings) == 1]
    whole = [cpu.id for cpu in cpus] == list(range(len(cpus)))
    behind = len(lone) > 1 and lone == list(range(lone[0], len(cpus))) and lone[0] > 0
    return (
        frozenset(lone)
        if topology.cpu_vendor == "Intel" and len(topology.cells) == 1 and whole and behind
        else frozenset()
    )


def _plain(cpus: int, memory_mib: int) -> Cell:
    return Cell(0, memory_mib, tuple(Cpu(number, 0, 0, number, frozenset({number})) for number in range(cpus)))


def _cell(cell: Any) -> Cell:
    memory = cell.find("memory")
    pages = sorted(
        (scaled_bytes(page.get("size"), page.get("unit")) // KIB, int(page.text or 0)) for page in cell.findall("pages")
    )
    huge = tuple((size, count) for size, count in pages if size > LARGEST_ORDINARY_PAGE_KIB)
    return Cell(
        id=_number(cell, "id"),
        memory_mib=0 if memory is None else scaled_bytes(memory.text, memory.get("unit")) // MIB,
        cpus=tuple(_cpus(cell.findall("cpus/cpu"))),
        hugepages=huge,
        distances=tuple((_number(s, "id"), _number(s, "value")) for s in cell.findall("distances/sibling")),
    )


def _cpus(elements: Iterable[Any]) -> Iterable[Cpu]:
    for cpu in elements:
        if cpu.get("core_id") is None:
            continue
        siblings = parse_cpu_list(cpu.get("siblings", cpu.get("id")))
        yield Cpu(
            _number(cpu, "id"),
            _number(cpu, "socket_id", "0"),
            _number(cpu, "die_id", "0"),
            _number(cpu, "core_id"),
            siblings,
        )


def _number(element: Any, name: str, otherwise: str = "") -> int:
    text = element.get(name, otherwise)
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"a <{element.tag}> has {name}={text!r}, which is no number") from error
