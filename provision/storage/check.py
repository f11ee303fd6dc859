"""Whether a host's pool can be used at all, and lies on what the inventory requires. Pure: before anything is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from provision.storage.judge import faults
from provision.storage.seen import StorageSeen
from provision.storage.wanted import Pool, Require


@dataclass(frozen=True)
class Fault:
    """What is wrong with a pool, and the next step."""

    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.message}\n    → {self.hint}"


def needs_look(pool: Pool, require: Require) -> bool:
    """Whether the host's devices matter at all: a folder whose device nobody judges needs none."""
    return pool.type != "dir" or require != "any"


def pool_faults(host: str, pool: Pool, require: Require, seen: StorageSeen) -> Iterator[Fault]:
    """Every reason against a pool, each with the host's and the pool's name."""
    checks = {"dir": _folder, "logical": _group, "block": _devices}
    for fault in checks[pool.type](pool, require, seen):
        yield Fault(f"{host}: pool {pool.name}: {fault.message}", fault.hint)


def _folder(pool: Pool, require: Require, seen: StorageSeen) -> Iterator[Fault]:
    if require == "any":
        return
    if not seen.folder_device:
        message = f"{pool.path} lies on {seen.folder_source or 'nothing'}, below which there is no device to be seen"
        hint = f"give it a filesystem on {_what(require)}, or say storage.require: any"
        yield Fault(f"{message}, but storage.require is {require}", hint)
    else:
        yield from _judged(seen.below_folder, pool.path, require, seen)


def _group(pool: Pool, require: Require, seen: StorageSeen) -> Iterator[Fault]:
    name = str(pool.volume_group)
    if not seen.mapper:
        hint = "modprobe dm_mod; where the kernel has none, take type dir or block"
        yield Fault("the kernel has no device-mapper, so no logical volume can be used", hint)
    group = seen.groups.get(name)
    if group is not None:
        yield from _judged(
            [_kernel_name(member, seen) for member in group.members], f"volume group {name}", require, seen
        )
    elif pool.devices:
        yield from _devices(pool, require, seen)
    else:
        hint = f"vgcreate {name} /dev/disk/by-id/…, or name the devices in the pool's `devices`"
        yield Fault(f"there is no volume group {name}", hint)


def _devices(pool: Pool, require: Require, seen: StorageSeen) -> Iterator[Fault]:
    for path in pool.devices:
        named = seen.named.get(path)
        if named is None or not named.name:
            yield Fault(f"{path} is no block device", "`lsblk --paths` and `ls -l /dev/disk/by-id` show what there is")
        else:
            yield from _judged([named.name], path, require, seen)


def _judged(names: Sequence[str], what: str, require: Require, seen: StorageSeen) -> Iterator[Fault]:
    for name in names:
        if name not in seen.devices:
            if require != "any":
                yield Fault(f"{what} lies on {name}, which lsblk does not show", "`lsblk --all` on the host")
            continue
        for why in faults(seen.devices, name, require):
            hint = f"put the pool on {_what(require)}, or say storage.require: {_softer(require)}any"
            yield Fault(f"{what} lies on {why}, but storage.require is {require}", hint)


def _kernel_name(path: str, seen: StorageSeen) -> str:
    """LVM says /dev/mapper/crypt where the kernel says dm-0."""
    return next((device.name for device in seen.devices.values() if device.path == path), path.rpartition("/")[2])


def _what(require: Require) -> str:
    return "an NVMe" if require == "nvme" else "a device that does not rotate"


def _softer(require: Require) -> str:
    return "ssd or " if require == "nvme" else ""
