"""Chooses the program by the name it was called by."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from . import docker, small, systemd

PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "systemctl": systemd.systemctl,
    "systemd-run": systemd.systemd_run,
    "journalctl": systemd.journalctl,
    "double-boot": systemd.boot,
    "docker": docker.docker,
    "blkid": small.blkid,
    "blockdev": small.blockdev,
    "mount": small.mount,
    "modprobe": small.modprobe,
    "sysctl": small.sysctl,
}


def main() -> None:
    """Runs one of PROGRAMS."""
    PROGRAMS[Path(sys.argv[0]).name](sys.argv[1:])
