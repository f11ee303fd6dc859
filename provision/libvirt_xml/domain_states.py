"""libvirt's states of a domain and their reasons, in words, with what a person does about those in which a guest does not run.

The numbers are libvirt's (virDomainState and the enumerations of its reasons, libvirt-domain.h): part of its ABI. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

PAUSED, SHUTDOWN, SHUTOFF, CRASHED, PMSUSPENDED = 3, 4, 5, 6, 7
"""The states (virDomainState) in which a guest's CPUs stand still. 0 to 2 are no state, running and blocked: it runs."""

PAUSED_IOERROR = 5
"""Of VIR_DOMAIN_PAUSED: QEMU stopped it at a write that failed, which it does when a disk is full."""

_PAUSED = {
    1: "by somebody",
    2: "for a migration",
    3: "while it is saved",
    4: "while it is dumped",
    PAUSED_IOERROR: "after an I/O error",
    6: "by its watchdog",
    7: "since a snapshot was restored",
    8: "while it shuts down",
    9: "for a snapshot",
    10: "after its kernel crashed",
    11: "while it starts",
    12: "for a post-copy migration",
    13: "by a post-copy migration that failed",
    14: "by a call of libvirt that failed",
}
_ENDED = {3: "it crashed", 5: "its memory is saved, and it goes on from there", 6: "its last start failed"}
_DISK_ERRORS = {1: "I/O error", 2: "no space left"}

PASSES = "wait for the end of that"

_BUSY = frozenset((2, 3, 4, 8, 9, 11, 12))
"""Reasons of a pause that ends by itself."""


def halted(name: str, state: int, reason: int, disk_errors: Mapping[str, int] | None = None) -> str:
    """Why an active domain does not run, and the next step; "" for one that runs or is off.

    `disk_errors` are libvirt's by target (virDomainGetDiskErrors).
    """
    if state == PAUSED:
        disks = "".join(f", {disk}: {_DISK_ERRORS.get(code, 'error')}" for disk, code in (disk_errors or {}).items())
        return f"paused {_PAUSED.get(reason, 'for no reason that libvirt knows')}{disks}: {_step(name, reason)}"
    return {
        SHUTDOWN: "shutting down: run again when it is off, or end it with `virsh destroy {name}`",
        CRASHED: "crashed and kept for a look: `virsh dump {name} FILE`, then `virsh destroy {name}`",
        PMSUSPENDED: "suspended by its own kernel: `virsh dompmwakeup {name}`",
    }.get(state, "").format(name=name)


def _step(name: str, reason: int) -> str:
    if reason == PAUSED_IOERROR:
        return f"see what its disks lie on (`df`, `dmesg`), make room, then `virsh resume {name}`"
    return PASSES if reason in _BUSY else f"`virsh resume {name}` when nothing speaks against it"


def ended(state: int, reason: int) -> str:
    """What is worth knowing of why a domain is off, "" for nothing."""
    return _ENDED.get(reason, "") if state == SHUTOFF else ""
