"""The lease of each host: held by one run at a time, from its second look at the hosts to its end. Kept on the hypervisor itself.

A holder renews its leases every BEAT_S. Who finds one that is held watches it: it grows, so the holder lives, and the run is refused; or
it does not for EXPIRY_S, by the watcher's own clock, and it is taken over. Clocks of two machines are never compared.
"""

from __future__ import annotations

import getpass
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from provision.base.calls import Calls
from provision.base.errors import ConflictError, HypervisorError, LockedError, MeshctlError
from provision.base.events import Emit, Warned
from provision.base.interruption import Interrupted, ordered, tidying
from provision.base.parallel import for_each
from provision.base.waiting import NotYet, Ready, wait_until
from provision.hosts import Hypervisor
from provision.libvirt_xml import Lease

BEAT_S = 5.0
EXPIRY_S = 45.0
"""Nine beats: a machine so busy that it misses eight in a row is taken for dead, and stops itself when it notices."""


@contextmanager
def leased(
    hypervisors: Mapping[str, Hypervisor], calls: Calls, command: str, emit: Emit, *, patience_s: float = 0.0
) -> Iterator[None]:
    """Holds every host. Raises LockedError, with nothing held, when another run does and still does after `patience_s`.

    Hosts are taken in one order by all runs, that of the machines' own uuids, so that no two wait for each other.
    """
    mine = _new_lease(command)
    held: list[Hypervisor] = []
    try:
        with ordered():
            for door in _in_order(hypervisors):
                _take(door, mine, emit, patience_s)
                held.append(door)
            with _beating(held, mine, calls):
                yield
    finally:
        with tidying():
            for_each(held, lambda door: _give_back(door, mine, emit))


def leases(hypervisors: Mapping[str, Hypervisor]) -> dict[str, Lease | None]:
    """Who holds each host now."""
    names = list(hypervisors)
    return dict(zip(names, for_each(names, lambda name: hypervisors[name].lease()), strict=True))


def _new_lease(command: str) -> Lease:
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return Lease(str(uuid.uuid4()), f"{_user()}@{socket.gethostname()}", command, since, process_name(os.getpid()))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this uid: OSError from Python 3.13 on
        return str(os.getuid())


def process_name(pid: int) -> str:
    """A process's name in time and space: boot, pid namespace, pid, and its start in clock ticks (proc(5)); empty for none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}/{pid}/{started}"
    except (OSError, IndexError):
        return ""


def _ended(process: str) -> bool:
    """Whether a process that could be seen from here, were it there, is not."""
    here, parts = process_name(os.getpid()).split("/"), process.split("/")
    return len(parts) == len(here) == 4 and parts[:2] == here[:2] and process_name(int(parts[2])) != process


def _in_order(hypervisors: Mapping[str, Hypervisor]) -> list[Hypervisor]:
    machines = for_each(hypervisors.values(), lambda door: door.machine())
    return [
        door
        for _, _, door in sorted(zip(machines, hypervisors, hypervisors.values(), strict=True), key=lambda one: one[:2])
    ]


def _take(door: Hypervisor, mine: Lease, emit: Emit, patience_s: float) -> None:
    watched: Lease | None = None
    watched_since = started = time.monotonic()

    def look() -> Ready[None] | NotYet:
        nonlocal watched, watched_since
        if door.put_lease(mine):
            return Ready(None)
        other, now = door.lease(), time.monotonic()
        if other is None or other.uuid == mine.uuid:  # two names of one machine: held already
            return NotYet("it was given back just now") if other is None else Ready(None)
        alive = watched is not None and other.uuid == watched.uuid and other.beat != watched.beat
        if alive and now - started >= patience_s:
            raise LockedError(
                f"{door.host}: another run is at work there: {other}",
                hint="wait for its end (--lock-timeout SECONDS does); `meshctl locks INVENTORY` shows who has which host",
            )
        if watched is None or other != watched:
            watched, watched_since = other, now
        if _ended(other.process) or now - watched_since >= EXPIRY_S:
            door.drop_lease(other.uuid)
            emit(Warned(f"{door.host}: the lease of {other} was taken over: that run gave no sign of life"))
        return NotYet(f"{other} has it")

    wait_until(look, what=f"{door.host}: lease", within_s=patience_s + 3 * EXPIRY_S, every_s=BEAT_S / 10, emit=emit)


@contextmanager
def _beating(held: list[Hypervisor], mine: Lease, calls: Calls) -> Iterator[None]:
    """Renews the leases until the end, each by itself: one host that hangs keeps no other from it.

    One that is lost ends all changes: somebody else has taken the run for dead.
    """
    end = threading.Event()
    hearts = [threading.Thread(target=_beat, args=(door, mine, calls, end), daemon=True) for door in held]
    for heart in hearts:
        heart.start()
    try:
        yield
    finally:
        end.set()
        for heart in hearts:
            heart.join(BEAT_S)


def _beat(door: Hypervisor, mine: Lease, calls: Calls, end: threading.Event) -> None:
    renewed, number = time.monotonic(), 0
    lost = ConflictError(f"{door.host}: this run has lost its lease: nothing more is changed", hint=LOST)
    while not end.wait(BEAT_S):
        number += 1
        try:
            kept = door.put_lease(replace(mine, beat=str(number)))
        except Interrupted:
            return
        except HypervisorError:
            # Away, and others may take it over: nothing is changed there any more. The other hosts are still this run's.
            if time.monotonic() - renewed >= EXPIRY_S / 2:
                door.calls.refuse(lost)
            continue
        renewed = time.monotonic()
        if not kept:
            calls.refuse(lost)


LOST = "another run took it over, or it could not be renewed in time: `meshctl locks INVENTORY`, then run the command again"


def _give_back(door: Hypervisor, mine: Lease, emit: Emit) -> None:
    try:
        door.drop_lease(mine.uuid)
    except MeshctlError as error:
        emit(Warned(f"{door.host}: the lease could not be given back, it ends in {EXPIRY_S:.0f} s: {error.message}"))
