"""A screen that is drawn again and again, in the terminal's other buffer: what was on it before is there again afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

Drawing = Callable[[int, int], "RenderableType"]
"""Makes a picture of so many columns and lines."""

LEAVE = "\x1b[?1049l\x1b[?25h"
"""Back to the terminal's own buffer, and its cursor shown (xterm's control sequences): for who ends without leaving orderly."""


@contextmanager
def live_screen() -> Iterator[Callable[[Drawing], None]]:
    """Gives what draws a picture as large as the terminal is then, on stdout. `NO_COLOR` and dumb terminals are heeded by rich."""
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:

        def draw(drawing: Drawing) -> None:
            live.update(drawing(console.width, console.height), refresh=True)

        yield draw
