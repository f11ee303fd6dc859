"""Memory and disks of guests and hosts. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provision.diagnose.cause import Cause, cause
from provision.diagnose.estimate import share_of_p99
from provision.diagnose.facts import Disk, Guest, Host, Recording

PRESSED, SWAPPED_PER_S = 0.05, 10.0
GUEST_MS, HOST_MS, WAITED, BUSY, IOS_PER_S = 50.0, 20.0, 0.2, 0.5, 1.0
"""A disk that is slow, in ms for a request, and only where somebody waited for it; NVMe answers within 1 ms, an emulated one in some 10."""

FULL = 0.95
NUMA_MISSES_PER_S, STALLS_PER_S, USUAL_MS = 1000.0, 1.0, 20.0


def judge_storage(recording: Recording) -> Iterator[Cause]:
    """MD431 to MD434, MD441 to MD443."""
    for host in recording.hosts:
        on = {one.name for one in recording.guests if one.host == host.name}
        yield from _host(recording, host, on)
    for guest in recording.guests:
        yield from _guest_memory(guest)
        yield from _guest_disks(guest)
        yield from _full(guest)


def _host(recording: Recording, host: Host, on: set[str]) -> Iterator[Cause]:
    pressed = host.pressure.memory or 0.0
    if pressed >= PRESSED:
        seen = f"tasks waited for memory {pressed:.0%} of the time"
        yield cause("MD432", host.name, seen, _stalls_ms(pressed), "likely", on, host=host.name)
    if host.numa_misses_per_s >= NUMA_MISSES_PER_S:
        explains = share_of_p99(recording, 0.1, USUAL_MS)
        yield cause(
            "MD433", host.name, f"{host.numa_misses_per_s:.0f} pages a second", explains, "possible", on, host=host.name
        )
    yield from _rearranged(host, on)
    for disk in host.disks:
        if disk.await_ms >= HOST_MS and disk.busy >= BUSY and disk.ios_per_s >= IOS_PER_S:
            values = {"host": host.name, "disk": disk.name}
            yield cause("MD442", f"{disk.name} of {host.name}", _said(disk), disk.await_ms, "likely", on, **values)


def _rearranged(host: Host, on: set[str]) -> Iterator[Cause]:
    stalls = host.compact_stalls_per_s >= STALLS_PER_S
    merges = host.ksm_scans > 0 and host.ksm_pages > 0
    if stalls or merges:
        said = [f"{host.compact_stalls_per_s:.1f} stalls for compaction a second (THP {host.thp})"] if stalls else []
        said += [f"KSM went through memory {host.ksm_scans} times, {host.ksm_pages} pages are shared"] if merges else []
        explains = (5.0 if stalls else 0.0) + (1.0 if merges else 0.0)
        yield cause("MD434", host.name, "; ".join(said), explains, "possible", on, host=host.name)


def _stalls_ms(share: float) -> float:
    return 100.0 * min(1.0, share / 0.1)


def _guest_memory(guest: Guest) -> Iterator[Cause]:
    pressed, swapped = guest.pressure.memory or 0.0, guest.swap_ins_per_s
    if pressed >= PRESSED or swapped >= SWAPPED_PER_S:
        seen = f"tasks waited for memory {pressed:.0%} of the time, {swapped:.0f} pages a second came from swap"
        explains = _stalls_ms(max(pressed, swapped / 1000))
        yield cause("MD431", guest.name, seen, explains, "likely", {guest.name}, node=guest.name)


def _guest_disks(guest: Guest) -> Iterator[Cause]:
    waited = guest.iowait if guest.pressure.io is None else guest.pressure.io
    for disk in guest.disks:
        if disk.await_ms >= GUEST_MS and disk.ios_per_s >= IOS_PER_S and waited >= WAITED:
            seen = f"{_said(disk)}; tasks waited for disks {waited:.0%} of the time"
            where = f"{disk.name} of {guest.name}"
            yield cause("MD441", where, seen, disk.await_ms, "possible", {guest.name}, node=guest.name)


def _said(disk: Disk) -> str:
    return f"{disk.await_ms:.0f} ms for a request, {disk.queue:.1f} in its queue, busy {disk.busy:.0%}"


def _full(guest: Guest) -> Iterator[Cause]:
    for one in guest.filesystems:
        if max(one.bytes_used, one.inodes_used) >= FULL:
            seen = f"{one.bytes_used:.0%} of its bytes and {one.inodes_used:.0%} of its inodes are used"
            values = {"node": guest.name, "point": one.point}
            yield cause("MD443", f"{one.point} of {guest.name}", seen, 0.0, "certain", {guest.name}, **values)
