"""What is left on hosts while guests are placed one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from provision.base.units import KIB
from provision.inventory import Host
from provision.placement.layout import CellLayout, HostLayout
from provision.placement.need import Need, Share

TINY = 1e-9
"""Loads are sums of fractions: equal within this."""


@dataclass(frozen=True, slots=True)
class Seat:
    """CPUs for a guest's share in one NUMA node. `idle` are siblings that nobody may have any more."""

    cell: int
    cpus: tuple[int, ...]
    emulator: int | None = None
    idle: tuple[int, ...] = ()


class CellRoom:
    """What is left in one NUMA node. `cores` are the free CPUs of each core, `load` the vCPUs on each shared CPU."""

    __slots__ = ("cores", "free", "layout", "load", "memory_mib", "pages", "ratio")

    def __init__(self, layout: CellLayout, ratio: float) -> None:
        self.layout = layout
        self.ratio = ratio
        self.cores: list[tuple[int, ...]] = list(layout.cores)
        self.free = sum(len(core) for core in self.cores)
        self.load: dict[int, float] = {}
        self.memory_mib = layout.memory_mib
        self.pages = dict(layout.pages)

    def only(self, kind: str) -> CellRoom:
        """The same room with the cores of one kind alone, to look at; itself for any kind."""
        if not kind:
            return self
        some, kinds, core_of = copy(self), self.layout.kinds, self.layout.core_of
        some.cores = [cpus if own == kind else () for cpus, own in zip(self.cores, kinds, strict=True)]
        some.free = sum(map(len, some.cores))
        some.load = {cpu: load for cpu, load in self.load.items() if kinds[core_of[cpu]] == kind}
        return some

    def whole(self, core: int) -> bool:
        """Whether no thread of a core is taken or reserved."""
        return len(self.cores[core]) == self.layout.threads[core]

    @property
    def slack(self) -> float:
        """How many vCPUs shared CPUs can still take, free ones counted in."""
        return self.ratio * (self.free + len(self.load)) - sum(self.load.values())

    def leaves_enough(self, seat: Seat, *, dedicated: bool) -> bool:
        """Whether those who share CPUs here still have room when this seat's exclusive CPUs are gone."""
        alone = len(seat.idle) + (seat.emulator is not None) + (len(seat.cpus) if dedicated else 0)
        sharing = 0 if dedicated else len(seat.cpus)
        return self.slack - self.ratio * alone - sharing >= -TINY

    def has_memory(self, share: Share) -> bool:
        """Whether the memory, or the huge pages, are there. Guests of others may have more than there is: then nothing is left."""
        if share.page_kib:
            return max(0, self.pages.get(share.page_kib, 0)) >= share.pages
        return self.layout.has_memory and max(0, self.memory_mib) >= share.memory_mib

    def is_free(self, cpu: int) -> bool:
        """Whether a CPU serves nobody."""
        core = self.layout.core_of.get(cpu)
        return core is not None and cpu in self.cores[core]

    def take(self, seat: Seat, share: Share) -> None:
        """Gives CPUs and memory away. They must be free."""
        if share.dedicated:
            self.drop((*seat.cpus, *seat.idle))
        else:
            self.drop(cpu for cpu in set(seat.cpus) if cpu not in self.load)
            for cpu in seat.cpus:
                self.load[cpu] = self.load.get(cpu, 0.0) + 1.0
        if seat.emulator is not None:
            self.drop((seat.emulator,))
        self.take_memory(share.memory_mib, share.page_kib)

    def take_memory(self, memory_mib: int, page_kib: int) -> None:
        """Takes memory, as huge pages or ordinary."""
        if page_kib:
            self.pages[page_kib] = self.pages.get(page_kib, 0) - -(-memory_mib * KIB // page_kib)
        else:
            self.memory_mib -= memory_mib

    def drop(self, cpus: Iterable[int]) -> None:
        """Makes CPUs unavailable; those that are so already stay it."""
        for cpu in cpus:
            core = self.layout.core_of[cpu]
            if cpu in self.cores[core]:
                self.cores[core] = tuple(other for other in self.cores[core] if other != cpu)
                self.free -= 1

    def snapshot(self) -> tuple[Any, ...]:
        """Everything that `take` changes."""
        return (self.cores.copy(), self.free, self.load.copy(), self.memory_mib, self.pages.copy())

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Undoes what was taken since `snapshot`."""
        self.cores, self.free, self.load, self.memory_mib, self.pages = snapshot

    def signature(self) -> tuple[Any, ...]:
        """Equal for rooms in which the same guests fit: CPU numbers do not count, only how cores are filled."""
        layout = self.layout
        filled = sorted(zip(map(len, self.cores), layout.threads, layout.kinds, strict=True))
        return (tuple(filled), tuple(sorted(self.load.values())), self.memory_mib, tuple(sorted(self.pages.items())))


@dataclass
class HostRoom:
    """What is left on one host. `groups` maps an anti-affinity group to the guest that it has here."""

    host: Host
    index: int
    layout: HostLayout
    cells: Sequence[CellRoom]
    groups: dict[str, str] = field(default_factory=dict)

    @property
    def shared(self) -> bool:
        """Whether guests share CPUs here unless they say otherwise."""
        return self.host.cpu.policy == "shared"

    @property
    def emulators_roam(self) -> bool:
        """Whether emulators of shared guests run on all CPUs, as none is reserved: then no CPU can be dedicated."""
        return self.shared and not self.layout.reserved

    def room(self) -> float:
        """CPUs that are left: what `spread` and `pack` go by."""
        return sum(cell.slack if self.shared else cell.free for cell in self.cells)

    def memory_mib(self) -> int:
        """Ordinary memory that is left."""
        return sum(cell.memory_mib for cell in self.cells)

    def take(self, seats: Sequence[Seat], need: Need) -> None:
        """Gives a guest its seats."""
        share = need.share(len(seats))
        for seat in seats:
            self.cells[seat.cell].take(seat, share)


def host_room(host: Host, index: int, layout: HostLayout) -> HostRoom:
    """An empty host."""
    return HostRoom(host, index, layout, [CellRoom(cell, host.cpu.ratio) for cell in layout.cells])
