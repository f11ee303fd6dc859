"""What a host says of its storage: the answer of one script, read into data. Pure; `host_disks` asks.

The answer is in sections, each begun by a line `@NAME ARGUMENT`. Programs that a host lacks leave their section empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provision.storage.devices import COLUMNS, Device, parse_lsblk, with_fabrics
from provision.storage.filesystems import members, parse_mount

SCRIPT = f"""
set -u
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
folder=$1; shift
printf '@lsblk\\n'; lsblk --json --bytes --output {COLUMNS}
printf '\\n@nvme\\n'; grep -sH '' /sys/block/nvme*/device/transport /sys/block/nvme*/device/nvme*/transport
printf '\\n@btrfs\\n'; ls -d /sys/fs/btrfs/*/devices/* 2> /dev/null
printf '\\n@mapper\\n'; grep -w device-mapper /proc/devices
while [ ! -e "$folder" ]; do folder=$(dirname -- "$folder"); done
printf '\\n@folder %s\\n' "$folder"; findmnt --json --output SOURCE,FSTYPE,MAJ:MIN,OPTIONS --target "$folder"
if command -v vgs > /dev/null; then
  report="--reportformat json --units b --nosuffix"
  printf '\\n@vgs\\n'; vgs $report -o vg_name,vg_size,vg_free,vg_tags,pv_name 2> /dev/null
  printf '\\n@lvs\\n'; lvs $report -o vg_name,lv_name,lv_size,lv_tags,vg_extent_size 2> /dev/null
fi
for argument; do
  path=${{argument#*:}}
  if [ "${{argument%%:*}}" = used ]; then printf '\\n@used %s\\n' "$path"; readlink -f -- "$path"; continue; fi
  printf '\\n@device %s\\n' "$path"
  readlink -f -- "$path"
  [ -b "$path" ] || continue
  bytes=$(blockdev --getsize64 "$path")
  printf '%s\\n' "$bytes"
  dd if="$path" bs=1048576 skip=$((bytes / 1048576 - 1)) count=1 2> /dev/null | head -c 512 | tr -cd '[:print:]'
  printf '\\n'
  wipefs --no-act --json "$path" 2> /dev/null || blkid -p -o value -s TYPE "$path"
done
true
"""
"""Reads only. $1 is the pool's folder; then device:PATH for each that the inventory names, used:PATH for each disk of a
domain. A device's claim is in its last whole MiB (`claims`)."""


@dataclass(frozen=True)
class Named:
    """A device as the inventory names it. `name` is the kernel's, "" when there is none such; `size` in bytes."""

    path: str
    name: str
    size: int = 0
    claim: str = ""
    signatures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """An LVM volume group; `size` and `free` in bytes, `members` are the paths of its physical volumes."""

    name: str
    size: int
    free: int
    tags: tuple[str, ...]
    members: tuple[str, ...]


@dataclass(frozen=True)
class Logical:
    """A logical volume; `size` in bytes, of whole extents of `extent` bytes; `tags` are LVM's. LVM's own parts of others (a thin
    pool's data) are left out.
    """

    group: str
    name: str
    size: int
    tags: tuple[str, ...] = ()
    extent: int = 4 << 20


@dataclass(frozen=True)
class StorageSeen:
    """A host's storage. `folder` is the nearest existing folder of the pool, `folder_source` what is mounted there.

    `folder_device` is the kernel name of the device below that folder, "" when it has none of its own (overlay, NFS, tmpfs);
    `folder_members` are the others of a filesystem that lies on several.
    `mapper`: the kernel has device-mapper, without which no logical volume can be used. `users` are domains by the
    kernel name of a device that they have as a disk.
    """

    devices: Mapping[str, Device] = field(default_factory=dict)
    mapper: bool = False
    folder: str = ""
    folder_source: str = ""
    folder_device: str = ""
    folder_members: tuple[str, ...] = ()
    groups: Mapping[str, Group] = field(default_factory=dict)
    logicals: tuple[Logical, ...] = ()
    named: Mapping[str, Named] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)

    @property
    def below_folder(self) -> tuple[str, ...]:
        """All devices that the folder's filesystem lies on."""
        return (self.folder_device, *self.folder_members) if self.folder_device else ()

    def logical(self, group: str, name: str) -> Logical | None:
        """The logical volume of a group, if there is one."""
        return next((one for one in self.logicals if (one.group, one.name) == (group, name)), None)


def arguments(folder: str, devices: Iterable[str], disks: Iterable[str]) -> list[str]:
    """What SCRIPT gets: the pool's folder, the inventory's devices, the disks of domains."""
    return [folder, *(f"device:{path}" for path in devices), *(f"used:{path}" for path in disks)]


def parse(answer: str, domains: Mapping[str, str] | None = None) -> StorageSeen:
    """The answer of SCRIPT; `domains` are the names of domains by the path of their disks."""
    sections = _sections(answer)
    plain = {name: body for (name, argument), body in sections.items() if not argument}
    devices = with_fabrics(parse_lsblk(plain["lsblk"]), plain.get("nvme", ""))
    folder, mount = next((argument, body) for (name, argument), body in sections.items() if name == "folder")
    mounted = parse_mount(mount)
    below = members(mounted, devices, plain.get("btrfs", ""))
    named = {path: _named(path, body, devices) for (kind, path), body in sections.items() if kind == "device"}
    return StorageSeen(
        devices=devices,
        mapper="device-mapper" in plain.get("mapper", ""),
        folder=folder,
        folder_source=str(mounted) if mounted else "",
        folder_device=below[0] if below else "",
        folder_members=below[1:],
        groups=_groups(plain.get("vgs", "")),
        logicals=_logicals(plain.get("lvs", "")),
        named=named,
        users={
            real.strip().rpartition("/")[2]: (domains or {}).get(path, "")
            for (kind, path), real in sections.items()
            if kind == "used"
        },
    )


def _sections(answer: str) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for part in f"\n{answer}".split("\n@")[1:]:
        head, _, body = part.partition("\n")
        name, _, argument = head.partition(" ")
        found[(name, argument)] = body.strip("\n")
    return found


def _reported(text: str, kind: str) -> list[dict[str, Any]]:
    return list(json.loads(text)["report"][0][kind]) if text.strip() else []


def _tags(row: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    return tuple(filter(None, str(row[f"{kind}_tags"]).split(",")))


def _groups(text: str) -> dict[str, Group]:
    groups: dict[str, Group] = {}
    for row in _reported(text, "vg"):  # one row for each physical volume
        name = str(row["vg_name"])
        members = (*(groups[name].members if name in groups else ()), str(row["pv_name"]))
        groups[name] = Group(name, int(row["vg_size"]), int(row["vg_free"]), _tags(row, "vg"), members)
    return groups


def _logicals(text: str) -> tuple[Logical, ...]:
    rows = _reported(text, "lv")
    return tuple(
        Logical(str(r["vg_name"]), str(r["lv_name"]), int(r["lv_size"]), _tags(r, "lv"), int(r["vg_extent_size"]))
        for r in rows
    )


def _named(path: str, body: str, devices: Mapping[str, Device]) -> Named:
    real, size, claim, rest = [*body.split("\n", 3), "", "", "", ""][:4]
    if not size.strip():
        return Named(path, "")
    known = [device.name for device in devices.values() if device.path == real]
    return Named(path, known[0] if known else real.rpartition("/")[2], int(size), claim.strip(), _signatures(rest))


def _signatures(text: str) -> tuple[str, ...]:
    if not text.strip().startswith("{"):
        return tuple(dict.fromkeys(text.split()))
    return tuple(dict.fromkeys(str(one["type"]) for one in json.loads(text)["signatures"]))
