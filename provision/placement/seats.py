"""Where on a host a guest can sit: one NUMA node, or several that it is split over evenly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, islice, product

from provision.inventory import Spread
from provision.placement.layout import HostLayout
from provision.placement.need import Need, Share
from provision.placement.pick import best, every
from provision.placement.room import CellRoom, HostRoom, Seat

MOST_SETS = 100
"""How many sets of NUMA nodes are compared for a guest that is split: all of them up to eight nodes by three."""


def parts(need: Need, layout: HostLayout, ratio: float) -> int:
    """Over how many NUMA nodes of an empty host the guest goes; 0 when it cannot.

    A guest that one node can hold gets one; a larger one is split over as few as can hold it. What is occupied
    does not count: so a guest's shape does not depend on who came first.
    """
    known = layout.shapes.get((need, ratio))
    if known is None:
        known = layout.shapes[need, ratio] = _parts(need, layout, ratio)
    return known


def _parts(need: Need, layout: HostLayout, ratio: float) -> int:
    rooms = [CellRoom(cell, ratio) for cell in layout.cells]
    for count in [need.cells] if need.cells else range(1, len(rooms) + 1):
        if (
            need.splits_into(count)
            and len(_fitting(need, count, rooms)) >= count
            and _holds_emulator(need, count, rooms)
        ):
            return count
    return 0


def _fitting(need: Need, count: int, rooms: Sequence[CellRoom]) -> list[int]:
    share = need.share(count)
    return [cell for cell, room in enumerate(rooms) if best(room, cell, share, pack=False) is not None]


def _holds_emulator(need: Need, count: int, rooms: Sequence[CellRoom]) -> bool:
    """Whether one of the nodes can hold the emulator's CPU besides its share."""
    share = need.share(count).with_emulator()
    return not need.isolated or any(best(room, cell, share, pack=False) for cell, room in enumerate(rooms))


def seats(host: HostRoom, need: Need, policy: Spread) -> tuple[Seat, ...] | None:
    """The best seats on a host, one per NUMA node; None when there are none."""
    kinds = need.by_kind(host.layout.kinds)
    return next((found for one in kinds if (found := _seats(host, one, policy)) is not None), None)


def _seats(host: HostRoom, need: Need, policy: Spread) -> tuple[Seat, ...] | None:
    count = parts(need, host.layout, host.host.cpu.ratio)
    if not count or (host.emulators_roam and (need.dedicated or need.isolated)):
        return None
    if count == 1:
        share = _first_share(need, 1)
        for cell in _order(host, policy):
            seat = best(host.cells[cell], cell, share, pack=not host.shared)
            if seat is not None:
                return (seat,)
        return None
    return next(_split(host, need, count, policy, exact=False), None)


def every_seats(host: HostRoom, need: Need, policy: Spread) -> Iterator[tuple[Seat, ...]]:
    """The best seats first, then every other kind."""
    for one in need.by_kind(host.layout.kinds):
        count = parts(one, host.layout, host.host.cpu.ratio)
        if count and not (host.emulators_roam and (need.dedicated or need.isolated)):
            yield from _split(host, one, count, policy, exact=True)


def _first_share(need: Need, count: int) -> Share:
    share = need.share(count)
    return share.with_emulator() if need.isolated else share


def _order(host: HostRoom, policy: Spread) -> list[int]:
    """Cells as they are tried: the pool's own first, then the emptiest (spread) or the fullest (pack)."""
    sign = -1 if policy.cells == "spread" else 1
    near = host.host.pool.numa_node

    def key(cell: int) -> tuple[bool, float, int]:
        room = host.cells[cell]
        return (near is not None and room.layout.id != near, sign * (room.slack if host.shared else room.free), cell)

    return sorted(range(len(host.cells)), key=key)


def _split(host: HostRoom, need: Need, count: int, policy: Spread, *, exact: bool) -> Iterator[tuple[Seat, ...]]:
    """Seats over `count` cells, near ones first. The first cell also holds the emulator's own CPU."""
    order = _order(host, policy)
    share, pack = need.share(count), not host.shared
    fitting = [cell for cell in order if best(host.cells[cell], cell, share, pack=pack) is not None]
    for cells in _sets(host, fitting, count):
        for first in cells if need.isolated else cells[:1]:
            chosen = [first, *(cell for cell in cells if cell != first)]
            shares = [_first_share(need, count), *([share] * (count - 1))]
            if exact:
                ways = [every(host.cells[c], c, s, pack=pack) for c, s in zip(chosen, shares, strict=True)]
                yield from product(*ways)
                continue
            found = [best(host.cells[c], c, s, pack=pack) for c, s in zip(chosen, shares, strict=True)]
            if all(found):
                yield tuple(seat for seat in found if seat is not None)


def _sets(host: HostRoom, fitting: Sequence[int], count: int) -> list[tuple[int, ...]]:
    """Sets of cells, those with the smallest sum of distances first; ties in the order of `fitting`."""
    distances = host.layout.distances
    found = list(islice(combinations(fitting, count), MOST_SETS))
    found.sort(key=lambda cells: sum(distances[one][two] for one, two in combinations(cells, 2)))
    return found
