"""The option --junit: a report of the command for CI."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from provision.report import Sink

JUNIT = click.option(
    "--junit",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Also write a JUnit report, for CI: a case per stage and per step on each node.",
)


@contextmanager
def reported(file: str | None, command: str) -> Iterator[tuple[Sink, ...]]:
    """The sinks that a session gets for --junit. However the command ends, the file says so. Raises InventoryError when it cannot
    be written to.
    """
    from provision.base.errors import InventoryError, MeshctlError, cause
    from provision.report import Junit

    if file is None:
        yield ()
        return
    try:
        report = Junit(Path(file), command)
    except OSError as error:
        raise InventoryError(f"{file}: cannot be written: {cause(error)}") from error
    try:
        yield (report,)
    except MeshctlError as error:
        report.fail(error)
        raise
    finally:
        with suppress(OSError):  # the session has warned of it
            report.close()
