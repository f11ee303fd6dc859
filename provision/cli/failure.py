"""An exception to what the user sees and to the exit code."""

from __future__ import annotations

import errno
import traceback

from provision.base.errors import InventoryError, MeshctlError, cause
from provision.base.visible import visible_block
from provision.cli.say import say, say_problem
from provision.report.logs import crash_file

BUG = 70
"""Exit code of a defect of meshctl itself (EX_SOFTWARE of sysexits.h)."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""What is not a defect of meshctl but the state of the disk, or of the terminal, that it writes to."""


def explain(error: Exception) -> int:
    """Prints the failure to stderr and gives its exit code."""
    if isinstance(error, MeshctlError):
        return _known(error)
    if isinstance(error, OSError) and error.errno in FULL:
        where = error.filename or "what meshctl says"
        hint = "make room; what was done so far stays, and the same command goes on from there"
        return _known(MeshctlError(f"{where} cannot be written on this machine: {cause(error)}", hint=hint))
    return _bug(error)


def _known(error: MeshctlError) -> int:
    problems = error.problems if isinstance(error, InventoryError) else ()
    for problem in problems:
        say_problem(problem)
    say(f"error: {visible_block(error.message)}", err=True)
    if error.hint:
        say(f"hint: {visible_block(error.hint)}", err=True)
    return error.exit_code


def _bug(error: Exception) -> int:
    say(f"error: a defect of meshctl: {type(error).__name__}: {visible_block(cause(error))}", err=True)
    try:
        say(f"hint: please report it with {crash_file(error)}", err=True)
    except (OSError, MeshctlError) as failure:
        say("".join(traceback.format_exception(error)), err=True)
        say(f"hint: please report it with the lines above, which could not be written: {cause(failure)}", err=True)
    return BUG
