"""Work on several hosts or guests at once, by threads: libvirt and paramiko block."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from provision.base.errors import MeshctlError

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE = 16
"""Guests worked on at once: more SSH handshakes than this wait for a sshd or a CPU (measured), fewer idle."""


def for_each(items: Iterable[Item], work: Callable[[Item], Result]) -> list[Result]:
    """Results of `work` in the order of `items`.

    All are let run to their end; then the first failure is raised. Others are named in its message, so that
    nobody mends one guest only to meet the next.
    """
    items = list(items)
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(items))) as pool:
        futures = [pool.submit(work, item) for item in items]
    failures = [error for future in futures if (error := future.exception()) is not None]
    if failures:
        raise _joined(failures)
    return [future.result() for future in futures]


def begin(work: Callable[[], Result]) -> Future[Result]:
    """Work in a thread of its own that keeps no process from ending: a call to libvirt that hangs cannot be ended."""
    done: Future[Result] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done


def _joined(failures: list[BaseException]) -> BaseException:
    first, *others = failures
    if isinstance(first, MeshctlError):
        for other in others:
            first.message += f"\nalso: {other}"
        first.args = (first.message,)
    return first
