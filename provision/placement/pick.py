"""Which CPUs of a NUMA node a guest gets. The policies for sibling threads are Nova's (hardware.py, _pack_instance_onto_cores).

prefer: sibling sets fullest first, then lone threads. require: cores that give the same number of threads, two or more.
isolate: one thread of a core nobody else is on; the core's other threads stay idle.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

from provision.placement.need import Share
from provision.placement.room import TINY, CellRoom, Seat

MOST_WAYS = 200
"""How many ways of taking CPUs from one NUMA node the exact search looks at: small hosts have fewer."""

Picks = list[tuple[int, int]]
"""(core, how many of its free CPUs)."""


def best(room: CellRoom, cell: int, share: Share, *, pack: bool) -> Seat | None:
    """The seat that serves the guest best, None when it does not fit. `pack`: shared guests fill shared CPUs first."""
    if not room.has_memory(share):
        return None
    room = room.only(share.cores)
    if not share.dedicated:
        return _shared(room, cell, share, pack)
    if room.free < share.vcpus + share.isolated:
        return None
    picks = {"prefer": _prefer, "require": _require, "isolate": _isolate}[share.threads](room, share)
    if picks is None:
        return None
    seat = _seat(room, cell, share, picks)
    return seat if room.leaves_enough(seat, dedicated=True) else None


def every(room: CellRoom, cell: int, share: Share, *, pack: bool) -> Iterator[Seat]:
    """The best seat, then one of each other kind: seats that leave the same behind count once."""
    first = best(room, cell, share, pack=pack)
    if first is None:
        return
    yield first
    room = room.only(share.cores)
    others = _other_seats(room, cell, share) if share.dedicated else _other_shared(room, cell, share)
    fitting = (seat for seat in others if room.leaves_enough(seat, dedicated=share.dedicated))
    yield from islice(fitting, MOST_WAYS)


def _other_seats(room: CellRoom, cell: int, share: Share) -> Iterator[Seat]:
    for picks in _ways(room, share):
        if not share.isolated:
            yield _seat(room, cell, share, picks)
            continue
        left = _left(room, share, picks)
        for kind in {(len(cpus), room.layout.threads[core]) for core, cpus in left.items()}:
            core = next(c for c, cpus in left.items() if (len(cpus), room.layout.threads[c]) == kind)
            yield _seat(room, cell, share, picks, left[core][0])


def _prefer(room: CellRoom, share: Share) -> Picks:
    """Fullest sibling sets that the rest of the guest fills; the last vCPUs where they break least."""
    by_free = _by_free(room)
    picks: Picks = []
    rest = share.vcpus
    while rest:
        fitting = [free for free in by_free if free <= rest]
        free = max(fitting) if fitting else min(by_free)
        core = by_free[free].pop(0)
        if not by_free[free]:
            del by_free[free]
        picks.append((core, min(free, rest)))
        rest -= picks[-1][1]
    return picks


def _by_free(room: CellRoom) -> dict[int, list[int]]:
    """Cores by number of free CPUs; of equal ones those come first that somebody is on already."""
    found: dict[int, list[int]] = defaultdict(list)
    whole: dict[int, list[int]] = defaultdict(list)
    for core, cpus in enumerate(room.cores):
        if cpus:
            (whole if room.whole(core) else found)[len(cpus)].append(core)
    for free, cores in whole.items():
        found[free] += cores
    return found


def _require(room: CellRoom, share: Share) -> Picks | None:
    for threads in range(room.layout.most_threads, 1, -1):
        if share.vcpus % threads:
            continue
        cores = [core for core, cpus in enumerate(room.cores) if len(cpus) >= threads]
        if len(cores) * threads >= share.vcpus:
            cores.sort(key=lambda core: (len(room.cores[core]), room.layout.threads[core]))
            return [(core, threads) for core in sorted(cores[: share.vcpus // threads])]
    return None


def _isolate(room: CellRoom, share: Share) -> Picks | None:
    cores = [core for core in range(len(room.cores)) if room.whole(core)]
    cores.sort(key=lambda core: (room.layout.kinds[core] == "efficient", room.layout.threads[core]))
    picks = [(core, 1) for core in cores[: share.vcpus]]
    if len(picks) < share.vcpus or (share.isolated and not _left(room, share, picks)):
        return None
    return picks


def _left(room: CellRoom, share: Share, picks: Picks) -> dict[int, tuple[int, ...]]:
    """Free CPUs by core behind `picks`; siblings of isolated vCPUs are no more free."""
    taken = dict(picks)
    left = {
        core: () if core in taken and share.threads == "isolate" else cpus[taken.get(core, 0) :]
        for core, cpus in enumerate(room.cores)
    }
    return {core: cpus for core, cpus in left.items() if cpus}


def _seat(room: CellRoom, cell: int, share: Share, picks: Picks, emulator: int | None = None) -> Seat:
    cpus = tuple(cpu for core, count in picks for cpu in room.cores[core][:count])
    idle: tuple[int, ...] = ()
    if share.threads == "isolate":
        idle = tuple(cpu for core, count in picks for cpu in room.cores[core][count:])
    if share.isolated and emulator is None:
        emulator = _emulator(room, share, picks)
    return Seat(cell, cpus, emulator, idle)


def _emulator(room: CellRoom, share: Share, picks: Picks) -> int:
    """The free CPU that breaks least: of the core with fewest free ones, one that somebody is on already."""
    left = _left(room, share, picks)
    core = min(left, key=lambda core: (len(left[core]), len(left[core]) == room.layout.threads[core], core))
    return left[core][0]


def emulator_only(room: CellRoom) -> int | None:
    """A CPU for the emulator of a guest whose vCPUs have their seats already."""
    cores = [core for core, cpus in enumerate(room.cores) if cpus]
    core = min(cores, key=lambda core: (len(room.cores[core]), room.whole(core), core), default=None)
    return None if core is None else room.cores[core][0]


def _ways(room: CellRoom, share: Share) -> Iterator[Picks]:
    """Every way to take the vCPUs that leaves something else behind."""
    kinds: dict[tuple[int, int, str], list[int]] = defaultdict(list)
    for core, cpus in enumerate(room.cores):
        if cpus and (share.threads != "isolate" or room.whole(core)):
            kinds[len(cpus), room.layout.threads[core], room.layout.kinds[core]].append(core)
    classes = [(free, cores) for (free, *_), cores in sorted(kinds.items())]
    if share.threads == "require":
        for threads in range(room.layout.most_threads, 1, -1):
            if share.vcpus % threads == 0:
                yield from _vectors(classes, share.vcpus, threads, threads)
    else:
        most = 1 if share.threads == "isolate" else room.layout.most_threads
        yield from _vectors(classes, share.vcpus, 1, most)


def _vectors(classes: Sequence[tuple[int, list[int]]], rest: int, least: int, most: int) -> Iterator[Picks]:
    """Takes of `least` to `most` CPUs from cores, `rest` in all; cores of one class are interchangeable."""
    if rest == 0:
        yield []
    if rest <= 0 or not classes:
        return
    (free, cores), others = classes[0], classes[1:]
    for counts in _parts(rest, len(cores), least, min(most, free)):
        for tail in _vectors(others, rest - sum(counts), least, most):
            yield [*zip(cores, counts, strict=False), *tail]


def _parts(total: int, cores: int, least: int, most: int) -> Iterator[list[int]]:
    """Falling sequences of at most `cores` numbers between `least` and `most` whose sum is at most `total`."""
    yield []
    if cores:
        for first in range(min(most, total), least - 1, -1):
            for tail in _parts(total - first, cores - 1, least, first):
                yield [first, *tail]


def _shared(room: CellRoom, cell: int, share: Share, pack: bool) -> Seat | None:
    """Lays vCPUs on the least loaded CPUs; `pack` turns no more free CPUs into shared ones than the ratio asks."""
    emulator = emulator_only(room) if share.isolated else None
    if share.isolated and emulator is None:
        return None
    free = [cpu for cpus in sorted(room.cores, key=len) for cpu in cpus if cpu != emulator]
    if room.ratio * (len(free) + len(room.load)) - sum(room.load.values()) < share.vcpus - TINY:
        return None
    return _laid(room, cell, share, free[: _fewest(room, share)] if pack else free, emulator)


def _fewest(room: CellRoom, share: Share) -> int:
    """How many free CPUs must become shared ones, so that the ratio holds."""
    load = sum(room.load.values()) + share.vcpus
    return max(0, math.ceil(load / room.ratio - TINY) - len(room.load))


def _laid(room: CellRoom, cell: int, share: Share, free: Sequence[int], emulator: int | None) -> Seat:
    """One vCPU after the other on the least loaded of the shared and the given free CPUs."""
    queue = [(room.load.get(cpu, 0.0), cpu) for cpu in (*room.load, *free)]
    heapq.heapify(queue)
    cpus = []
    for _ in range(share.vcpus):
        used, cpu = queue[0]
        heapq.heapreplace(queue, (used + 1.0, cpu))
        cpus.append(cpu)
    return Seat(cell, tuple(cpus), emulator)


def _other_shared(room: CellRoom, cell: int, share: Share) -> Iterator[Seat]:
    """Seats that turn as few free CPUs as possible into shared ones, but other ones."""
    converted = Share(True, "prefer", share.isolated, _fewest(room, share), 0, 0, share.cores)
    if room.free >= converted.vcpus + share.isolated:
        for seat in _other_seats(room, cell, converted):
            yield _laid(room, cell, share, seat.cpus, seat.emulator)
