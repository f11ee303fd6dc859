"""CPU numbers (and NUMA nodes) as libvirt, the kernel and /proc write them: `0-2,5`."""

from __future__ import annotations

from collections.abc import Iterable


def cpu_list(cpus: Iterable[int]) -> str:
    """Numbers as a list: `0-2,5`."""
    ranges: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if ranges and cpu == ranges[-1][1] + 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(f"{low}-{high}" if high > low else f"{low}" for low, high in ranges)


def parse_cpu_list(text: str) -> frozenset[int]:
    """`0-2,5` as numbers; `^N` takes one out, as libvirt allows."""
    cpus: set[int] = set()
    for part in filter(None, text.split(",")):
        if part.startswith("^"):
            cpus.discard(int(part[1:]))
            continue
        low, _, high = part.partition("-")
        cpus.update(range(int(low), int(high or low) + 1))
    return frozenset(cpus)
