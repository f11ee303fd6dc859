"""An exception to what the user sees and to the exit code."""

from __future__ import annotations

import sys
import time
import traceback

import click

from provision.base import data
from provision.base.errors import InventoryError, MeshctlError

BUG = 70
"""Exit code of a defect of meshctl itself (EX_SOFTWARE of sysexits.h)."""


def explain(error: Exception) -> int:
    """Prints the failure to stderr and gives its exit code."""
    if isinstance(error, MeshctlError):
        return _known(error)
    return _bug(error)


def _known(error: MeshctlError) -> int:
    problems = error.problems if isinstance(error, InventoryError) else ()
    for problem in problems:
        click.echo(str(problem) + (f"\n    hint: {problem.hint}" if problem.hint else ""), err=True)
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)
    return error.exit_code


def _bug(error: Exception) -> int:
    folder = data.state("crashes")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{time.strftime('%Y%m%dT%H%M%S')}.txt"
    path.write_text("".join(traceback.format_exception(error)) + f"\nargv: {sys.argv}\n")
    click.echo(f"error: a defect of meshctl: {type(error).__name__}: {error}", err=True)
    click.echo(f"hint: please report it with {path}", err=True)
    return BUG
