"""What a guest asks of a host, the host's own defaults filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from provision.base.scalars import HUGEPAGE_KIB
from provision.base.units import KIB
from provision.inventory import Host, Node


@dataclass(frozen=True, slots=True)
class Need:
    """CPUs and memory of a guest. `cells` is over how many NUMA nodes it goes, 0: as few as can hold it when empty.

    `page_kib` is the size of its huge pages, 0 for ordinary memory. `isolated`: its emulator gets a CPU of its own. `wish` is the
    inventory's for cores of hybrid machines, `cores` the kind that is asked for now, "" for any.
    """

    dedicated: bool
    threads: str
    isolated: bool
    vcpus: int
    memory_mib: int
    page_kib: int
    cells: int
    wish: str = "any"
    cores: str = ""

    def share(self, parts: int) -> Share:
        """What each of `parts` NUMA nodes must give, the emulator's CPU not counted."""
        return Share(
            self.dedicated,
            self.threads,
            False,
            self.vcpus // parts,
            self.memory_mib // parts,
            self.page_kib,
            self.cores,
        )

    def by_kind(self, kinds: Sequence[str]) -> tuple[Need, ...]:
        """The need for each kind of cores that may serve it, the best first, on a host that has these kinds."""
        if len(kinds) < 2 or self.wish == "any" or self.cores:
            return (self,)
        return tuple(replace(self, cores=kind) for kind in kinds if self.wish in (kind, "alike"))

    def splits_into(self, parts: int) -> bool:
        """Whether vCPUs and memory (in whole huge pages) divide evenly."""
        unit_mib = max(1, self.page_kib // KIB)
        return self.vcpus % parts == 0 and self.memory_mib % parts == 0 and self.memory_mib // parts % unit_mib == 0

    def __str__(self) -> str:
        kind = "dedicated CPUs" if self.dedicated else "vCPUs on shared CPUs"
        wishes = [f"threads: {self.threads}"] if self.threads != "prefer" else []
        wishes += ["an emulator CPU of its own"] if self.isolated else []
        wishes += [f"huge pages of {page_name(self.page_kib)}"] if self.page_kib else []
        wishes += [f"{self.wish} cores"] if self.wish in ("performance", "efficient") else []
        wishes += [f"{self.cells} NUMA node{'s' if self.cells > 1 else ''}"] if self.cells else []
        return f"{self.vcpus} {kind} and {self.memory_mib} MiB" + (f" ({', '.join(wishes)})" if wishes else "")


@dataclass(frozen=True, slots=True)
class Share:
    """What one NUMA node must give to a guest."""

    dedicated: bool
    threads: str
    isolated: bool
    vcpus: int
    memory_mib: int
    page_kib: int
    cores: str = ""

    @property
    def pages(self) -> int:
        """Huge pages."""
        return self.memory_mib * KIB // self.page_kib if self.page_kib else 0

    def with_emulator(self) -> Share:
        """The same, and a CPU for the emulator."""
        return replace(self, isolated=True)


def need_of(node: Node, host: Host) -> Need:
    """A node's need on a host."""
    return Need(
        dedicated=(node.cpu.policy or host.cpu.policy) == "dedicated",
        threads=node.cpu.threads,
        isolated=node.cpu.emulator == "isolated",
        vcpus=node.vcpus,
        memory_mib=node.memory_mib,
        page_kib=HUGEPAGE_KIB.get(node.hugepages or host.hugepages, 0),
        cells=0 if node.numa_cells == "auto" else node.numa_cells,
        wish=node.cpu.cores,
    )


def page_name(kib: int) -> str:
    """`2MiB`."""
    return next((name for name, size in HUGEPAGE_KIB.items() if size == kib), f"{kib}KiB")
