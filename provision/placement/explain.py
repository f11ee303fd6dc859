"""Why a guest does not fit: per host and NUMA node the one constraint that fails, with its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from provision.base.units import KIB
from provision.inventory import Spread
from provision.placement.need import Need, Share, page_name
from provision.placement.pick import best
from provision.placement.room import TINY, CellRoom, HostRoom
from provision.placement.seats import parts, seats

LONELY = "but no NUMA node has a CPU for the emulator besides"


def reasons(host: HostRoom, need: Need, group: str | None) -> Iterator[str]:
    """One line per host, or per NUMA node of it."""
    name = host.host.name
    if group is not None and group in host.groups:
        yield f"{name}: {host.groups[group]} of group {group} is there"
    elif host.emulators_roam and (need.dedicated or need.isolated):
        yield f"{name}: no CPU can be dedicated, as emulators run on all of them (cpu.policy: shared with reserved_cpus: [])"
    elif not host.cells:
        yield f"{name}: libvirt reports no CPUs"
    else:
        for one in need.by_kind(host.layout.kinds):
            yield from _of_cells(host, one)


def _of_cells(host: HostRoom, need: Need) -> Iterator[str]:
    name, count = host.host.name, parts(need, host.layout, host.host.cpu.ratio)
    if need.cells > len(host.cells):
        yield f"{name}: {_nodes(len(host.cells))}, {need.cells} needed"
    elif not count and not need.splits_into(need.cells or 1):
        yield f"{name}: {need.memory_mib} MiB is not a whole number of huge pages of {page_name(need.page_kib)}" + (
            f" on each of {need.cells} NUMA nodes" if need.cells > 1 else ""
        )
    else:
        found = [*_per_cell(host, need, count), *_together(host, need, count)]
        if not count and not need.cells and len(host.cells) > 1:
            found.append(f"{name}: even empty it could not hold the guest, whole or in equal parts")
        yield from found or [f"{name}: {LONELY}"]


def _together(host: HostRoom, need: Need, count: int) -> Iterator[str]:
    """Says when a guest that one empty node could hold would fit if it asked to be split: unasked it never is."""
    if count == 1 and not need.cells:
        for several in range(2, len(host.cells) + 1):
            if seats(host, replace(need, cells=several), Spread()) is not None:
                yield (
                    f"{host.host.name}: {_nodes(several)} together have room; a guest that one can hold is split only"
                    f" when it says numa_cells: {several}"
                )
                return


def _nodes(count: int) -> str:
    return f"{count} NUMA node{'s' if count != 1 else ''}"


def _per_cell(host: HostRoom, need: Need, count: int) -> Iterator[str]:
    """What fails in each cell. Where cells could take a share, but too few, that is said of them."""
    count = count or need.cells or 1
    share = need.share(count)
    if need.isolated and count == 1:
        share = share.with_emulator()
    faults = [obstacle(room, index, share, host) for index, room in enumerate(host.cells)]
    enough = faults.count("") >= count
    for room, fault in zip(host.cells, faults, strict=True):
        where = f"{host.host.name} cell {room.layout.id}{f', {need.cores} cores' if need.cores else ''}"
        if fault:
            yield f"{where}: {fault}" + (f" in each of {_nodes(count)}" if count > 1 and "needed" in fault else "")
        elif count > 1:
            yield f"{where}: could take its part, {LONELY if enough else f'but {_nodes(count)} must'}"


def obstacle(room: CellRoom, index: int, share: Share, host: HostRoom) -> str:
    """Why a share does not fit one NUMA node, empty when it does."""
    if not room.layout.cpus:
        return "has no CPUs"
    if not room.layout.has_memory:
        return "has no memory of its own"
    cpus = replace(share, memory_mib=0, page_kib=0)
    if best(room, index, cpus, pack=not host.shared):
        return _memory(room, share)
    room = room.only(share.cores)
    if not share.dedicated:
        return _shared(room, share)
    return _needed_by_others(room, index, cpus) or _dedicated(room, share)


def _needed_by_others(room: CellRoom, index: int, cpus: Share) -> str:
    """Says when the CPUs are free, but those that share the others here could not do without them."""
    before = room.snapshot()
    room.load = {}
    alone = best(room, index, cpus, pack=False)
    room.restore(before)
    if alone is None:
        return ""
    spare = math.floor(room.slack / room.ratio + TINY)
    needed = len(alone.cpus) + len(alone.idle) + cpus.isolated
    sharing = f"{sum(room.load.values()):g} vCPUs share CPUs here at ratio {room.ratio:g}"
    return f"{sharing}: {max(0, spare)} of {room.free} free CPUs can be dedicated, {needed} needed"


def _memory(room: CellRoom, share: Share) -> str:
    if room.has_memory(share):
        return ""
    if share.page_kib:
        return f"{max(0, room.pages.get(share.page_kib, 0))} free huge pages of {page_name(share.page_kib)}, {share.pages} needed"
    paged_mib = sum(size * count for size, count in room.layout.pages) // KIB
    kept = f" ({paged_mib} MiB are set aside as huge pages)" if paged_mib else ""
    return f"{max(0, room.memory_mib)} MiB free, {share.memory_mib} needed{kept}"


def _shared(room: CellRoom, share: Share) -> str:
    if share.isolated and not room.free:
        return "no free CPU for the emulator of its own"
    slack = room.slack - (room.ratio if share.isolated else 0)
    return f"{slack:g} vCPUs left at ratio {room.ratio:g}, {share.vcpus} needed"


def _dedicated(room: CellRoom, share: Share) -> str:
    needed = f"{share.vcpus} needed"
    if share.isolated:
        needed = f"{share.vcpus} needed and 1 for the emulator"
    if share.threads == "require":
        return _require(room, share, needed)
    if share.threads == "isolate":
        return _isolate(room, needed)
    return f"{room.free} dedicated CPUs free, {needed}"


def _require(room: CellRoom, share: Share, needed: str) -> str:
    most = room.layout.most_threads
    if most < 2:
        return "its cores have one thread each, threads: require wants two"
    if not any(share.vcpus % threads == 0 for threads in range(2, most + 1)):
        return f"{share.vcpus} vCPUs do not fill cores of {most} threads evenly, which threads: require wants"
    usable = max(_in_whole_parts(room, threads) for threads in range(2, most + 1) if share.vcpus % threads == 0)
    lone = room.free - usable
    text = f"{usable} dedicated CPUs free, {needed}"
    return f"{text}; {lone} more are free only as lone siblings, which threads: require forbids" if lone else text


def _in_whole_parts(room: CellRoom, threads: int) -> int:
    """CPUs of cores that can each give `threads`."""
    return threads * sum(len(cpus) >= threads for cpus in room.cores)


def _isolate(room: CellRoom, needed: str) -> str:
    whole = [core for core in range(len(room.cores)) if room.whole(core)]
    beside = room.free - sum(len(room.cores[core]) for core in whole)
    text = f"{len(whole)} whole cores free, {needed}"
    return (
        f"{text}; {beside} more CPUs are free only beside busy siblings, which threads: isolate forbids"
        if beside
        else text
    )
