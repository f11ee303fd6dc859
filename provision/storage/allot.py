"""Which device, or whose space, each volume of a host gets: remembered by claims, else the next that is free. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from provision.base.units import MIB
from provision.storage.check import Fault
from provision.storage.claims import THIN_POOL, Claim, parse_claim, usable_mib
from provision.storage.guard import Obstacle, Wiping, obstacle, refusal
from provision.storage.seen import Named, StorageSeen
from provision.storage.wanted import Pool


@dataclass(frozen=True)
class Wish:
    """A volume that a host is to hold: its name, which is its stamp, and its size."""

    name: str
    size_mib: int


@dataclass(frozen=True)
class Device:
    """A device that a volume gets whole: as the inventory names it; `size_mib` is what the guest may use of it."""

    path: str
    size_mib: int


@dataclass(frozen=True)
class Allotment:
    """What a host's storage gives: devices by the name of their volume, devices that are wiped first, and what is wrong."""

    devices: Mapping[str, Device] = field(default_factory=dict)
    wipes: tuple[Obstacle, ...] = ()
    faults: tuple[Fault, ...] = ()


def allot(pool: Pool, wishes: Sequence[Wish], seen: StorageSeen, wiping: Wiping) -> Allotment:
    """Where the volumes of one host go; a pool of type dir needs nothing of that."""
    if pool.type == "block":
        return _devices(pool, wishes, seen, wiping)
    return _group(pool, wishes, seen, wiping) if pool.type == "logical" else Allotment()


def claims(seen: StorageSeen) -> dict[str, Claim]:
    """The claims on a host's devices, by the path that the inventory gives."""
    found = {path: parse_claim(named.claim) for path, named in seen.named.items()}
    return {path: claim for path, claim in found.items() if claim is not None}


# ── whole devices ────────────────────────────────────────────────────────────────────────────────────────────────


def _devices(pool: Pool, wishes: Sequence[Wish], seen: StorageSeen, wiping: Wiping) -> Allotment:
    there = [seen.named[path] for path in pool.devices if path in seen.named and seen.named[path].name]
    holder = {claim.name: seen.named[path] for path, claim in claims(seen).items()}
    names = {wish.name for wish in wishes}
    free = [one for one in there if not (claim := parse_claim(one.claim)) or claim.name not in names]
    found: dict[str, Device] = {}
    faults, wipes = [], []
    for wish in wishes:
        device = holder.get(wish.name) or next((one for one in free if usable_mib(one.size) >= wish.size_mib), None)
        if device is None:
            faults.append(_none_left(wish, free, pool))
            continue
        if usable_mib(device.size) < wish.size_mib:
            faults.append(_too_small(wish, device))
            continue
        found[wish.name] = Device(device.path, usable_mib(device.size))
        if device in free:
            free.remove(device)
            on_it = obstacle(device, seen)
            fault = refusal(on_it, wiping)
            faults += [fault] if fault else []
            wipes += [on_it] if on_it and not fault else []
    return Allotment(found, tuple(wipes), tuple(faults))


def _too_small(wish: Wish, held: Named) -> Fault:
    return Fault(
        f"{wish.name} has {held.path} with {usable_mib(held.size)} MiB, and now needs {wish.size_mib}: a device has the size it has",
        "put the value back; a larger device is for a node that is made anew",
    )


def _none_left(wish: Wish, free: Sequence[Named], pool: Pool) -> Fault:
    left = ", ".join(f"{one.path} ({usable_mib(one.size)} MiB)" for one in free) or "none"
    return Fault(
        f"no device is left for {wish.name}, which needs {wish.size_mib} MiB; left of {len(pool.devices)}: {left}",
        "name more devices, give nodes another host, or ask for less `disk` (a volume gets a device whole)",
    )


# ── volume groups ────────────────────────────────────────────────────────────────────────────────────────────────


def _group(pool: Pool, wishes: Sequence[Wish], seen: StorageSeen, wiping: Wiping) -> Allotment:
    name = str(pool.volume_group)
    group = seen.groups.get(name)
    on_them = [] if group else [obstacle(seen.named[path], seen) for path in pool.devices if path in seen.named]
    faults = [fault for one in on_them if (fault := refusal(one, wiping)) is not None]
    if not faults:
        free_mib = (
            group.free if group else sum(seen.named[path].size for path in pool.devices if path in seen.named)
        ) // MIB
        faults += _space(pool, wishes, seen, free_mib)
    return Allotment(wipes=() if faults else tuple(one for one in on_them if one), faults=tuple(faults))


def _space(pool: Pool, wishes: Sequence[Wish], seen: StorageSeen, free_mib: int) -> Iterator[Fault]:
    """Thick volumes must fit now, and what they grow by; what thin ones take is seen only when it is written (`doctor` watches their
    pool).
    """
    there = {one.name: one.size // MIB for one in seen.logicals if one.group == pool.volume_group}
    missing = [wish for wish in wishes if wish.size_mib > there.get(wish.name, 0)]
    needed_mib = sum(wish.size_mib - there.get(wish.name, 0) for wish in missing)
    if pool.thin:
        if missing and THIN_POOL not in there and free_mib < needed_mib // 10:
            yield Fault(
                f"volume group {pool.volume_group} has {free_mib} MiB free for a thin pool, its volumes may grow to {needed_mib}",
                "vgextend it, or ask for less",
            )
    elif needed_mib > free_mib:
        yield Fault(
            f"volume group {pool.volume_group} has {free_mib} MiB free, {needed_mib} needed by {', '.join(one.name for one in missing)}",
            "vgextend it, ask for less, or say `thin: true`",
        )


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────


def file_faults(
    pool: Pool, wishes: Sequence[Wish], sizes_mib: Mapping[str, int], available_mib: int
) -> Iterator[Fault]:
    """Whether the folder holds what its data volumes grow by: they have all their blocks from the start, root volumes have not.

    `sizes_mib` are the data volumes that there are, by their names as wishes.
    """
    growing = [wish for wish in wishes if wish.size_mib > sizes_mib.get(wish.name, wish.size_mib)]
    needed_mib = sum(wish.size_mib - sizes_mib[wish.name] for wish in growing)
    if needed_mib > available_mib:
        names = ", ".join(wish.name for wish in growing)
        yield Fault(
            f"{pool.path} has {available_mib} MiB free, {needed_mib} more are needed by {names}",
            "ask for less, or make room",
        )
