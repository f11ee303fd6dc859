"""The small programs: disk, modules, sysctl."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .state import HERE, SHARED, refuse, strict

DEVICE = "/dev/meshbundle"


def blkid(words: list[str]) -> None:
    """`blkid -L meshbundle`: the bundle's disk is the lab's folder `bundle`, unless the guest has none."""
    if words != ["-L", "meshbundle"]:
        strict("blkid", words)
    if (HERE / "no-disk").exists():
        raise SystemExit(2)
    print(DEVICE)


def blockdev(words: list[str]) -> None:
    """`blockdev --flushbufs DEVICE`."""
    if words != ["--flushbufs", DEVICE]:
        strict("blockdev", words)


def mount(words: list[str]) -> None:
    """`mount -o ro DEVICE FOLDER`, which must be empty of mounts."""
    if len(words) != 4 or words[:3] != ["-o", "ro", DEVICE]:
        strict("mount", words)
    if os.path.ismount(words[3]):
        refuse(f"mount: {words[3]}: {DEVICE} already mounted or mount point busy.", 32)
    os.execv("/usr/bin/mount", ["mount", "-o", "bind,ro", str(SHARED / "bundle"), words[3]])


def modprobe(words: list[str]) -> None:
    """`modprobe -a br_netfilter overlay`."""
    if words != ["-a", "br_netfilter", "overlay"]:
        strict("modprobe", words)


def sysctl(words: list[str]) -> None:
    """`sysctl -q -p FILE`: really sets; keys of br_netfilter may be absent here, others may not."""
    if len(words) != 3 or words[:2] != ["-q", "-p"]:
        strict("sysctl", words)
    for line in Path(words[2]).read_text().splitlines():
        if not re.fullmatch(r"[a-z0-9_.-]+ = \S.*", line):
            refuse(f"sysctl: {words[2]}: {line!r} is not KEY = VALUE", 255)
        key, _, value = line.partition(" = ")
        path = Path("/proc/sys", *key.split("."))
        if path.exists():
            path.write_text(value)
        elif not key.startswith("net.bridge."):
            refuse(f"sysctl: cannot stat {path}: No such file or directory", 255)
