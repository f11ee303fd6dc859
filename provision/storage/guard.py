"""What keeps a device from being written to: what it holds, who uses it, and whether that may be lost. Pure.

A device with any signature (filesystem, partition table, LVM, RAID, swap) is written to only when the inventory names its
serial number under `storage.wipe` and the command says `--wipe`; one that is mounted or used by somebody, never.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from provision.storage.check import Fault
from provision.storage.claims import parse_claim
from provision.storage.devices import Device, above, physical
from provision.storage.seen import Named, StorageSeen

SEVERAL = ("btrfs", "bcachefs")
"""Filesystems whose members have one uuid; with others it is that of a copy or snapshot."""


@dataclass(frozen=True)
class Wiping:
    """What may be lost: `serials` are the inventory's, `asked`: the command says --wipe."""

    serials: frozenset[str] = frozenset()
    asked: bool = False


@dataclass(frozen=True)
class Obstacle:
    """What is on a device: `holds` may be wiped when allowed, `busy` never. `serials` are of the disks below it."""

    path: str
    holds: tuple[str, ...]
    busy: tuple[str, ...]
    serials: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.holds or self.busy)


def obstacle(device: Named, seen: StorageSeen) -> Obstacle:
    """What is on a device and on what lies on it; false when there is nothing."""
    known = seen.devices.get(device.name)
    serials = tuple(one.serial for one in physical(seen.devices, device.name)) if known else ()
    upon = tuple(above(seen.devices, device.name))
    within = (*([known] if known else []), *upon)
    return Obstacle(device.path, tuple(_holds(device, upon)), tuple(_busy(device, within, seen)), serials)


def _holds(device: Named, upon: Iterable[Device]) -> Iterator[str]:
    yield from device.signatures
    for one in upon:
        if one.filesystem:
            yield f"{one.filesystem} on {one.path}"
    if claim := parse_claim(device.claim):
        yield f"the volume {claim.name} of meshctl"


def _busy(device: Named, within: Iterable[Device], seen: StorageSeen) -> Iterator[str]:
    for one in within:
        for mount in one.mounts:
            yield f"{one.path} is used as swap" if mount == "[SWAP]" else f"{one.path} is mounted at {mount}"
        yield from _beside(one, seen)
        # A partition is only a part of it; anything else on a device (md, LVM, dm-crypt, a multipath) works on it now.
        if one.name != device.name and one.type != "part":
            yield f"{one.path} ({one.type}) is on it"
    parts = {device.name, *(one.name for one in within), *_below(device.name, seen)}
    for name, domain in seen.users.items():
        if name in parts:
            yield f"domain {domain} has {seen.devices[name].path if name in seen.devices else device.path}"


def _beside(one: Device, seen: StorageSeen) -> Iterator[str]:
    """Filesystems on several devices are mounted as one of them: the others show no mount."""
    if one.mounts:
        return
    if one.name in seen.below_folder:
        yield f"{one.path} is part of {seen.folder_source}, where the pool's folder is"
    for other in seen.devices.values() if one.uuid and one.filesystem in SEVERAL else ():
        if other.uuid == one.uuid:
            yield from (f"{one.path} is part of the {one.filesystem} mounted at {mount}" for mount in other.mounts)


def _below(name: str, seen: StorageSeen) -> Iterator[str]:
    """Names of what a device is a part of: a domain that has the whole disk has its partitions too."""
    for parent in seen.devices[name].parents if name in seen.devices else ():
        yield parent
        yield from _below(parent, seen)


def refusal(found: Obstacle, wiping: Wiping) -> Fault | None:
    """Why a device must not be written to, None when it may: it is blank, or what it holds may be lost."""
    if found.busy:
        hint = "name another device: one that is in use is never written to, --wipe or not"
        return Fault(f"{found.path} is in use: {'; '.join(found.busy)}", hint)
    if not found.holds or _may_wipe(found, wiping):
        return None
    return Fault(f"{found.path} is not blank, it holds {', '.join(found.holds)}", _way_out(found, wiping))


def _may_wipe(found: Obstacle, wiping: Wiping) -> bool:
    return wiping.asked and _named(found, wiping)


def _named(found: Obstacle, wiping: Wiping) -> bool:
    """Whether the inventory names all disks below; one without a serial number cannot be named."""
    return bool(found.serials) and all(found.serials) and wiping.serials.issuperset(found.serials)


def _way_out(found: Obstacle, wiping: Wiping) -> str:
    if not found.serials or not all(found.serials):
        return f"it has no serial number to be named under storage.wipe: if all that may be lost, `wipefs --all {found.path}`"
    names = ", ".join(found.serials)
    if _named(found, wiping):
        return f"its serial number ({names}) is named under storage.wipe: --wipe on the command line lets it be lost"
    return f"if that may be lost: name its serial number ({names}) under storage.wipe, and say --wipe"
