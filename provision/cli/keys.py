"""Single keys of the terminal, as they are pressed."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from provision.base import interruption
from provision.cli import ending

LOOK_S = 0.2
"""How long a request to end may go unnoticed while a key is waited for."""


@contextmanager
def single_keys() -> Iterator[Callable[[float], str]]:
    """Takes keys from stdin, a terminal, at once and unseen; afterwards it is as it was, also when the process is ended hard.

    Gives what waits so many seconds for the next key: "" for none. That raises Interrupted when the process is asked to end.
    """
    door = sys.stdin.fileno()
    before = termios.tcgetattr(door)

    def put_back() -> None:
        termios.tcsetattr(door, termios.TCSANOW, before)

    with ending.put_back(put_back):
        tty.setcbreak(door, termios.TCSANOW)
        try:
            yield lambda within_s: _next_key(door, within_s)
        finally:
            put_back()


def _next_key(door: int, within_s: float) -> str:
    until_s = time.monotonic() + within_s
    while True:
        interruption.check()
        left_s = until_s - time.monotonic()
        if select.select([door], [], [], max(min(left_s, LOOK_S), 0.0))[0]:
            return os.read(door, 1).decode(errors="replace")
        if left_s <= 0:
            return ""
