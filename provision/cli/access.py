"""meshctl ssh, kubeconfig."""

from __future__ import annotations

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("inventory", type=click.Path())
@click.argument("node")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(inventory: str, node: str, command: tuple[str, ...]) -> None:
    """Open a session on NODE, or run COMMAND there (behind --), by the system's ssh client.

    The guest's host key comes from its stamp: an unknown one is refused.
    """
    from provision.base.shell import replace_process
    from provision.cli.session import session
    from provision.run import ssh_argv

    with session(inventory) as world:
        argv = ssh_argv(world, node, command)
    replace_process(argv)


@click.command()
@click.argument("inventory", type=click.Path())
def kubeconfig(inventory: str) -> None:
    """Print the cluster's kubeconfig. It holds a private key: redirect it into a file that only you can read."""
    from provision.cli.session import session
    from provision.run import read_kubeconfig

    with session(inventory) as world:
        text = read_kubeconfig(world)
    click.echo(text, nl=False)
