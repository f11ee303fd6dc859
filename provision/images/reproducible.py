"""What makes two builds from equal inputs bit-equal: fixed times, fixed uuids, and a list of what went in.

The kernel gives files times that nobody can set (ctime) and programs draw uuids; both would make every build another image.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from provision.base.shell import Shell

EPOCH = 1_686_355_200
"""SOURCE_DATE_EPOCH of every build: 2023-06-10, when Debian 12 came out. Which moment it is does not matter."""

ENVIRONMENT: Mapping[str, str] = {
    "SOURCE_DATE_EPOCH": str(EPOCH),
    "E2FSPROGS_FAKE_TIME": str(EPOCH),
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}
"""For every program of a build. mke2fs 1.47.0 knows a variable of its own only; it sorts folders by the locale."""

_FIRST_INODE = 11
"""ext4 keeps ten inodes to itself; mke2fs numbers a folder's files from here without a gap."""

_LAG_S = 0.1
"""The kernel's clock for files is a tick late (10 ms at the most)."""


def fixed_uuid(image: str, what: str) -> str:
    """The same uuid at every build of an image, for a part of it."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:meshctl:image:{image}:{what}"))


def settle_times(root: Path, began: float) -> None:
    """Gives everything below `root` that the build made (since `began`, seconds of the epoch) the time EPOCH.

    What packages brought keeps its own: it is the same at every build.
    """
    for path in (root, *root.rglob("*")):
        seen = path.lstat()
        modified = seen.st_mtime_ns if seen.st_mtime < began - _LAG_S else EPOCH * 10**9
        os.utime(path, ns=(EPOCH * 10**9, modified), follow_symlinks=False)


def settle_inodes(shell: Shell, filesystem: str, used: int) -> None:
    """Sets the ctime of every inode of an ext4 filesystem, of which `used` are in use. `filesystem` is as debugfs takes it."""
    inodes = range(_FIRST_INODE, used + 1)
    script = "".join(f"set_inode_field <{inode}> ctime @{EPOCH}\n" for inode in inodes)
    shell.run(["debugfs", "-w", "-f", "-", filesystem], stdin=script.encode(), within_s=300)


def used_inodes(shell: Shell, filesystem: str) -> int:
    """How many inodes of an ext4 filesystem are in use."""
    said = shell.read(["dumpe2fs", "-h", filesystem]).stdout.splitlines()
    values = {name: value.strip() for name, _, value in (line.partition(":") for line in said)}
    return int(values["Inode count"]) - int(values["Free inodes"])


def packages(root: Path) -> str:
    """Name, version and architecture of every package below `root`, a line each, from dpkg's database."""
    return "".join(sorted(_packages((root / "var/lib/dpkg/status").read_text(encoding="utf-8"))))


def _packages(status: str) -> Iterator[str]:
    for stanza in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            yield f"{fields['Package']} {fields['Version']} {fields['Architecture']}\n"
