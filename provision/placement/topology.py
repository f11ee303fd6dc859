"""A host's CPUs, cores, NUMA nodes and memory, as libvirt's capabilities describe them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lxml import etree

from provision.base.cpu_lists import parse_cpu_list

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
    """A host. `cpu_vendor` is Intel, AMD or another as libvirt names it, empty when it does not say."""

    cells: tuple[Cell, ...]
    cpu_vendor: str = ""

    @property
    def numa(self) -> bool:
        """Whether the host knows its NUMA nodes. One without NUMA support has one cell, made up by libvirt, without distances."""
        return len(self.cells) > 1 or any(cell.distances for cell in self.cells)

    @property
    def cpus(self) -> tuple[Cpu, ...]:
        """All online CPUs, by number."""
        return tuple(sorted((cpu for cell in self.cells for cpu in cell.cpus), key=lambda cpu: cpu.id))


def parse_capabilities(xml: str, *, cpus: int = 0, memory_mib: int = 0) -> Topology:
    """The topology in `virsh capabilities`.

    A driver that reports no cell (libvirt's test driver) has one with `cpus` CPUs, each a core of its own, and `memory_mib`.
    CPUs without a core number are offline and left out. Raises ValueError when the text is something else.
    """
    try:
        root = etree.fromstring(xml.encode())
    except etree.XMLSyntaxError as error:
        raise ValueError(f"not XML: {error.msg}") from error
    if root.tag != "capabilities" or root.find("host") is None:
        raise ValueError(f"<{root.tag}> are not the capabilities of a host")
    found = tuple(_cell(cell) for cell in root.findall("host/topology/cells/cell"))
    return Topology(found or (_plain(cpus, memory_mib),), root.findtext("host/cpu/vendor", ""))


def _plain(cpus: int, memory_mib: int) -> Cell:
    return Cell(0, memory_mib, tuple(Cpu(number, 0, 0, number, frozenset({number})) for number in range(cpus)))


def _cell(cell: Any) -> Cell:
    pages = sorted((int(p.get("size")), int(p.text)) for p in cell.findall("pages"))
    huge = tuple((size, count) for size, count in pages if size > LARGEST_ORDINARY_PAGE_KIB)
    return Cell(
        id=int(cell.get("id")),
        memory_mib=int(cell.findtext("memory", "0")) // 1024,
        cpus=tuple(_cpus(cell.findall("cpus/cpu"))),
        hugepages=huge,
        distances=tuple((int(s.get("id")), int(s.get("value"))) for s in cell.findall("distances/sibling")),
    )


def _cpus(elements: Iterable[Any]) -> Iterable[Cpu]:
    for cpu in elements:
        if cpu.get("core_id") is None:
            continue
        siblings = parse_cpu_list(cpu.get("siblings", cpu.get("id")))
        yield Cpu(
            int(cpu.get("id")),
            int(cpu.get("socket_id", 0)),
            int(cpu.get("die_id", 0)),
            int(cpu.get("core_id")),
            siblings,
        )
