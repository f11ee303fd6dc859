"""What the commands that touch the world share: inventory, sinks, doors, and the question before a change."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from provision.cli.screen import screen
from provision.inventory import load
from provision.report import Sink, run_log, tee
from provision.run import Identity, World, opened


@contextmanager
def session(
    inventory: str,
    *,
    as_json: bool = False,
    verbose: bool = False,
    logged: bool = False,
    adopt: bool = False,
    careful: bool = False,
) -> Iterator[World]:
    """The world of an inventory. `logged` keeps the run in the state folder; `adopt` and `careful` as for `Identity`."""
    cluster = load(inventory)
    sinks: list[Sink] = [screen(as_json=as_json, verbose=verbose)]
    if logged:
        log, _ = run_log(cluster.cluster)
        sinks.append(log)
    emit, close = tee(*sinks)
    try:
        identity = Identity(cluster, inventory, adopt=adopt, careful=careful)
        with opened(cluster, emit, identity) as world:
            if identity.note and careful:
                click.echo(identity.note, err=True)
            yield world
    finally:
        close()


def confirm_by_name(question: str, name: str) -> None:
    """Asks for a name to be typed. Raises click.Abort when there is no terminal to ask, or another is typed."""
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask: say --yes")
    if click.prompt(question, err=True) != name:
        raise click.Abort
