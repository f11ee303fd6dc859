"""Which devices a mounted filesystem lies on: findmnt names one of several, or something else altogether. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from provision.storage.devices import Device


@dataclass(frozen=True)
class Mount:
    """What findmnt says is mounted: its source, filesystem, device number and options."""

    source: str
    filesystem: str
    number: str
    options: str = ""

    def __str__(self) -> str:
        return f"{self.source} ({self.filesystem})"


def parse_mount(text: str) -> Mount | None:
    """The last of what is mounted at a place, which hides the others; None where findmnt says nothing."""
    entries = json.loads(text)["filesystems"] if text.strip() else []
    if not entries:
        return None
    entry = entries[-1]
    number, options = str(entry.get("maj:min") or "").strip(), str(entry.get("options") or "")
    return Mount(str(entry["source"]), str(entry["fstype"]), number, options)


def members(mount: Mount | None, devices: Mapping[str, Device], btrfs: str = "") -> tuple[str, ...]:
    """Kernel names of all devices below a mount, none where it has none of its own (overlay, NFS, tmpfs).

    One that lsblk does not show is named as the mount names it. `btrfs` are the paths `/sys/fs/btrfs/UUID/devices/NAME`.
    """
    if mount is None:
        return ()
    if mount.filesystem == "zfs":
        return tuple(_vdevs(mount.source.partition("/")[0], devices))
    if mount.filesystem == "bcachefs":  # all of them, joined by colons, or one
        named = [_known(path, devices) for path in re.split(r":(?=/)", mount.source)]
        known = [devices[name] for name in named if name in devices]
        same = (name for one in known if one.filesystem == "bcachefs" and one.uuid for name in _alike(one, devices))
        return tuple(dict.fromkeys((*named, *same)))
    # By number; btrfs has numbers of its own, there by the source without `[/subvolume]`.
    path = mount.source.partition("[")[0]
    first = [one.name for one in devices.values() if one.number == mount.number or one.path == path][:1]
    more = (
        _btrfs(devices[first[0]], devices, btrfs) if first and mount.filesystem == "btrfs" else _beside(mount, devices)
    )
    return tuple(dict.fromkeys((*first, *(more if first else ()))))


def _known(path: str, devices: Mapping[str, Device]) -> str:
    return next((one.name for one in devices.values() if one.path == path), path)


def _vdevs(pool: str, devices: Mapping[str, Device]) -> Iterator[str]:
    """Each member of a pool has the pool's name as its label (libblkid); where nothing is labelled, all of them may be its."""
    vdevs = [one for one in devices.values() if one.filesystem == "zfs_member"]
    labelled = any(one.label for one in vdevs)
    for one in vdevs:
        if one.label == pool or not labelled:
            yield one.name


def _btrfs(first: Device, devices: Mapping[str, Device], said: str) -> Iterator[str]:
    """The kernel's list where it has one; else those whose filesystem has the same uuid."""
    listed = re.findall(r"^/sys/fs/btrfs/([^/\n]+)/devices/(\S+)$", said, re.MULTILINE)
    own = {uuid for uuid, name in listed if name == first.name}
    yield from (name for uuid, name in listed if uuid in own)
    if not own:
        yield from _alike(first, devices)


def _alike(member: Device, devices: Mapping[str, Device]) -> Iterator[str]:
    """Devices whose filesystem is of the same kind and has the same uuid: its members."""
    for one in devices.values():
        if (one.filesystem, one.uuid) == (member.filesystem, member.uuid):
            yield one.name


def _beside(mount: Mount, devices: Mapping[str, Device]) -> Iterator[str]:
    """XFS's log and real-time devices (xfs(5)), which it names among its options."""
    for option in mount.options.split(","):
        name, _, path = option.partition("=")
        if mount.filesystem == "xfs" and name in ("logdev", "rtdev"):
            yield _known(path, devices)
