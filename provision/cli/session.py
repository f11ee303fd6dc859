"""What the commands that touch the world share: inventory, sinks, doors, and the question before a change."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import click

from provision.base import interruption
from provision.base.errors import Problem
from provision.base.events import Answered, Asked, Emit, Failed, Warned
from provision.base.secret import Secret
from provision.base.visible import visible_line
from provision.cli import ending
from provision.cli.named import said_name
from provision.cli.say import ask_text, ask_yes, say
from provision.cli.screen import screen
from provision.guests import OldLogin, nobody
from provision.inventory import Cluster, load
from provision.inventory import named as from_template
from provision.report import Account, Lines, Sink, run_log, tee
from provision.run import Away, Identity, World, answering, opened


@contextmanager
def session(
    inventory: str,
    *,
    as_json: bool = False,
    verbose: bool = False,
    logged: bool = False,
    stages: Sequence[str] = (),
    adopt: bool = False,
    careful: bool = False,
    drawn: str = "",
    also: Sequence[Sink] = (),
    old: OldLogin | None = None,
    beside: Callable[[Cluster], Cluster] | None = None,
    resident: bool = False,
    lines: bool = False,
) -> Iterator[World]:
    """The world of an inventory, or with `--name` of the cluster that it is the template of. `logged` keeps the run in the state
    folder; `stages` are those that it will go through; `adopt`, `careful` and `drawn` as for `Identity`, `old` as for `opened`; `also`
    get the events too. `beside` makes of the cluster the one that it is about: one of its own, of the plain base image. `resident`: an
    inventory that breaks its `policy.residency` is refused; who looks at such a cluster, or takes it away, is warned only.
    `lines`: the terminal is for something else, so events come as plain lines before that begins.
    """
    warnings: list[Problem] = []
    cluster = load(inventory, warn=warnings.append if careful else lambda _: None, anywhere=not resident)
    if name := said_name():
        cluster = from_template(cluster, name)
    if beside is not None:
        cluster = beside(cluster)
        name = cluster.cluster
    log, unlogged = run_log(cluster.cluster) if logged else (None, "")
    account = Account(stages)
    ending.tell(account.text)
    shown = Lines(sys.stderr) if lines else screen(as_json=as_json, verbose=verbose)
    sinks: list[Sink] = [shown, account, *([log] if log else []), *also]
    emit, close = tee(*sinks)
    if unlogged:
        emit(
            Warned(
                f"this run is not logged: {unlogged}", "MESHCTL_STATE names a folder for logs; the run goes on without"
            )
        )
    for warning in warnings:
        emit(Warned(str(replace(warning, severity="error")), warning.hint))  # the event says "warning" itself
    try:
        # Under another name it is another inventory: what is kept of one says nothing of the other.
        source = f"{inventory}#{name}" if name and inventory != "-" else inventory
        identify = partial(Identity, source=source, adopt=adopt, careful=careful, drawn=drawn)
        plain = beside is not None
        with opened(cluster, emit, ask_passphrase, identify, old, named=bool(name), plain=plain) as world:
            if world.identity.note and careful:
                say(world.identity.note, err=True)
            yield world
    except KeyboardInterrupt:
        _tell_log(emit, account)
        raise
    finally:
        close()


def seeing(whole: World, consequence: str) -> tuple[World, tuple[Away, ...]]:
    """The world of the hosts that answer; of each other one is said what comes of that."""
    world, away = answering(whole)
    for one in away:
        world.emit(one.but(consequence))
    return world, away


def ask_passphrase(file: str) -> Secret:
    """Asks on the terminal, whatever stdin is, as ssh(1) does. Raises Unreachable when there is none."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return nobody(file)
    try:
        return Secret(getpass.getpass(f"Passphrase for {visible_line(file)}: "))
    except EOFError:
        raise click.Abort from None


def _tell_log(emit: Emit, account: Account) -> None:
    """For who reads the events: on the screen the truth comes at the very end."""
    request = interruption.asked()
    if request:
        emit(Failed("", "Interrupted", request.exit_code, f"interrupted by {request.why}: {account.text()}", ""))


def confirm(emit: Emit, question: str) -> None:
    """Asks yes or no. Raises click's UsageError when there is no terminal to ask, and Exit with 1 when it is no."""
    _check_terminal()
    emit(Asked(question))
    answer = "no answer"
    try:
        answer = "yes" if ask_yes(question) else "no"
    finally:
        emit(Answered(answer))
    if answer == "no":
        _cancel()


def confirm_by_name(emit: Emit, question: str, name: str) -> None:
    """Asks for a name to be typed. Raises click's UsageError when there is no terminal to ask, and Exit with 1 when another
    is typed.
    """
    _check_terminal()
    emit(Asked(question))
    answer = "no answer"
    try:
        answer = ask_text(question)
    finally:
        emit(Answered(answer))
    if answer != name:
        _cancel()


def _check_terminal() -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask: say --yes")


def _cancel() -> None:
    say("cancelled: nothing was changed", err=True)
    raise click.exceptions.Exit(1)
