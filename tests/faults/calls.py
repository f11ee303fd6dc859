"""A counter at the doors that does harm: it ends the process before, after or in the midst of its n-th change, or cuts its connections, or
stops the daemon.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from provision.base.calls import Calls
from provision.hosts import hypervisor

UPLOAD = "upload "
"""A mode that begins so does its harm while a file is sent."""

SPENT = 99
"""Status of a process that its fault has ended."""


@dataclass
class Faulty(Calls):
    """`mode` is none, or one of run.py's; `at` counts changes from 1, for a mode `upload …` those that send
    a file. `daemon` is libvirtd's pid.
    """

    mode: str = "none"
    at: int = 0
    daemon: int = 0
    uploads: int = 0

    def count(self, *, changes: bool) -> None:
        """Counts, and does its harm when its time has come."""
        if self.mode == "after" and self.mutations >= self.at:
            os._exit(SPENT)
        super().count(changes=changes)
        if changes and self.mutations == self.at:
            self._harm(self.mode)

    def midway(self, connection: Any, volume: Any, content: BinaryIO, on_bytes: hypervisor.OnBytes) -> None:
        """Sends a file, and does the harm of a mode `upload …` after its first piece."""
        self.uploads += 1
        mode = self.mode.removeprefix(UPLOAD) if self.mode.startswith(UPLOAD) and self.uploads == self.at else ""
        _send(connection, volume, cast(BinaryIO, _Read(content, partial(self._harm, mode))), on_bytes)

    def _harm(self, mode: str) -> None:
        if mode in ("before", "killed"):
            os._exit(SPENT)
        if mode == "drops":
            cut()
        if mode == "hangs":
            os.kill(self.daemon, signal.SIGSTOP)


_send = hypervisor._send


@dataclass
class _Read:
    """A file that does something when it is read the second time."""

    content: BinaryIO
    then: Callable[[], object]
    times: int = 0

    def read(self, size: int) -> bytes:
        self.times += 1
        if self.times == 2:
            self.then()
        return self.content.read(size)


def ran(argv: Sequence[str], within_s: float) -> tuple[int, str]:
    """Status and last words of a worker, a process of its own; -1 for one that does not end in time."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=within_s, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return -1, f"not within {within_s:.0f} s"
    return done.returncode, (done.stdout + done.stderr).strip()[-600:]


def cut() -> None:
    """Shuts every connected unix socket of this process down, as a lost connection does."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if not os.readlink(entry).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as one:
                if one.family == socket.AF_UNIX:
                    one.shutdown(socket.SHUT_RDWR)
