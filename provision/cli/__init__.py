"""The command line: what a user types, and nothing else. Each family of commands is one module, imported when used."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass

import click

from provision import __version__


@dataclass(frozen=True)
class Lazy:
    """A command that is imported when it is used; `help` is what the overview shows."""

    module: str
    name: str
    help: str


COMMANDS = {
    "validate": Lazy("inventory", "validate", "Check an inventory: all problems at once, with file, line and hint."),
    "schema": Lazy("inventory", "schema", "Print the JSON Schema of the inventory, for editors."),
    "plan": Lazy("provision", "plan", "Show what provision would create, change or leave, and why."),
    "place": Lazy("place", "place", "Show where guests would go on given machines, offline."),
    "doctor": Lazy("doctor", "doctor", "Check the hosts against the inventory before anything is made."),
    "provision": Lazy("provision", "provision", "Turn the inventory into a serving mesh."),
    "status": Lazy("status", "status", "Show guests, nodes and mesh as they are now."),
    "destroy": Lazy("destroy", "destroy", "Remove exactly what carries the cluster's stamp."),
    "locks": Lazy("locks", "locks", "Show which run holds which host, and end a lease."),
    "ssh": Lazy("access", "ssh", "Open a session on a node, or run a command there."),
    "kubeconfig": Lazy("access", "kubeconfig", "Print the cluster's kubeconfig."),
    "image": Lazy("image", "image", "Build and list base images."),
    "bundle": Lazy("bundle", "bundle", "Build, seal, verify and show offline Kubernetes bundles."),
    "mesh": Lazy("mesh", "mesh", "Check linkerd's configuration, and see where a request goes."),
    "explain": Lazy("explain", "explain", "Print the page of a finding's id, such as ML301."),
    "lab": Lazy("lab", "lab", "A private place on this machine: libvirtd in a network namespace."),
}
"""Every command, in the order of the overview."""


class Overview(click.Group):
    """A group whose commands are imported when they are asked for, so that --help is quick."""

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
    try:
        sys.exit(meshctl(standalone_mode=False))
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted: what was done so far stays; the same command goes on from there", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:  # noqa: BLE001 - the edge of the program
        from provision.cli.failure import explain

        sys.exit(explain(error))
