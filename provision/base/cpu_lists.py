"""CPU numbers (and NUMA nodes) as libvirt, the kernel and /proc write them: `0-2,5`."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 2**16
"""No kernel numbers CPUs or NUMA nodes as high: NR_CPUS of x86 is 8192 at the most."""


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
    """`0-2,5` as numbers; `^N` takes one out, as libvirt allows. Raises ValueError for what is no such list."""
    cpus: set[int] = set()
    for part in filter(None, text.split(",")):
        if part.startswith("^"):
            cpus.discard(int(part[1:]))
            continue
        low, _, high = part.partition("-")
        if int(high or low) >= MOST:
            raise ValueError(f"{high or low} is no number of a CPU or NUMA node")
        cpus.update(range(int(low), int(high or low) + 1))
    return frozenset(cpus)
