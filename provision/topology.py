"""A host's CPUs, cores, NUMA nodes and memory, as libvirt's capabilities describe them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lxml import etree


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
    """A host."""

    cells: tuple[Cell, ...]

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
    return Topology(found or (_plain(cpus, memory_mib),))


def _plain(cpus: int, memory_mib: int) -> Cell:
    return Cell(0, memory_mib, tuple(Cpu(number, 0, 0, number, frozenset({number})) for number in range(cpus)))


def _cell(cell: Any) -> Cell:
    pages = sorted((int(p.get("size")), int(p.text)) for p in cell.findall("pages"))
    return Cell(
        id=int(cell.get("id")),
        memory_mib=int(cell.findtext("memory", "0")) // 1024,
        cpus=tuple(_cpus(cell.findall("cpus/cpu"))),
        hugepages=tuple(pages[1:]),  # the smallest size is the ordinary page: 4 KiB, on ARM also 64 KiB
        distances=tuple((int(s.get("id")), int(s.get("value"))) for s in cell.findall("distances/sibling")),
    )


def _cpus(elements: Iterable[Any]) -> Iterable[Cpu]:
    for cpu in elements:
        if cpu.get("core_id") is None:
            continue
        siblings = _siblings(cpu.get("siblings", cpu.get("id")))
        yield Cpu(
            int(cpu.get("id")),
            int(cpu.get("socket_id", 0)),
            int(cpu.get("die_id", 0)),
            int(cpu.get("core_id")),
            siblings,
        )


def _siblings(text: str) -> frozenset[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        low, _, high = part.partition("-")
        numbers.update(range(int(low), int(high or low) + 1))
    return frozenset(numbers)
