"""Guests that are there: whose pins stay, and what the others occupy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from provision.placement.layout import CellLayout, HostLayout
from provision.placement.model import MemoryHeld, Tenant
from provision.placement.need import Need, Share
from provision.placement.pick import emulator_only
from provision.placement.room import TINY, CellRoom, HostRoom, Seat
from provision.placement.seats import parts


def occupy(host: HostRoom, tenant: Tenant, spared: frozenset[int] = frozenset()) -> None:
    """Takes off what a guest holds that is not ours to place: the CPUs that it is pinned to but for `spared`, its memory.

    One that floats over all CPUs claims none of them; its memory may be anywhere and is counted on every node in proportion.
    """
    for held, load in _claims(host.layout.cpus_of_cells, tenant):
        _claim(host, held - spared, load, _most(host, tenant))
    for cell, memory_mib, page_kib in memory_of(host.layout, tenant):
        host.cells[cell].take_memory(memory_mib, page_kib)


def occupy_spared(host: HostRoom, tenant: Tenant, left: frozenset[int]) -> None:
    """Takes off those of the spared CPUs that nobody kept after all."""
    for held, load in _claims(host.layout.cpus_of_cells, tenant):
        _claim(host, held & left, load, _most(host, tenant))


def claimed(cells: Sequence[Collection[int]], tenant: Tenant) -> frozenset[int]:
    """All CPUs that a guest is pinned to, on a host whose NUMA nodes have these CPUs."""
    return frozenset(cpu for held, _ in _claims(cells, tenant) for cpu in held)


def own_threads(cells: Sequence[Collection[int]], tenant: Tenant) -> frozenset[int]:
    """CPUs of a guest's emulator and iothreads: none where they float over a whole NUMA node, as they claim nothing there."""
    online = frozenset(cpu for cell in cells for cpu in cell)
    own = pinned(tenant.emulator_cpus, online) | pinned(tenant.iothread_cpus, online)
    return frozenset() if any(own.issuperset(cell) for cell in cells if cell) else own


def _claims(cells: Sequence[Collection[int]], tenant: Tenant) -> list[tuple[frozenset[int], float]]:
    """CPUs that a guest is pinned to, with how much of each it takes."""
    online = frozenset(cpu for cell in cells for cpu in cell)
    vcpus = [pinned(cpus, online) for cpus in tenant.vcpu_cpus]
    return [*((held, 1.0 / max(1, len(held))) for held in vcpus), (own_threads(cells, tenant), 0.0)]


def _most(host: HostRoom, tenant: Tenant) -> float:
    """Whoever else overloads a CPU makes it full, not its neighbours; those that we placed are within the ratio on average."""
    return host.host.cpu.ratio if tenant.node is None else math.inf


def pinned(cpus: frozenset[int], online: frozenset[int]) -> frozenset[int]:
    """The CPUs that a thread is bound to, those that are offline left out; none for one that may use all."""
    found = cpus & online
    return frozenset() if found == online else found


def _claim(host: HostRoom, cpus: frozenset[int], load: float, most: float) -> None:
    """Makes CPUs unavailable; where CPUs are shared anyway, loaded, each with `most` at the most."""
    for cpu in cpus:
        index = host.layout.cell_of.get(cpu)
        if index is None:
            continue
        cell = host.cells[index]
        cell.drop((cpu,))
        if host.shared:
            cell.load[cpu] = min(most, cell.load.get(cpu, 0.0) + load)


def memory_of(layout: HostLayout, tenant: Tenant) -> list[tuple[int, int, int]]:
    """A guest's memory, as far as can be known: cell (by index), MiB, and size of its huge pages, 0 for ordinary memory."""
    parts = tenant.memory or (MemoryHeld(tenant.memory_mib, tenant.memory_cells, tenant.hugepage_kib),)
    return [(cell, memory_mib, part.page_kib) for part in parts for cell, memory_mib in _spread(layout, tenant, part)]


