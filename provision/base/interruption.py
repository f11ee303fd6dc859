"""Whether this process was asked to end (Ctrl-C, SIGTERM, SIGHUP, a closed pipe), and what all who begin or wait do then.

The request is only noted here. From then on no door lets another call begin, what only reads is given up at once, and what
changes something has `GRACE_S` to come to its end: so it can be said what was done. The command line turns signals into
requests, and ends the process after `END_S` whatever still hangs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

GRACE_S = 1.2
"""For calls that change something and run when the request comes. Those to libvirt take milliseconds, few of them longer."""

END_S = 1.8
"""After this the process ends, however far it is: within the two seconds that a person waits before pressing again."""

TIDY_S = 1.6
"""By then what a run left lying about is taken away, or stays: there is the truth to be told after it."""


class Interrupted(KeyboardInterrupt):
    """The process was asked to end. Raised where the next call would begin, or where one is no longer waited for."""


class Overdue(Exception):
    """What was waited for did not happen within its time."""


@dataclass(frozen=True)
class Request:
    """Why the process is to end (`Ctrl-C`), with which exit code, and when that was asked (monotonic seconds)."""

    why: str
    exit_code: int
    at: float


_asked: Future[Request] = Future()
_asking = threading.Lock()
_own = threading.local()


def ask(why: str, exit_code: int) -> bool:
    """Asks the process to end. False when it was asked before: the first request stays the reason."""
    with _asking:
        if _asked.done():
            return False
        _asked.set_result(Request(why, exit_code, time.monotonic()))
        return True


def asked() -> Request | None:
    """The request, if there is one."""
    return _asked.result() if _asked.done() else None


def wait_for_request() -> Request:
    """Waits until the process is asked to end, however long that takes."""
    return _asked.result()


def check() -> None:
    """Raises Interrupted when the process was asked to end: what would begin now does not."""
    if _asked.done() and not _tidies():
        raise Interrupted


_orderly = threading.Event()


@contextmanager
def ordered() -> Iterator[None]:
    """Here the main thread changes things: it is not torn out of what it does, but ends at its next call or wait."""
    before = _orderly.is_set()
    _orderly.set()
    try:
        yield
    finally:
        if not before:
            _orderly.clear()


def orderly() -> bool:
    """Whether the main thread is to end at its next call or wait only."""
    return _orderly.is_set()


@contextmanager
def tidying() -> Iterator[None]:
    """Here calls may begin although the process was asked to end: they take away what this run left lying about."""
    before, _own.tidies = _tidies(), True
    try:
        yield
    finally:
        _own.tidies = before


def handed_on(work: Callable[[Item], Result]) -> Callable[[Item], Result]:
    """The same work for another thread, which tidies up there if the caller does here."""
    if not _tidies():
        return work

    def tidied(item: Item) -> Result:
        with tidying():
            return work(item)

    return tidied


def _tidies() -> bool:
    return getattr(_own, "tidies", False)


def await_(done: Future[Any], within_s: float | None = None, *, changes: bool) -> None:
    """Waits until a result is there, whatever it is; `changes` says whether its work may change something.

    Raises Overdue after `within_s` seconds, and Interrupted when the process was asked to end: at once, for work that
    changes something `GRACE_S` after the request.
    """
    wait((done, _asked), within_s, FIRST_COMPLETED)
    if done.done():
        return
    request = asked()
    if request is None:
        raise Overdue
    grace_s = TIDY_S if _tidies() else GRACE_S if changes else 0.0
    wait((done,), max(0.0, request.at + grace_s - time.monotonic()))
    if not done.done():
        raise Interrupted


def pause(seconds: float) -> None:
    """Waits. Raises Interrupted as soon as the process is asked to end."""
    wait((_asked,), seconds)
    check()
