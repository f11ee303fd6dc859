"""meshctl lab up, down, exec."""

from __future__ import annotations

import click

from provision.cli.say import say

NAME = click.option("--name", default="lab", show_default=True, help="Which lab: each has places of its own.")


@click.group()
def lab() -> None:
    """A private place on this machine: libvirtd in a network namespace, without KVM if need be. Needs root."""


@lab.command()
@NAME
@click.option(
    "--hosts",
    type=click.IntRange(1, 9),
    help="Make that many hypervisors, hv1, hv2 …, on one bridge, each reached by qemu+ssh. Default: one, reached by a socket.",
)
def up(name: str, hosts: int | None) -> None:
    """Make the lab, or what is missing of it, and print libvirt's URIs."""
    from provision.base.shell import Local
    from provision.cli.screen import watched
    from provision.lab import Lab
    from provision.lab import up as run

    with watched() as emit:
        uris = run(Lab(name), Local(), emit, hosts or 0)
    say("\n".join(uris))


@lab.command()
@NAME
def down(name: str) -> None:
    """Remove the lab: processes, guests included, namespace, mounts and folders."""
    from provision.base.shell import Local
    from provision.cli.screen import watched
    from provision.lab import Lab
    from provision.lab import down as run

    with watched() as emit:
        run(Lab(name), Local(), emit)


@lab.command("exec", context_settings={"ignore_unknown_options": True})
@NAME
@click.option("--host", default="", help="In which of its hosts. Default: beside them, where the jump host is.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(name: str, host: str, command: tuple[str, ...]) -> None:
    """Run COMMAND (behind --) inside the lab's namespaces."""
    from provision.base.shell import replace_process
    from provision.lab import Lab, exec_argv

    replace_process(exec_argv(Lab(name, host), command))
