"""meshctl ssh, kubeconfig."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision.cli.named import NAME
from provision.cli.say import hand_over, say

if TYPE_CHECKING:
    from provision.base.secret import Secret

UNSEEN = "it is not looked at"


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("inventory", type=click.Path())
@NAME
@click.argument("node")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(inventory: str, node: str, command: tuple[str, ...]) -> None:
    """Open a session on NODE, or run COMMAND there (behind --), by the system's ssh client.

    A COMMAND of one word is read by the guest's shell, as with ssh: -- 'cd /var/log; ls'. Several words are a program and
    its arguments and reach it as they are, blanks and quotes too: -- grep 'two words' FILE.

    The guest's host key comes from its stamp: an unknown one is refused. Only the inventory's key is offered.
    """
    from provision.base.shell import replace_process
    from provision.cli.session import seeing, session
    from provision.run import ssh_argv

    with session(inventory) as world:
        argv = ssh_argv(seeing(world, UNSEEN)[0], node, command)
    replace_process(argv)


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.option("--output", "-o", metavar="FILE", help="Write a file of its own, for its owner only (0600); - is stdout.")
@click.option("--merge", is_flag=True, help="Write into kubectl's own file: $KUBECONFIG's first, else ~/.kube/config.")
def kubeconfig(inventory: str, output: str | None, merge: bool) -> None:
    """Fetch the cluster's kubeconfig, its context named after the cluster. It holds the administrator's private key.

    Say where it goes: --output or --merge. A file that holds something else is left alone, and so are other contexts and the
    current one.
    """
    from provision.cli.session import seeing, session
    from provision.run import read_kubeconfig

    if merge == (output is not None):
        raise click.UsageError("say where it goes: --output FILE, --merge, or --output - for stdout")
    with session(inventory) as world:
        text = read_kubeconfig(seeing(world, UNSEEN)[0])
    if output == "-":
        hand_over(text.reveal())
    else:
        _keep(world.cluster.cluster, text, output)


def _keep(cluster: str, text: Secret, output: str | None) -> None:
    from provision.run import kubectls_file, merge, save

    path = kubectls_file() if output is None else Path(output)
    if output is None:
        merge(path, cluster, text)
        say(f"{path}: context {cluster}; kubectl --context {cluster} get nodes", err=True)
    else:
        save(path, cluster, text)
        say(f"{path}: kubectl --kubeconfig {shlex.quote(output)} get nodes", err=True)
