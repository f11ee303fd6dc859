"""meshctl lab up, down, exec."""

from __future__ import annotations

import click

NAME = click.option("--name", default="lab", show_default=True, help="Which lab: each has places of its own.")


@click.group()
def lab() -> None:
    """A private place on this machine: libvirtd in a network namespace, without KVM if need be. Needs root."""


@lab.command()
@NAME
def up(name: str) -> None:
    """Make the lab, or what is missing of it, and print libvirt's URI."""
    from provision.base.shell import Local
    from provision.cli.screen import watched
    from provision.lab import Lab
    from provision.lab import up as run

    with watched() as emit:
        uri = run(Lab(name), Local(), emit)
    click.echo(uri)


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
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(name: str, command: tuple[str, ...]) -> None:
    """Run COMMAND (behind --) inside the lab's namespaces."""
    from provision.base.shell import replace_process
    from provision.lab import Lab, exec_argv

    replace_process(exec_argv(Lab(name), command))
