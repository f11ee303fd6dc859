"""The one door to the terminal: what commands say and ask goes through here, and nothing in it steers the terminal.

Events have a door of their own, `report.sinks`, with the same rule; a test finds who prints elsewhere.
"""

from __future__ import annotations

import click

from provision.base.errors import Problem
from provision.base.visible import visible, visible_line


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Prints to stdout, or to stderr, with control characters written out."""
    click.echo(visible(text), err=err, nl=nl)


def say_problem(problem: Problem) -> None:
    """Prints a problem and its hint to stderr."""
    say(str(problem) + (f"\n    hint: {visible_line(problem.hint)}" if problem.hint else ""), err=True)


def hand_over(text: str) -> None:
    """Writes a file's content to stdout as it is, for a pipe or a redirection: written out it would be another file."""
    click.echo(text, nl=False)


def ask_yes(question: str) -> bool:
    """Asks yes or no on stderr; nothing said is no. Raises click's Abort when nothing can be said any more."""
    return click.confirm(visible(question), err=True)


def ask_text(question: str) -> str:
    """Asks for a word on stderr. Raises click's Abort when nothing can be said any more."""
    answer: str = click.prompt(visible(question), err=True)
    return answer
