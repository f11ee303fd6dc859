"""meshctl logs, console."""

from __future__ import annotations

import re
import shutil
import signal
import sys
from typing import TYPE_CHECKING

import click

from provision.cli.access import UNSEEN
from provision.cli.named import NAME
from provision.cli.say import say

if TYPE_CHECKING:
    from provision.run import Standing, World

LOGS = ("kubelet", "docker", "linkerd", "cloud-init", "kernel")
"""What `logs` offers: the words of `run.node_logs`, written out because that loads libvirt; a test holds both to each other."""

LAST = 100
"""Lines that are shown where nothing else is said."""

_SINCE = re.compile(r"([0-9]{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

# Colours and the like (ECMA-48, control sequences), and the carriage return before each line's end.
_STEERING = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\r")


def _seconds(_ctx: click.Context, _option: click.Parameter, span: str | None) -> int | None:
    """Seconds of a time span such as 10m. Raises click's BadParameter."""
    if span is None:
        return None
    found = _SINCE.fullmatch(span)
    if found is None:
        raise click.BadParameter(f"{span!r} is not a time span; write it like 10m (s, m, h or d)")
    return int(found[1]) * _SECONDS[found[2]]


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.argument("node")
@click.argument("what", type=click.Choice(LOGS), default=LOGS[0])
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--since", callback=_seconds, metavar="SPAN", help="Nothing older than so long ago: 90s, 10m, 2h, 1d.")
@click.option("--tail", type=click.IntRange(1), metavar="N", help=f"The last N lines ({LAST} without --since).")
def logs(inventory: str, node: str, what: str, follow: bool, since: int | None, tail: int | None) -> None:
    """Show what NODE's kubelet, docker, linkerd, cloud-init or kernel says.

    The journal is read in the guest, linkerd's log through the control plane. Characters that would steer the terminal are
    written out.
    """
    from provision.cli.session import seeing, session
    from provision.run import Part, follow_log, read_log

    part = Part(LAST if tail is None and since is None else tail, since)
    with session(inventory) as whole:
        world = seeing(whole, UNSEEN)[0]
        if follow:
            follow_log(world, node, what, part, _tell)
        elif text := read_log(world, node, what, part):
            say(_plain(text), nl=False)


def _tell(line: str) -> None:
    """One line as it comes. A closed pipe is met on a thread of the log's: there it becomes a request to end."""
    from provision.base import interruption

    try:
        say(_plain(line))
    except BrokenPipeError:
        interruption.ask("a closed pipe", 128 + signal.SIGPIPE)


def _plain(text: str) -> str:
    return _STEERING.sub("", text)


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.argument("node")
@click.option("--log", is_flag=True, help="Print what the console has said; so it is without a terminal, too.")
@click.option(
    "--tail", type=click.IntRange(1), default=LAST, metavar="N", show_default=True, help="The last N lines of it."
)
def console(inventory: str, node: str, log: bool, tail: int) -> None:
    """Open NODE's console by virsh (Ctrl-] leaves it), or print what it has said, which libvirt keeps in the host's pool.

    For a guest that SSH does not reach: its kernel, its boot, and a login where the image has one.
    """
    from provision.base.shell import replace_process
    from provision.cli.session import seeing, session
    from provision.run import console_log, standing

    at_terminal = not log and sys.stdin.isatty()
    with session(inventory) as whole:
        world = seeing(whole, UNSEEN)[0]
        guest = standing(world, node)
        argv = _virsh(world, guest) if at_terminal else ()
        lines = () if at_terminal else console_log(world, guest, tail)
    if argv:
        replace_process(argv)
    elif lines:
        say(_plain("\n".join(lines)))
    else:
        say(f"{node}: the console has said nothing yet", err=True)


def _virsh(world: World, guest: Standing) -> tuple[str, ...]:
    from provision.base.errors import ConflictError, ShellError
    from provision.run import console_argv

    argv = console_argv(world, guest)
    if shutil.which(argv[0]) is None:
        raise ShellError("there is no virsh on this machine", hint="apt install libvirt-clients; or --log")
    if guest.why_not:
        raise ConflictError(f"{guest.host}: guest {guest.node} is {guest.why_not}", hint="--log prints its last words")
    return argv
