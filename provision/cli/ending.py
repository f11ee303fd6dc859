"""How the process ends when it is asked to: signals become requests, the truth is told, and nothing that hangs is waited for."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from provision.base import interruption
from provision.base.bounded import hanging, unended
from provision.base.interruption import END_S, Interrupted
from provision.base.visible import visible

SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
"""What asks for an end. Exit codes are 128 and the signal's number, as shells have it."""

CLOSED_PIPE = 141
"""What a shell says of a program that SIGPIPE ended: 128 + 13."""

TELL_S = 0.3
"""For a terminal to take a few lines."""

_telling, _told = threading.Lock(), threading.Event()
_stories: list[Callable[[], str]] = []
_put_back: list[Callable[[], object]] = []


def tell(story: Callable[[], str]) -> None:
    """From now on `story` says what was done and what was not, when the process ends before its time."""
    _stories.append(story)


@contextmanager
def put_back(work: Callable[[], object]) -> Iterator[None]:
    """While this lasts, `work` is done also by who ends the process without regard for anything: it takes back what a terminal was told."""
    _put_back.append(work)
    try:
        yield
    finally:
        _put_back.remove(work)


def tell_terminal(words: str) -> None:
    """Steers the terminal by words of ours, whoever may hold the lock of the stream."""
    if os.isatty(1):
        os.write(1, words.encode())


def watch() -> None:
    """Takes the signals. The first is a request; the second ends the process at once, and so does time.

    Threads do that: the main one may be in a call that hangs. A signal that is ignored (nohup) stays so.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _note)
    threading.Thread(target=_attend, args=(reader,), daemon=True).start()
    threading.Thread(target=_run_out, daemon=True).start()


def _note(number: int, _frame: FrameType | None) -> None:
    """In the main thread: ends what it does, unless that changes something; doors and waits end that in good order."""
    _ask(number)
    if not interruption.orderly():
        raise Interrupted


def _ask(number: int) -> bool:
    return interruption.ask(SIGNALS[signal.Signals(number)], 128 + number)


def _attend(reader: int) -> None:
    """The first signal asks, the second is not to be argued with. Signals are counted here, for `_note` may come first."""
    count = 0
    while count < 2:
        number = os.read(reader, 1)[0]
        if number in SIGNALS:
            count += 1
            _ask(number)
    _end_now()


def _run_out() -> None:
    interruption.wait_for_request()
    threading.Event().wait(END_S)
    _end_now()


def _end_now() -> NoReturn:
    """Ends without regard for anything: locks of streams may be held by a thread that will never give them back."""
    request = interruption.asked()
    for work in reversed(_put_back):
        work()
    if request is None or request.exit_code != CLOSED_PIPE:
        show_cursor = "\r\x1b[?25h\x1b[K" if os.isatty(2) else ""
        tell_once(lambda text: os.write(2, (show_cursor + text + "\n").encode(errors="replace")))
    _leave(request.exit_code if request else 1)


def tell_once(say: Callable[[str], object]) -> None:
    """Says what is to be said when the process was asked to end, unless the other of the two who may is at it: then waits
    a moment for that.
    """
    if _telling.acquire(blocking=False):
        say(_story())
        _told.set()
    else:
        _told.wait(TELL_S)


def _story() -> str:
    request = interruption.asked()
    text = (
        _stories[-1]()
        if _stories
        else "the same command begins anew, or goes on where there is something to go on from"
    )
    lines = [f"interrupted by {request.why if request else 'Ctrl-C'}: {text}"]
    for what, count in Counter(unended()).items():
        lines.append(f"begun, and how it ended is not known: {what}" + (f" × {count}" if count > 1 else ""))
    return visible("\n".join(lines))


def end(exit_code: int) -> NoReturn:
    """Ends the process with a code. When something hangs, or an end was asked for, nothing is waited for."""
    for number in SIGNALS:
        if signal.getsignal(number) is _note:
            signal.signal(number, lambda _number, _frame: None)  # there is nothing left to be torn out of
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            # Else Python would try again at its end, and fail with a code of its own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if hanging() or interruption.asked():
        _leave(exit_code)
    sys.exit(exit_code)


def _leave(exit_code: int) -> NoReturn:
    from provision.base.shell import end_all

    end_all()
    os._exit(exit_code)
