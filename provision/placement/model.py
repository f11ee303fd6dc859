"""What placement takes and gives: guests that are there, pins, refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SHOWN_REASONS = 12
"""How many reasons a refusal shows as text; data has them all."""


@dataclass(frozen=True)
class MemoryHeld:
    """Part of a guest's memory: bound to NUMA nodes, or else where the guest's `vcpus` (by number, none: all) are pinned to.

    `page_kib` is the size of its huge pages, 0 for ordinary memory.
    """

    memory_mib: int
    cells: tuple[int, ...] = ()
    page_kib: int = 0
    vcpus: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Tenant:
    """A guest that a host already has. `node` is its name in our inventory, None for a foreign one; `vcpu_cpus` is one
    CPU set per vCPU (all CPUs for one that floats). `emulator_cpus` and `iothread_cpus` are empty when unknown; `memory_cells` are the
    NUMA nodes its memory is bound to, empty when unbound; `hugepage_kib` is 0 for ordinary memory. `memory` says both for each
    part of it, where the parts are known.

    `placed`: these are the pins that we gave it, not those that it happens to have. A foreign guest on them came later.
    """

    host: str
    name: str
    node: str | None
    vcpu_cpus: tuple[frozenset[int], ...]
    memory_mib: int
    emulator_cpus: frozenset[int] = frozenset()
    iothread_cpus: frozenset[int] = frozenset()
    memory_cells: tuple[int, ...] = ()
    hugepage_kib: int = 0
    memory: tuple[MemoryHeld, ...] = ()
    placed: bool = False


@dataclass(frozen=True)
class Pinning:
    """Where a guest runs. `vcpu_pins` is one CPU per vCPU, evenly split over `cells` in their order (the host's NUMA
    nodes), as its memory is; `hugepages` are (cell, page size in KiB, count).

    `exclusive`: no other guest has these CPUs. `threads` is how many successive vCPUs sit on one core: the
    guest's own topology may show it.
    """

    node: str
    host: str
    cells: tuple[int, ...]
    vcpu_pins: tuple[int, ...]
    emulator_cpus: tuple[int, ...]
    iothread_cpus: tuple[int, ...]
    hugepages: tuple[tuple[int, int, int], ...] = ()
    exclusive: bool = True
    threads: int = 1

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "node": self.node,
            "host": self.host,
            "cells": list(self.cells),
            "vcpu_pins": list(self.vcpu_pins),
            "emulator_cpus": list(self.emulator_cpus),
            "iothread_cpus": list(self.iothread_cpus),
            "hugepages": [{"cell": cell, "size_kib": size, "count": count} for cell, size, count in self.hugepages],
        }


@dataclass(frozen=True)
class Refusal:
    """A guest that fits nowhere: what it needs, and per host and cell what is left and which constraint fails."""

    node: str
    needs: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        more = len(self.reasons) - SHOWN_REASONS
        shown = [*self.reasons[:SHOWN_REASONS], *([f"and {more} more"] if more > 0 else [])]
        return f"{self.node} needs {self.needs}: {'; '.join(shown)}"

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {"node": self.node, "needs": self.needs, "reasons": list(self.reasons)}


@dataclass(frozen=True)
class Placement:
    """Pins of the guests that fit, and the refusals of those that do not, each in the inventory's order."""

    pinnings: tuple[Pinning, ...]
    refusals: tuple[Refusal, ...]

    def as_data(self) -> dict[str, Any]:
        """For JSON: `{"placements": [...], "refusals": [...]}`."""
        return {
            "placements": [pinning.as_data() for pinning in self.pinnings],
            "refusals": [refusal.as_data() for refusal in self.refusals],
        }
