"""Where events go: JSON lines on stdout, a live terminal, or plain lines on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from provision.base.events import Emit
from provision.report import JsonLines, Lines, Sink, Terminal, tee


@contextmanager
def watched(*, as_json: bool = False, verbose: bool = False) -> Iterator[Emit]:
    """An `emit` to the screen, for work that concerns no inventory."""
    emit, close = tee(screen(as_json=as_json, verbose=verbose))
    try:
        yield emit
    finally:
        close()


def screen(*, as_json: bool = False, verbose: bool = False) -> Sink:
    """JSON lines on stdout, a live terminal, or plain lines; talk goes to stderr."""
    if as_json:
        return JsonLines(sys.stdout)
    return Terminal(verbose=verbose) if sys.stderr.isatty() else Lines(sys.stderr, verbose=verbose)
