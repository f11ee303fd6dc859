"""Work on several hosts or guests at once, by threads: libvirt and paramiko block. None of them keeps the process from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeVar

from provision.base import interruption
from provision.base.bounded import leave
from provision.base.errors import MeshctlError

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE = 16
"""Guests worked on at once: more SSH handshakes than this wait for a sshd or a CPU (measured), fewer idle."""


def for_each(items: Iterable[Item], work: Callable[[Item], Result]) -> list[Result]:
    """Results of `work` in the order of `items`.

    All are let run to their end; then the first failure is raised. Others are named in its message, so that
    nobody mends one guest only to meet the next. Raises Interrupted when the process is asked to end: items that were
    not begun by then are not begun.
    """
    items = list(items)
    if len(items) < 2:
        return [work(item) for item in items]
    futures: list[Future[Result]] = [Future() for _ in items]
    todo: SimpleQueue[tuple[Future[Result], Item]] = SimpleQueue()
    for pair in zip(futures, items, strict=True):
        todo.put(pair)
    handed_on = interruption.handed_on(_if_not_asked(work))
    for _ in range(min(AT_ONCE, len(items))):
        threading.Thread(target=_work_off, args=(todo, handed_on), daemon=True).start()
    try:
        for future in futures:
            interruption.await_(future, changes=True)
    except BaseException:
        for future in filter(Future.running, futures):
            leave(future, "work that was going on")
        raise
    interruption.check()
    failures = [error for future in futures if (error := future.exception()) is not None]
    if failures:
        raise _joined(failures)
    return [future.result() for future in futures]


def _work_off(todo: SimpleQueue[tuple[Future[Result], Item]], work: Callable[[Item], Result]) -> None:
    while True:
        try:
            done, item = todo.get_nowait()
        except Empty:
            return
        _settle(done, partial(work, item))


def _if_not_asked(work: Callable[[Item], Result]) -> Callable[[Item], Result]:
    def begun(item: Item) -> Result:
        interruption.check()
        return work(item)

    return begun


def begin(work: Callable[[], Result]) -> Future[Result]:
    """Work in a thread of its own. Its result is waited for with `result_of`."""
    done: Future[Result] = Future()
    threading.Thread(target=_settle, args=(done, work), daemon=True).start()
    return done


def result_of(done: Future[Result]) -> Result:
    """What work that was begun gives or raises. Raises Interrupted when the process is asked to end."""
    interruption.await_(done, changes=False)
    return done.result()


def _settle(done: Future[Result], work: Callable[[], Result]) -> None:
    done.set_running_or_notify_cancel()
    try:
        done.set_result(work())
    except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
        done.set_exception(error)


def _joined(failures: list[BaseException]) -> BaseException:
    first, *others = failures
    if isinstance(first, MeshctlError):
        for other in others:
            first.message += f"\nalso: {other}"
        first.args = (first.message,)
    return first
