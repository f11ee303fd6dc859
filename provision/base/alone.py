"""One process at a time, on one machine: a lock that the kernel frees when its holder ends, however it does."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provision.base.events import Emit, nowhere
from provision.base.waiting import NotYet, Ready, wait_until


@contextmanager
def alone(
    lock: Path, *, what: str, seen: str, within_s: float, every_s: float = 1.0, emit: Emit = nowhere
) -> Iterator[None]:
    """Holds the lock on a file, which is made, or on a folder that is there. `what` is waited for, `seen` is why.

    Raises StageTimeout when another holds it for longer than `within_s` seconds.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY if lock.is_dir() else os.O_WRONLY | os.O_CREAT
    handle = os.open(lock, flags, 0o644)

    def take() -> Ready[None] | NotYet:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return NotYet(seen)
        return Ready(None)

    try:
        wait_until(take, what=what, within_s=within_s, every_s=every_s, emit=emit)
        yield
    finally:
        os.close(handle)
