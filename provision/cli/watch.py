"""meshctl watch: guests, routers and what makes them slow, live."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from provision.base import interruption
from provision.cli.clusters import span
from provision.cli.named import NAME
from provision.cli.say import say

if TYPE_CHECKING:
    from provision.run.watching import Watching

REDRAW_S = 1.0
"""Ages count up between ticks."""

FIRST_S = 60.0
"""For a guest's first two samples: python3 begins within 5 s on a busy emulated CPU, a session takes some more."""


def span_or_none(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """An option that is a span of time or left out, in seconds. Raises click's BadParameter."""
    return None if value is None else span(ctx, param, value)


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(1.0, 3600.0),
    metavar="SECONDS",
    help="Seconds between ticks, whatever that costs. Left out: 5, or more to take no more than 1 % of a CPU of all guests together.",
)
@click.option("--for", "for_s", callback=span_or_none, metavar="TIME", help="End after so long, such as 30s.")
@click.option(
    "--ticks", type=click.IntRange(1), metavar="N", help="End after so many ticks; without a terminal or with --json."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout, one line a tick.")
def watch(inventory: str, interval_s: float | None, for_s: int | None, ticks: int | None, as_json: bool) -> None:
    """Show all guests as they are now: their CPUs' steal, what TCP sends again, their routers' success and p99, and which findings of
    `diagnose` are true now. q ends.

    Without a terminal: a table each tick, until --for, --ticks or Ctrl-C. A guest or host that does not answer is shown as that.
    """
    from provision.cli.session import session
    from provision.run.watching import watching

    live = not as_json and not ticks and _has_screen()
    with session(inventory, lines=live) as world, watching(world, interval_s) as seen:
        until_s = time.monotonic() + for_s if for_s else None
        if live:
            _on_screen(seen, until_s)
        else:
            _in_lines(seen, until_s, ticks, as_json=as_json)


def _has_screen() -> bool:
    """Whether there is a terminal on both sides that can be drawn on."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


def _on_screen(seen: Watching, until_s: float | None) -> None:
    from provision.cli import ending
    from provision.cli.keys import single_keys
    from provision.report.live_screen import LEAVE, live_screen
    from provision.report.watch_screen import screen

    with ending.put_back(lambda: ending.tell_terminal(LEAVE)), single_keys() as next_key, live_screen() as draw:
        while until_s is None or time.monotonic() < until_s:
            now = seen.now()
            draw(lambda width, height, now=now: screen(now, width, height))  # type: ignore[misc]
            if next_key(REDRAW_S) in ("q", "Q"):
                return


def _in_lines(seen: Watching, until_s: float | None, ticks: int | None, *, as_json: bool) -> None:
    from provision.report.watch_screen import as_text

    _wait_for(seen.complete, min(time.monotonic() + FIRST_S, until_s or float("inf")))
    told = 0
    while True:
        now = seen.now()
        say(json.dumps(now.as_data()) if as_json else as_text(now))
        told += 1
        next_s = time.monotonic() + seen.every_s
        if told == ticks or (until_s is not None and next_s > until_s):
            return
        interruption.pause(seen.every_s)


def _wait_for(there: Callable[[], bool], until_s: float) -> None:
    while not there() and time.monotonic() < until_s:
        interruption.pause(0.1)
