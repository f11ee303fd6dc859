"""Where a domain's memory is, part by part: its own NUMA cells with their sizes, bindings and page sizes, and its DIMMs.

libvirt.org/formatdomain.html: `<cpu><numa>`, `<numatune>` (memnode before memory), `<hugepages>` (a page's nodeset are the guest's
cells; one without is for all others), `<devices><memory>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provision.base.cpu_lists import parse_cpu_list
from provision.base.units import KIB, MIB
from provision.libvirt_xml.values import cpus_or_none, scaled_bytes, whole

DEFAULT_HUGEPAGE_KIB = 2048
"""Where a domain names no size: the default of every x86 kernel."""

PLUGGED = ("dimm", "virtio-mem")
"""Memory devices that take the host's memory; others are files (nvdimm, virtio-pmem) or the CPU's (sgx-epc)."""


@dataclass(frozen=True)
class MemoryPart:
    """Part of a guest's memory. `nodes` are the host's NUMA nodes that it is bound to, "" for none; `vcpus` those of the guest's cell,
    "" where it has none; `page_kib` is the size of its huge pages, 0 for ordinary memory.
    """

    memory_mib: int
    nodes: str = ""
    page_kib: int = 0
    vcpus: str = ""


def memory_parts(domain: Any) -> tuple[MemoryPart, ...]:
    """All of a domain's memory: one part for each of its cells and DIMMs, one in all where it has no cells."""
    nodes, pages = _Nodes.of(domain), _Pages.of(domain)
    cells = {whole(cell.get("id"), index): cell for index, cell in enumerate(domain.findall("cpu/numa/cell"))}
    found = tuple(
        MemoryPart(size, nodes.of_cell(number), pages.of_cell(number), cpus_or_none(cell.get("cpus")))
        for number, cell in cells.items()
        if (size := _mib(cell.get("memory"), cell.get("unit")))
    )
    if not found:
        return (MemoryPart(total_mib(domain), nodes.all, pages.of_cell(0)),)
    return (*found, *_plugged(domain, nodes, pages))


def total_mib(domain: Any) -> int:
    """A domain's `<memory>`."""
    memory = domain.find("memory")
    return 0 if memory is None else _mib(memory.text, memory.get("unit"))


def _mib(number: str | None, unit: str | None) -> int:
    return scaled_bytes(number, unit) // MIB


def _plugged(domain: Any, nodes: _Nodes, pages: _Pages) -> Iterator[MemoryPart]:
    for device in domain.findall("devices/memory"):
        size = next(
            (one for name in ("current", "requested", "size") if (one := device.find(f"target/{name}")) is not None),
            None,
        )
        if device.get("model") in PLUGGED and size is not None:
            cell, page = whole(device.findtext("target/node"), 0), device.find("source/pagesize")
            yield MemoryPart(
                _mib(size.text, size.get("unit")),
                cpus_or_none(device.findtext("source/nodemask")) or nodes.of_cell(cell),
                pages.of_cell(cell) if page is None else _kib(page.text, page.get("unit")),
            )


@dataclass(frozen=True)
class _Nodes:
    """The host's NUMA nodes that memory is bound to: of single cells, and of all others."""

    all: str
    cells: Mapping[int, str]

    @classmethod
    def of(cls, domain: Any) -> _Nodes:
        bound = (cpus_or_none(one.get("nodeset")) for one in domain.findall("numatune/memory"))
        own = {
            whole(one.get("cellid"), -1): cpus_or_none(one.get("nodeset")) for one in domain.findall("numatune/memnode")
        }
        return cls(",".join(filter(None, bound)), own)

    def of_cell(self, cell: int) -> str:
        return self.cells.get(cell) or self.all


@dataclass(frozen=True)
class _Pages:
    """Sizes in KiB of the huge pages of single cells, and of all others."""

    others: int
    cells: Mapping[int, int]

    @classmethod
    def of(cls, domain: Any) -> _Pages:
        backing = domain.find("memoryBacking/hugepages")
        pages = [] if backing is None else backing.findall("page")
        sizes = [(_kib(page.get("size"), page.get("unit")), cpus_or_none(page.get("nodeset"))) for page in pages]
        own = {cell: size for size, cells in sizes for cell in parse_cpu_list(cells)}
        others = next((size for size, cells in sizes if not cells), 0)
        return cls(DEFAULT_HUGEPAGE_KIB if backing is not None and not pages else others, own)

    def of_cell(self, cell: int) -> int:
        return self.cells.get(cell, self.others)


def _kib(number: str | None, unit: str | None) -> int:
    return scaled_bytes(number, unit) // KIB
