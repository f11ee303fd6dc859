"""meshctl ssh, kubeconfig."""

from __future__ import annotations

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("inventory", type=click.Path())
@click.argument("node")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(inventory: str, node: str, command: tuple[str, ...]) -> None:
    """Open a session on NODE, or run COMMAND there (behind --), by the system's ssh client.

    A COMMAND of one word is read by the guest's shell, as with ssh: -- 'cd /var/log; ls'. Several words are a program and
    its arguments and reach it as they are, blanks and quotes too: -- grep 'two words' FILE.

    The guest's host key comes from its stamp: an unknown one is refused. Only the inventory's key is offered.
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
