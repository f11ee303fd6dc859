"""The command line: what a user types, and nothing else. Each family of commands is one module, imported when used."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import click

from provision import __version__
from provision.base import interruption
from provision.cli import ending
from provision.cli.say import say


@dataclass(frozen=True)
class Lazy:
    """A command that is imported when it is used; `help` is what the overview shows."""

    module: str
    name: str
    help: str


COMMANDS = {
    "validate": Lazy("inventory", "validate", "Check an inventory: all problems at once, with file, line and hint."),
    "init": Lazy("init", "init", "Print an inventory to begin with, or one made from another tool's."),
    "schema": Lazy("inventory", "schema", "Print the JSON Schema of the inventory, for editors."),
    "plan": Lazy("provision", "plan", "Show what provision would create, change or leave, and why."),
    "place": Lazy("place", "place", "Show where guests would go on given machines, offline."),
    "doctor": Lazy("doctor", "doctor", "Check the hosts against the inventory before anything is made."),
    "provision": Lazy("provision", "provision", "Turn the inventory into a serving mesh."),
    "status": Lazy("status", "status", "Show guests, nodes and mesh as they are now."),
    "diagnose": Lazy(
        "diagnose", "diagnose", "Say what makes requests slow: causes ranked by how much of p99 they explain."
    ),
    "bench": Lazy("bench", "bench", "Measure what pins and kernel settings are worth, in latency."),
    "watch": Lazy("watch", "watch", "Show guests, routers and the findings that are true now, live."),
    "cordon": Lazy("nodes", "cordon", "Let nodes take no new pods."),
    "drain": Lazy("nodes", "drain", "Cordon nodes and evict their pods."),
    "uncordon": Lazy("nodes", "uncordon", "Let nodes take pods again."),
    "restart": Lazy("nodes", "restart", "Start nodes anew, one after the other: drained first, proven after."),
    "rebuild": Lazy("rebuild", "rebuild", "Throw nodes away and make them anew, under the same name and address."),
    "logs": Lazy("node_logs", "logs", "Show what a node's kubelet, docker, kernel, cloud-init or linkerd says."),
    "console": Lazy("node_logs", "console", "Open a guest's console, or print what it has said."),
    "destroy": Lazy("destroy", "destroy", "Remove exactly what carries the cluster's stamp."),
    "backup": Lazy("backup", "backup", "Copy etcd's data and the cluster's keys into a file here."),
    "restore": Lazy("backup", "restore", "Put a backup back, on a control plane that lives or is gone."),
    "renew": Lazy("renew", "renew", "Renew certificates before they expire, the control plane first."),
    "list": Lazy("clusters", "list_", "Show all clusters on hosts: whose, how large, until when."),
    "gc": Lazy("clusters", "gc", "Take away clusters whose time is over, and unused images."),
    "locks": Lazy("locks", "locks", "Show which run holds which host, and end a lease."),
    "ssh": Lazy("access", "ssh", "Open a session on a node, or run a command there."),
    "kubeconfig": Lazy("access", "kubeconfig", "Fetch the cluster's kubeconfig, into a file or into kubectl's."),
    "image": Lazy("image", "image", "Build, bake and list base images."),
    "bundle": Lazy("bundle", "bundle", "Build, seal, verify and show offline Kubernetes bundles."),
    "mesh": Lazy("mesh", "mesh", "Check linkerd's configuration, and see where a request goes."),
    "report": Lazy("report", "report", "Say where the cluster's data are, and who can reach them."),
    "explain": Lazy("explain", "explain", "Print the page of a finding's id, such as ML301."),
    "lab": Lazy("lab", "lab", "A private place on this machine: libvirtd in a network namespace."),
}
"""Every command, in the order of the overview."""


class ClosedPipe(Exception):
    """Whoever read our output has ended (`meshctl plan x.yaml | head -1`)."""


@contextmanager
def _readers() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ClosedPipe from error


class Overview(click.Group):
    """A group whose commands are imported when they are asked for, so that --help is quick."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command, and writes out what it said. Raises ClosedPipe when nobody reads it: click would end with 1."""
        with _readers():
            said = super().invoke(ctx)
            sys.stdout.flush()
            return said

    def make_context(self, *arguments: Any, **named: Any) -> click.Context:
        """Reads the command line, where --help is answered. Raises ClosedPipe as `invoke`."""
        with _readers():
            return super().make_context(*arguments, **named)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """All commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command's module."""
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        command: click.Command = getattr(importlib.import_module(f"provision.cli.{lazy.module}"), lazy.name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items()])


@click.group(cls=Overview, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="meshctl")
def meshctl() -> None:
    """Turn physical machines into a serving mesh: pinned KVM guests, Kubernetes by kubeadm, Linkerd."""


def main() -> None:
    """The `meshctl` program: every failure ends here, with its exit code."""
    ending.watch()
    try:
        code = _run()
    except BrokenPipeError:  # while an error was told
        code = ending.CLOSED_PIPE
    except KeyboardInterrupt:  # likewise
        code = _aborted()
    ending.end(code)


def _run() -> int:
    try:
        result = meshctl(standalone_mode=False)
        return result if isinstance(result, int) else 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        with io.StringIO() as shown:
            error.show(shown)
            say(shown.getvalue(), err=True, nl=False)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _aborted()
    except (ClosedPipe, BrokenPipeError):
        return ending.CLOSED_PIPE
    except Exception as error:  # noqa: BLE001 - the edge of the program
        from provision.cli.failure import explain

        code = explain(error)
        return _aborted() if interruption.asked() else code


def _aborted() -> int:
    """The end that was asked for; without a request, of a question that was not answered (Ctrl-D)."""
    request = interruption.asked()
    if request is None:
        say("no answer: nothing was changed", err=True)
        return 1
    if request.exit_code == ending.CLOSED_PIPE:
        return ending.CLOSED_PIPE
    ending.tell_once(partial(say, err=True))
    return request.exit_code
