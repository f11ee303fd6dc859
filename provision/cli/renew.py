"""meshctl renew."""

from __future__ import annotations

import click

from provision.cli.named import NAME
from provision.cli.provision import LOCK_TIMEOUT
from provision.cli.say import say

LEFT_DAYS = 110
"""As `run.renew.LEFT_DAYS`, written out because that loads libvirt, which --help does without; a test holds both to each other."""


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Renew them however long they have.")
@click.option(
    "--left",
    "left_days",
    type=click.IntRange(1),
    default=LEFT_DAYS,
    show_default=True,
    metavar="DAYS",
    help="Renew where a certificate has fewer days left; the default is 30 % of their year.",
)
@LOCK_TIMEOUT
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
@click.option("--verbose", "-v", is_flag=True, help="Also show what kubeadm says.")
def renew(
    inventory: str, yes: bool, force: bool, left_days: int, lock_timeout: float, as_json: bool, verbose: bool
) -> None:
    """Renew certificates that end before long, node by node, the control plane first; shows when they end, before and after.

    The API server is away for some seconds at a time; pods run on. The authorities, which live ten years, stay.
    """
    from provision.cli.session import confirm, session
    from provision.run import plan_renewal
    from provision.run import renew as run

    with session(inventory, as_json=as_json, verbose=verbose, logged=True) as world:
        agreed = plan_renewal(world, left_days=left_days, force=force)
        say(agreed.as_text(), err=True)
        if not agreed.nodes:
            say(
                f"Nothing to renew: all have {left_days} days or more. --force renews them however long they have.",
                err=True,
            )
            return
        if not yes:
            confirm(world.emit, f"Renew the certificates of {', '.join(agreed.nodes)}?")
        after = run(world, agreed, patience_s=lock_timeout)
        say(agreed.as_text(after), err=True)
    say(
        "Kubeconfigs that were fetched before hold the old certificate: `meshctl kubeconfig` fetches the new one.",
        err=True,
    )
