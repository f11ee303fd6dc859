"""One host's connection to libvirt, through which each call has a deadline. Knows nothing of libvirt but what it is told.

libvirt has none: a daemon that is stopped, or a driver that waits for a dead disk, holds a call for ever, and with it the
thread. So each call runs in a thread of its own (`base.bounded`), and when it is given up, so is the connection. That one is
kept, for closing it would hang as well, and the next call opens another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from provision.base import interruption
from provision.base.bounded import bounded
from provision.base.errors import HypervisorError
from provision.base.parallel import begin

CLOSE_S = 1.0
"""A daemon that takes a connection and says nothing is not waited for at the end."""


@dataclass(frozen=True)
class Patience:
    """How long a call is waited for, in seconds.

    `read`: more than the 30 s that libvirt itself waits for a busy domain (QEMU_JOB_WAIT_TIME), so that its own error is
    heard, and than the time after which keepalive ends a dead connection. `slow`: for calls that move memory or disk; a
    guest of 1 TiB that gets all of it at once takes minutes to start.
    """

    open: float = 30.0
    read: float = 40.0
    change: float = 120.0
    slow: float = 900.0


SLOW = frozenset(
    {
        "virDomain.create",
        "virDomain.undefineFlags",
        "virStoragePool.build",
        "virStoragePool.delete",
        "virStoragePool.createXML",
        "virStorageVol.delete",
    }
)
"""A start with memory at once; removing saved memory and large files; making volumes, which may be allocated."""

IMMEDIATE = frozenset({"name", "UUIDString", "getType", "isAlive"})
"""Methods that answer from what this process has: they ask nobody, so there is nothing to wait for."""

_given_up: list[Any] = []
"""Connections with a call that hangs. When Python forgets the last object of one, libvirt closes it, which hangs too."""


@dataclass
class Connection:
    """Opened at the first use, and again after it was lost or given up. Safe to use from several threads.

    `open` opens it and `known` says whether a value is an object of libvirt, whose methods are calls too.
    """

    host: str
    uri: str
    open: Callable[[], Any]
    known: Callable[[Any], bool]
    patience: Patience = field(default_factory=Patience)
    _opening: Future[Any] | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def use(self, what: str, *, changes: bool, within_s: float | None = None) -> Any:
        """The connection for one use of the door, as libvirt's binding has it, but for the deadlines. `what` completes
        the sentence "cannot …". Its calls raise HypervisorError when libvirt does not answer, `within_s` seconds each
        where that is said.
        """
        return Bounded(self._opened(what), _Use(self, what, changes, within_s))

    def close(self) -> None:
        """Closes it, if it is open, unless that takes too long."""
        with self._lock:
            opening, self._opening = self._opening, None
        if opening is None or not opening.done() or opening.exception() is not None:
            return
        if interruption.asked():  # the process ends, and takes it along
            _given_up.append(opening.result())
            return
        with suppress(interruption.Overdue):
            bounded(opening.result().close, f"{self.host}: close", within_s=CLOSE_S, changes=False)
            return
        _given_up.append(opening.result())

    def give_up(self) -> None:
        """Lets the next use open another one."""
        with self._lock:
            opening, self._opening = self._opening, None
        if opening is not None and opening.done() and opening.exception() is None:
            _given_up.append(opening.result())

    def silent(self, what: str, seconds: float, detail: str) -> HypervisorError:
        """The failure of a call that was given up after so many seconds."""
        message = f"{self.host}: cannot {what}: libvirt has not answered for {seconds:g} s ({detail})"
        return HypervisorError(message, hint=self._silence)

    @property
    def loss(self) -> str:
        """What to do about a connection that has ended (keepalive ends one to a daemon that hangs); "" while it has not."""
        with self._lock:
            return self._silence if self._opening is not None and _is_lost(self._opening) else ""

    @property
    def _silence(self) -> str:
        return (
            f"it may hang: try `virsh -c '{self.uri}' version`. If so, restart libvirtd (or virtqemud) on {self.host}, which "
            "running guests do not notice, and run the same command again: it looks at what is there first"
        )

    def _opened(self, what: str) -> Any:
        with self._lock:
            if self._opening is None or _is_lost(self._opening):
                self._opening = begin(self.open)
            opening = self._opening
        try:
            interruption.await_(opening, self.patience.open, changes=False)
        except interruption.Overdue:
            with self._lock:
                self._opening = None if self._opening is opening else self._opening
            raise self.silent(what, self.patience.open, "opening the connection") from None
        return opening.result()


def _is_lost(opening: Future[Any]) -> bool:
    """Whether an attempt to open has failed, or what it opened has ended since."""
    return opening.done() and (opening.exception() is not None or not opening.result().isAlive())


@dataclass(frozen=True)
class _Use:
    """One use of the door: what for, and how its calls are waited for."""

    connection: Connection
    what: str
    changes: bool
    within_s: float | None

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        patience = self.connection.patience
        usual_s = patience.slow if name in SLOW else patience.change if self.changes else patience.read
        within_s = usual_s if self.within_s is None else self.within_s
        try:
            return bounded(
                work, f"{self.connection.host}: {self.what} ({name})", within_s=within_s, changes=self.changes
            )
        except interruption.Overdue:
            self.connection.give_up()
            raise self.connection.silent(self.what, within_s, name) from None


class Bounded:
    """An object of libvirt, each method of which has a deadline; what they give that is libvirt's is bounded too."""

    def __init__(self, bare: Any, use: _Use) -> None:
        self._bare, self._use = bare, use

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._bare, name)
        if name in IMMEDIATE or not callable(method):
            return method
        return partial(self._call, name, method)

    def _call(self, name: str, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        work = partial(method, *map(_bare, arguments), **named)
        return self._bounded(self._use.call(f"{type(self._bare).__name__}.{name}", work))

    def _bounded(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._bounded(one) for one in value]
        return Bounded(value, self._use) if self._use.connection.known(value) else value


def _bare(value: Any) -> Any:
    if isinstance(value, list):
        return [_bare(one) for one in value]
    return value._bare if isinstance(value, Bounded) else value
