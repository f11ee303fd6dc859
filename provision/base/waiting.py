"""The one place where meshctl waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from provision.base import interruption
from provision.base.errors import StageTimeout
from provision.base.events import Emit, Waiting, nowhere

T = TypeVar("T")

REPORT_EVERY_S = 15.0


@dataclass(frozen=True)
class NotYet:
    """A check's answer while the awaited thing has not happened: what it saw instead, and on which nodes where it can tell."""

    seen: str
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ready(Generic[T]):
    """A check's answer when the awaited thing is there."""

    value: T


def wait_until(
    check: Callable[[], Ready[T] | NotYet],
    *,
    what: str,
    within_s: float | Callable[[], float],
    every_s: float = 1.0,
    emit: Emit = nowhere,
    hint: str = "",
) -> T:
    """Asks `check` every `every_s` seconds, or less often where asking takes long, until it is Ready, and gives its value.

    Emits a `Waiting` with the last thing seen every 15 s. `within_s` is a function where it becomes more while it is waited. Raises
    StageTimeout, with the last thing seen, when so many seconds have passed, and Interrupted when the process is asked to end;
    whatever `check` raises ends the wait at once.
    """
    started = reported = time.monotonic()
    while True:
        asked = time.monotonic()
        answer = check()
        if isinstance(answer, Ready):
            return answer.value
        now = time.monotonic()
        allowed_s = within_s() if callable(within_s) else within_s
        if now - started >= allowed_s:
            raise StageTimeout(
                f"{what}: not within {allowed_s:.0f} s; last seen: {answer.seen or 'nothing'}", hint=hint
            )
        if now - reported >= REPORT_EVERY_S:
            emit(Waiting(what, answer.seen, now - started))
            reported = now
        interruption.pause(min(pause_s(every_s, now - asked), max(0.0, started + allowed_s - now)))


def pause_s(every_s: float, took_s: float) -> float:
    """How long to leave alone what was asked: twice as long as the answer took, but not more than four times `every_s`.

    A question takes long where there is too little CPU, and takes it from what is waited for.
    """
    return max(every_s, min(2 * took_s, 4 * every_s))
