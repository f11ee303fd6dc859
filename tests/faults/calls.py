"""A counter at the doors that does harm: it ends the process before or after its n-th change, or cuts its connections."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from provision.base.calls import Calls

SPENT = 99
"""Status of a process that its fault has ended."""


@dataclass
class Faulty(Calls):
    """`mode` is none, before, after or drops; `at` counts changes from 1."""

    mode: str = "none"
    at: int = 0

    def count(self, *, changes: bool) -> None:
        """Counts, and does its harm when its time has come."""
        if self.mode == "after" and self.mutations >= self.at:
            os._exit(SPENT)
        super().count(changes=changes)
        if changes and self.mutations == self.at:
            if self.mode == "before":
                os._exit(SPENT)
            if self.mode == "drops":
                cut()


def cut() -> None:
    """Shuts every connected unix socket of this process down, as a lost connection does."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if not os.readlink(entry).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as one:
                if one.family == socket.AF_UNIX:
                    one.shutdown(socket.SHUT_RDWR)