def _spread(layout: HostLayout, tenant: Tenant, part: MemoryHeld) -> list[tuple[int, int]]:
    """Evenly over the cells that it is bound to or pinned to; else over all in proportion to what guests may have there."""
    vcpus = [cpus for number, cpus in enumerate(tenant.vcpu_cpus) if number in part.vcpus or not part.vcpus]
    held = {cpu for cpus in vcpus for cpu in pinned(cpus, layout.online)}
    cells = [index for index, cell in enumerate(layout.cells) if cell.id in part.cells]
    cells = cells or [i for i, cell in enumerate(layout.cells) if cell.has_memory and held & set(cell.cpus)]
    sizes = [_size(cell, part.page_kib) for cell in layout.cells]
    if cells:  # huge pages are where there are some
        cells = [cell for cell in cells if sizes[cell] or not part.page_kib] or cells
        return [(cell, part.memory_mib // len(cells)) for cell in cells]
    total = sum(sizes)
    return [(cell, part.memory_mib * size // total) for cell, size in enumerate(sizes) if total]


def _size(cell: CellLayout, page_kib: int) -> int:
    """What guests may have of a cell: ordinary memory in MiB, or the number of huge pages of a size."""
    if page_kib:
        return dict(cell.pages).get(page_kib, 0)
    return cell.memory_mib if cell.has_memory else 0


def kept(host: HostRoom, tenant: Tenant, need: Need, held: Mapping[int, int]) -> tuple[Seat, ...] | None:
    """The seats that a guest has, when they are still right; None when it must be seated anew.

    Right means: one allowed CPU per vCPU, in as many NUMA nodes as it should have, the policy of its threads observed,
    the memory there. `held` counts, per CPU, the other guests of ours that have it.
    """
    if any(len(cpus) != 1 for cpus in tenant.vcpu_cpus) or len(tenant.vcpu_cpus) != need.vcpus:
        return None
    pins = [next(iter(cpus)) for cpus in tenant.vcpu_cpus]
    count = parts(need, host.layout, host.host.cpu.ratio)
    if not count or (host.emulators_roam and (need.dedicated or need.isolated)):
        return None
    size = need.vcpus // count
    blocks = [tuple(pins[start : start + size]) for start in range(0, need.vcpus, size)]
    cells = [_cell_of(host, block) for block in blocks]
    found = [cell for cell in cells if cell is not None]
    if len(found) < count or len(set(found)) < count:
        return None
    others = frozenset(cpu for cpu, count in held.items() if count > 0)
    return _checked(host, need, found, blocks, tenant.emulator_cpus, others)


def _cell_of(host: HostRoom, cpus: Iterable[int]) -> int | None:
    """The one cell that holds all these CPUs."""
    cells = {host.layout.cell_of.get(cpu) for cpu in cpus}
    return next(iter(cells)) if len(cells) == 1 else None


def _checked(
    host: HostRoom,
    need: Need,
    cells: Sequence[int],
    blocks: Sequence[tuple[int, ...]],
    emulator: frozenset[int],
    others: frozenset[int],
) -> tuple[Seat, ...] | None:
    share = need.share(len(cells))
    seats = [_seat(host.cells[cell], cell, block, share) for cell, block in zip(cells, blocks, strict=True)]
    found = [seat for seat in seats if seat is not None]
    exclusive = {cpu for seat in found for cpu in (*seat.cpus, *seat.idle)} if need.dedicated else set()
    if len(found) < len(seats) or exclusive & others:
        return None
    if need.isolated:
        own = _emulator(host.cells[cells[0]], found[0], emulator, others)
        if own is None:
            return None
        found[0] = Seat(found[0].cell, found[0].cpus, own, found[0].idle)
    enough = all(host.cells[seat.cell].leaves_enough(seat, dedicated=need.dedicated) for seat in found)
    return tuple(found) if enough else None


def _seat(room: CellRoom, cell: int, cpus: tuple[int, ...], share: Share) -> Seat | None:
    """A seat on given CPUs, None when they are not right."""
    if not room.has_memory(share):
        return None
    if not share.dedicated:
        usable = all(room.is_free(cpu) or cpu in room.load for cpu in cpus)
        return Seat(cell, cpus) if usable and room.slack >= len(cpus) - TINY else None
    if len(set(cpus)) < len(cpus) or not all(room.is_free(cpu) for cpu in cpus):
        return None
    cores = Counter(room.layout.core_of[cpu] for cpu in cpus)
    if share.threads == "require":
        return Seat(cell, cpus) if len(set(cores.values())) == 1 and min(cores.values()) > 1 else None
    if share.threads == "isolate":
        if max(cores.values()) > 1 or not all(room.whole(core) for core in cores):
            return None
        return Seat(cell, cpus, idle=tuple(cpu for core in cores for cpu in room.cores[core] if cpu not in cpus))
    return Seat(cell, cpus)


def _emulator(room: CellRoom, seat: Seat, known: frozenset[int], others: frozenset[int]) -> int | None:
    """The emulator's own CPU: the one it has, where that is right, else another that nobody has."""
    before = room.snapshot()
    room.drop(cpu for cpu in {*seat.cpus, *seat.idle, *others} if cpu in room.layout.core_of)
    right = [cpu for cpu in known if len(known) == 1 and room.is_free(cpu)]
    found = right[0] if right else emulator_only(room)
    room.restore(before)
    return found
