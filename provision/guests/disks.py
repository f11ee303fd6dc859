"""Disks that grew under a guest: what of partition and filesystem has not followed, and what makes them follow. While they are used.

The root disk's partition grows by systemd-repart and the definition that each base image has had (/etc/repart.d), as at each start;
data volumes have no partition table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from provision.base.shell import Shell
from provision.base.units import MIB
from provision.inventory import Node
from provision.storage import STATE_KIND

NO_DISKS: Mapping[str, int] = MappingProxyType({})

SECTOR = 512
"""The unit of `size` and `start` in /sys/block, whatever the device's own is."""

DISK_FILES = "/sys/block/vd*/serial /sys/block/vd*/size /sys/block/vd*/vd*/start /sys/block/vd*/vd*/size"
"""What to grep of the kernel's: patterns for the shell. All disks of ours are virtio's."""

# The superblock's first words: how many blocks (the second; the 85th is the upper half) of 2^(10 + the seventh) bytes: Documentation/
# filesystems/ext4/super.rst. statfs(2) would cost no process, and does not tell: it leaves out what the filesystem needs for itself.
READ_FILESYSTEMS = """
seen=
while read -r device _ kind _; do
  case "$device $kind" in /dev/vd*" ext4") ;; *) continue ;; esac
  case "$seen" in *" $device "*) continue ;; esac
  seen="$seen $device "
  printf 'ext4 %s ' "$device"
  od -An -v -tu4 -w340 -j1024 -N340 "$device"
done < /proc/self/mounts
"""

TAIL = 1 * MIB
"""What a partition may leave free at a disk's end: GPT's second copy, 33 sectors, and what alignment takes."""

LAST_GROUP = 16 * MIB
"""What ext4 may leave free at its device's end: a last block group that would hardly hold its own tables is not made."""

# $1: the filesystem's device; $2: the disk that it is a partition of, or nothing. Both tools do nothing where nothing is to be done.
# partx tells a kernel that did not take the new table from libfdisk.
_GROW = """
set -eu
if [ -n "$2" ]; then
  systemd-repart --dry-run=no "$2"
  partx --update "$2"
fi
resize2fs "$1"
"""

GROW_S = 600.0
"""Online growth writes the tables of the new block groups: seconds for each 100 GiB, on a slow disk."""


@dataclass(frozen=True)
class Behind:
    """Something that is smaller than what it lies on: a `disk` than its volume, a partition than its disk, or a filesystem.

    `serial` is the disk's; `device` the filesystem's, `parent` the disk's where that is another; both empty for a disk.
    """

    what: str
    serial: str
    has_mib: int
    of_mib: int
    device: str = ""
    parent: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.serial} has {self.has_mib} of {self.of_mib} MiB"


def disk_sizes(node: Node) -> dict[str, int]:
    """The sizes of a node's disks in MiB, by their serial numbers; 0 for a state volume that it is not to have."""
    return {STATE_KIND: 0, **node.sizes_mib}


def grow_filesystem(shell: Shell, behind: Behind) -> None:
    """Makes a filesystem, and the partition that it is in, as large as the disk. Raises CommandFailed."""
    shell.run(["sh", "-c", _GROW, "grow", behind.device, behind.parent], within_s=GROW_S)


def left_behind(text: str, wanted: Mapping[str, int]) -> tuple[Behind, ...]:
    """What has not grown yet of the disks with these serial numbers and sizes in MiB. Pure: `text` is what the look gave."""
    return tuple(_behind(_Kernel(text), wanted))


class _Kernel:
    """What the kernel says of disks and partitions, in bytes by their names, and what the superblocks say."""

    def __init__(self, text: str) -> None:
        said = re.findall(r"^/sys/block/(vd[a-z]+)/(?:(vd\w+)/)?(serial|size|start):(.*)$", text, re.MULTILINE)
        self.serials = {disk: value for disk, _, key, value in said if key == "serial"}
        self.sizes = {part or disk: int(value) * SECTOR for disk, part, key, value in said if key == "size"}
        self.starts = {part: int(value) * SECTOR for _, part, key, value in said if key == "start"}
        self.disks = {part: disk for disk, part, key, _ in said if key == "start"}
        read = re.findall(r"^ext4 /dev/(\S+) +((?:\d+ *){85})$", text, re.MULTILINE)
        self.filesystems = {name: _ext4_bytes([int(word) for word in words.split()]) for name, words in read}


def _ext4_bytes(superblock: list[int]) -> int:
    return (superblock[1] + (superblock[84] << 32)) << (10 + superblock[6])


def _behind(kernel: _Kernel, wanted: Mapping[str, int]) -> Iterator[Behind]:
    for disk, serial in sorted(kernel.serials.items()):
        size = kernel.sizes.get(disk, 0)
        if size and size // MIB < wanted.get(serial, 0):
            yield Behind("disk", serial, size // MIB, wanted[serial])
    for name, bytes_ in sorted(kernel.filesystems.items()):
        disk = kernel.disks.get(name, name)
        serial = kernel.serials.get(disk, "")
        if serial in wanted and disk in kernel.sizes:
            yield from _filesystem_behind(kernel, name, disk, serial, bytes_)


def _filesystem_behind(kernel: _Kernel, name: str, disk: str, serial: str, bytes_: int) -> Iterator[Behind]:
    size = kernel.sizes[disk]
    device, parent = f"/dev/{name}", f"/dev/{disk}" if name != disk else ""
    end = kernel.starts.get(name, 0) + kernel.sizes.get(name, 0)
    if size - end > TAIL:
        yield Behind("partition of disk", serial, end // MIB, size // MIB, device, parent)
    elif (room := kernel.sizes.get(name, 0)) - bytes_ > LAST_GROUP:
        yield Behind("filesystem of disk", serial, bytes_ // MIB, room // MIB, device, parent)
