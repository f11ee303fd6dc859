"""meshctl destroy."""

from __future__ import annotations

import click

from provision.cli.junit import JUNIT, reported
from provision.cli.named import NAME
from provision.cli.provision import ADOPT, LOCK_TIMEOUT
from provision.cli.say import say


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.option("--yes", is_flag=True, help="Do not ask for the cluster's name.")
@click.option(
    "--purge", is_flag=True, help="Also remove the cached base image and bundle, and a pool of ours that is empty then."
)
@ADOPT
@LOCK_TIMEOUT
@JUNIT
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
def destroy(
    inventory: str, yes: bool, purge: bool, adopt: bool, lock_timeout: float, junit: str | None, as_json: bool
) -> None:
    """Remove exactly what carries the cluster's stamp: guests, networks, root volumes, seeds.

    A host that does not answer is left as it is: that is said first, and exit code 15 at the end.
    """
    from provision.cli.session import confirm_by_name, session
    from provision.run import answering, plan_removal
    from provision.run import destroy as run

    with (
        reported(junit, "destroy") as reports,
        session(inventory, as_json=as_json, logged=True, adopt=adopt, careful=True, also=reports) as whole,
    ):
        world, away = answering(whole)
        agreed = plan_removal(world, purge=purge)
        for removal in agreed:
            more = f", {removal.detail}" if removal.detail else ""
            say(f"  - {removal.host}: {removal.kind} {removal.name}{more}", err=True)
        for one in away:
            world.emit(one.but("what it holds of the cluster is left"))
        if not agreed and not away:
            say(f"Nothing carries the stamp of cluster {world.cluster.cluster}.", err=True)
            return
        if agreed and not yes:
            question = f"Remove these {len(agreed)} things? Type the cluster's name"
            confirm_by_name(world.emit, question, world.cluster.cluster)
        run(world, agreed, {one.host: one.error for one in away}, purge=purge, patience_s=lock_timeout)
