"""A host's disks, over its shell: what is there, and making, filling and giving back volumes that libvirt does not make.

Logical volumes and whole devices are not libvirt's: it can neither tag nor thin the former, and has no pool for the latter
(docs/adr/0008). Each step looks once more at what it is about to overwrite: a plan may be minutes old.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from provision.base.errors import ShellError, StorageError
from provision.base.shell import Shell
from provision.storage import OWN_TAG, READY_TAG, THIN_POOL, Claim, Pool, StorageSeen, claim_text
from provision.storage.seen import SCRIPT, arguments, parse

READ_S = 30.0
"""A disk that spins up takes ten seconds to say who it is."""

FILL_S = 1800.0
"""For a base image on a disk that takes 2 MB/s; an NVMe needs seconds."""

CHANGED = 9
"""Status of the scripts below when a device is not what the plan was made for."""

# $1: the device, the rest: a command. Waits for the one that an earlier run began, should it still be at it. The lock is the
# device's own, goes to the command, and ends with it. Opened for reading: a device that is not there is not made, as a file.
_ALONE = 'exec 9< "$1" && flock 9 && shift && exec "$@"'

# $1: the device, $2: `wipe` when what it holds may be lost. Without --force wipefs refuses a device that is in use (it opens
# O_EXCL), but leaves the partition table within a partition: once it had the device for itself, that goes by force.
_CLEAR = f"""
set -eu
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
held() {{ wipefs --no-act --noheadings --output TYPE "$1"; }}
if [ "$2" = wipe ]; then
  wipefs --all --quiet "$1"
  if [ -n "$(held "$1")" ]; then wipefs --all --force --quiet "$1"; fi
fi
found=$(held "$1")
if [ -n "$found" ]; then echo "$found"; exit {CHANGED}; fi
"""

# $1: the device, $2: the text, padded to a sector of the device's last whole MiB.
_CLAIM = """
set -eu
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
bytes=$(blockdev --getsize64 "$1")
printf '%-512s' "$2" | dd of="$1" bs=512 seek=$(((bytes / 1048576 - 1) * 2048)) count=1 iflag=fullblock conv=notrunc,fsync status=none
"""

# $1: the device, whose claim is ours. --force: a partition that holds a guest's partition table is else left as it is.
_RELEASE = """
set -eu
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
blkdiscard --force "$1" 2> /dev/null || blkdiscard "$1" 2> /dev/null || true
wipefs --all --force --quiet "$1"
bytes=$(blockdev --getsize64 "$1")
dd if=/dev/zero of="$1" bs=1048576 seek=$((bytes / 1048576 - 1)) count=1 conv=notrunc,fsync status=none
"""


def observe_storage(shell: Shell, pool: Pool, disks: Mapping[str, str] | None = None) -> StorageSeen:
    """What lies below a pool. `disks` are the host's domains by the paths of their disks.

    Reads only, in one round trip. Raises ShellError when the host's tools give no answer.
    """
    devices = {path: domain for path, domain in (disks or {}).items() if path.startswith("/dev/")}
    argv = ["sh", "-c", SCRIPT, "devices", *arguments(pool.path, pool.devices, devices)]
    done = shell.read(argv, within_s=READ_S)
    try:
        return parse(done.stdout, devices)
    except (json.JSONDecodeError, KeyError, StopIteration, ValueError) as error:
        raise ShellError(
            f"{shell.where}: cannot read what lsblk says: {type(error).__name__}: {error}",
            hint="util-linux 2.37 or later must be there, and the login be root: try `lsblk --json --bytes` on the host",
        ) from error


def clear(shell: Shell, device: str, *, wipe: bool) -> None:
    """Makes sure that a device holds nothing, by taking its signatures away only with `wipe`. Raises StorageError."""
    done = shell.run(["sh", "-c", _CLEAR, "clear", device, "wipe" if wipe else "keep"], check=False)
    if done.status == CHANGED:
        found = " ".join(done.stdout.split())
        raise StorageError(
            f"{shell.where}: {device} was blank when the plan was made, now it holds {found}",
            hint="nothing was written to it; look at it, and run the command again",
        )
    done.checked()


def claim(shell: Shell, device: str, wanted: Claim) -> None:
    """Writes into a device whose it is."""
    shell.run(["sh", "-c", _CLAIM, "claim", device, claim_text(wanted)])


def release(shell: Shell, device: str) -> None:
    """Takes everything off a device that was ours: what it holds (discarded where it can be), its signatures, the claim."""
    shell.run(_alone(device, "sh", "-c", _RELEASE, "release", device), within_s=300.0)


def fill(shell: Shell, device: str, base_path: str) -> None:
    """Writes the base image, a qcow2 file of the host, into a device or a logical volume. Raises CommandFailed.

    -n: the target is there; -t none: past the page cache, so that the guest does not pay for our writing later.
    """
    argv = ["qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", "-t", "none", base_path, device]
    shell.run(_alone(device, *argv), within_s=FILL_S)


def _alone(device: str, *argv: str) -> list[str]:
    return ["sh", "-c", _ALONE, "alone", device, *argv]


# ── LVM: lvm(8) asks nothing with --yes; --wipesignatures takes away what an earlier volume left at the same place ────


def make_group(shell: Shell, group: str, devices: Sequence[str]) -> None:
    """A volume group of blank devices."""
    shell.run(["vgcreate", "--yes", "--addtag", OWN_TAG, group, *devices])


def make_thin_pool(shell: Shell, group: str) -> None:
    """A thin pool on nine tenths of what the group has free: the rest is for its metadata to grow, and for snapshots of others."""
    argv = ["lvcreate", "--yes", "--type", "thin-pool", "--extents", "90%FREE", "--addtag", OWN_TAG]
    shell.run([*argv, "--name", THIN_POOL, group], within_s=300.0)


def make_logical(shell: Shell, group: str, name: str, size_mib: int, *, thin: bool) -> None:
    """A logical volume, not ready yet."""
    if thin:
        size = ["--type", "thin", "--virtualsize", f"{size_mib}m", "--thinpool", THIN_POOL]
    else:
        size = ["--type", "linear", "--size", f"{size_mib}m", "--wipesignatures", "y"]
    shell.run(["lvcreate", "--yes", *size, "--name", name, group])


def extend_logical(shell: Shell, group: str, name: str, size_mib: int) -> None:
    """Makes a logical volume larger. Whoever has it open sees that when he is told."""
    shell.run(["lvextend", "--yes", "--size", f"{size_mib}m", f"{group}/{name}"])


def mark_ready(shell: Shell, group: str, name: str) -> None:
    """Says that a logical volume holds all it should."""
    shell.run(["lvchange", "--addtag", READY_TAG, f"{group}/{name}"])


def remove_logical(shell: Shell, group: str, name: str) -> None:
    """Removes a logical volume, and frees its blocks below first where they can be (issue_discards is off by default)."""
    path = f"/dev/{group}/{name}"
    shell.run(_alone(path, "blkdiscard", path), check=False, within_s=300.0)
    shell.run(["lvremove", "--yes", f"{group}/{name}"])


def remove_group(shell: Shell, group: str) -> None:
    """Removes a volume group that holds no logical volume, and LVM's labels from its devices."""
    done = shell.read(["vgs", "--noheadings", "--options", "pv_name", group])
    shell.run(["vgremove", "--yes", group])
    shell.run(["pvremove", "--yes", *done.stdout.split()])
