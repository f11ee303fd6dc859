"""Which processes are a lab's, and ending them. Found by namespace and mounts, never by name or by a stale pid file."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

from provision.base.errors import StageTimeout
from provision.base.waiting import NotYet, Ready, wait_until
from provision.lab.places import Lab

DAEMONS = frozenset({"libvirtd", "sshd"})
"""What `up` starts: it starts them anew, where the guests go on running."""

END_S = 20.0
"""A guest that was told to end writes its disks back first."""


def members(lab: Lab) -> list[int]:
    """Every process of the lab: libvirtd, dnsmasq, QEMU, what `exec` and SSH started. By namespace, not by name."""
    return [pid for pid in _all_pids() if in_namespace(lab, pid) or sees_state(lab, pid)]


def obstacles(lab: Lab) -> list[int]:
    """What must end before libvirtd can start: former daemons, and guests in a network namespace that is gone."""
    return [pid for pid in members(lab) if _program(pid) in DAEMONS or not in_namespace(lab, pid)]


def _all_pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def in_namespace(lab: Lab, pid: int) -> bool:
    """Whether a process is in the lab's network namespace."""
    return _same(Path(f"/proc/{pid}/ns/net"), lab.namespace_file)


def sees_state(lab: Lab, pid: int) -> bool:
    """Whether a process sees the lab's folder as /var/lib/libvirt: true also after somebody deleted the namespace."""
    return _same(Path(f"/proc/{pid}/root/var/lib/libvirt"), lab.libvirt)


def _same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return one.samefile(other)
    return False


def _program(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def lives(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def end(find: Callable[[], list[int]], what: str) -> None:
    """Ends the processes that `find` finds: asks, and insists after 20 s. Raises StageTimeout when one stays."""

    def look() -> Ready[None] | NotYet:
        left = find()
        return NotYet(f"{len(left)} left: {left}") if left else Ready(None)

    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in find():
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        with suppress(StageTimeout) if number is signal.SIGTERM else nullcontext():
            wait_until(look, what=what, within_s=END_S, every_s=0.1)
            return
