"""Calls that can be given up: each runs in a thread that keeps no process from ending, and whoever asked waits only so long.

A call into C that hangs (libvirt, a file on a dead mount) can neither be ended nor take a signal. So it is left where it hangs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from provision.base import interruption

Result = TypeVar("Result")


def bounded(work: Callable[[], Result], what: str, *, within_s: float | None = None, changes: bool) -> Result:
    """The result of `work`, or what it raises. `what` names it for `unended`; `changes`: it may change something.

    Raises interruption.Overdue after `within_s` seconds, and Interrupted as `interruption.await_` does; the work then goes
    on in its thread, if it can.
    """
    worker = _worker()
    done: Future[Result] = Future()
    worker.tasks.put((done, work))
    try:
        interruption.await_(done, within_s, changes=changes)
    except BaseException:
        _give_up(worker, done, what if changes else "")
        raise
    _idle.append(worker)
    return done.result()


def unended() -> tuple[str, ...]:
    """What may have changed something, was given up, and has not ended since: how it ends is not known."""
    return tuple(what for done, what in list(_given_up) if what and not done.done())


def leave(done: Future[Any], what: str) -> None:
    """Notes work that was begun elsewhere and is no longer waited for, for `unended`."""
    _given_up.append((done, what))


def hanging() -> bool:
    """Whether a call that was given up still hangs: then this process must not wait for anything at its end."""
    return any(not done.done() for done, _ in list(_given_up))


class _Worker(threading.Thread):
    """Works off what it is given until it is given None."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()

    def run(self) -> None:
        while (task := self.tasks.get()) is not None:
            done, work = task
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
                done.set_exception(error)
            del task, done, work  # they may hold a connection, which is not to live as long as this thread


_idle: list[_Worker] = []
"""Threads with nothing to do: a hand-over to one costs a third of what a new one does. A fork has none of them."""

os.register_at_fork(after_in_child=_idle.clear)

_given_up: list[tuple[Future[Any], str]] = []


def _worker() -> _Worker:
    try:
        return _idle.pop()
    except IndexError:
        worker = _Worker()
        worker.start()
        return worker


def _give_up(worker: _Worker, done: Future[Any], what: str) -> None:
    _given_up.append((done, what))
    worker.tasks.put(None)
