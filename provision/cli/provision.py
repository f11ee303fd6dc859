"""meshctl plan, provision."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from provision.cli.say import say

if TYPE_CHECKING:
    from provision.run import World

CHANGES_PENDING = 20
"""Exit code of `plan --detailed-exitcode` when there is something to do, and of `status --drift` when there is drift."""

STAGES = ("hosts", "images", "networks", "volumes", "guests", "kubernetes", "mesh", "removal", "verify")
"""The names of `run.stages.order`, written out because that loads libvirt, which --help does without; a test holds both to each other."""

ADOPT = click.option(
    "--adopt",
    is_flag=True,
    help="The cluster of this name that is on the hosts is this inventory's, though nothing shows it.",
)

LOCK_TIMEOUT = click.option(
    "--lock-timeout",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="How long to wait for another run's end.",
)

RESTART = click.option(
    "--restart", is_flag=True, help="Also start guests anew that run with something else than wanted, one at a time."
)

MAX_UNAVAILABLE = click.option(
    "--max-unavailable",
    type=click.IntRange(1),
    metavar="N",
    help="How many workers may be down at once; else kubernetes.max_unavailable of the inventory.",
)

REMOVE = click.option(
    "--remove",
    multiple=True,
    metavar="NODE",
    help="Drain and take away this node, which the inventory no longer has. Can be given several times.",
)


def may_be_down(world: World, workers: int | None) -> World:
    """The world in which so many workers may be down at once. Raises click's BadParameter for more than there are."""
    if workers is None:
        return world
    cluster = world.cluster
    if workers > max(1, len(cluster.workers)):
        raise click.BadParameter(f"{workers}: there are {len(cluster.workers)} workers", param_hint="--max-unavailable")
    kubernetes = cluster.kubernetes.model_copy(update={"max_unavailable": workers})
    return replace(world, cluster=cluster.model_copy(update={"kubernetes": kubernetes}))


WIPE_HELP = "Let devices be wiped whose serial numbers the inventory names under storage.wipe."


@click.command()
@click.argument("inventory", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="The plan as JSON on stdout.")
@click.option("--wipe", is_flag=True, help=WIPE_HELP)
@click.option("--detailed-exitcode", is_flag=True, help="Exit code 20 when changes are pending.")
@RESTART
@REMOVE
@ADOPT
def plan(
    inventory: str,
    as_json: bool,
    wipe: bool,
    detailed_exitcode: bool,
    restart: bool,
    remove: tuple[str, ...],
    adopt: bool,
) -> None:
    """Show what provision would create, change or leave, and why. Changes nothing."""
    from provision.cli.session import session
    from provision.report.plan_text import as_data, as_text
    from provision.run import make_plan

    with session(inventory, adopt=adopt, careful=True) as world:
        found = make_plan(world, wipe=wipe, restart=restart, remove=remove)
    say(json.dumps(as_data(found), indent=2) if as_json else as_text(found))
    if detailed_exitcode and found.changes:
        sys.exit(CHANGES_PENDING)


@click.command()
@click.argument("inventory", type=click.Path())
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wipe", is_flag=True, help=WIPE_HELP)
@click.option("--until", "last", type=click.Choice(STAGES), help="Stop after this stage.")
@RESTART
@MAX_UNAVAILABLE
@REMOVE
@ADOPT
@LOCK_TIMEOUT
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
@click.option("--verbose", "-v", is_flag=True, help="Also show what kubeadm and others say.")
def provision(
    inventory: str,
    yes: bool,
    wipe: bool,
    last: str | None,
    restart: bool,
    max_unavailable: int | None,
    remove: tuple[str, ...],
    adopt: bool,
    lock_timeout: float,
    as_json: bool,
    verbose: bool,
) -> None:
    """Turn the inventory into a serving mesh: checks the hosts, shows the plan, asks, plans again, runs the stages."""
    from provision.cli.session import confirm, confirm_by_name, session
    from provision.report.plan_text import as_text
    from provision.run import admit, make_plan
    from provision.run import provision as run

    stages = STAGES[: STAGES.index(last) + 1] if last else STAGES
    with session(
        inventory, as_json=as_json, verbose=verbose, logged=True, stages=stages, adopt=adopt, careful=True
    ) as opened:
        world = may_be_down(opened, max_unavailable)
        admit(world)
        agreed = make_plan(world, wipe=wipe, restart=restart, remove=remove)
        say(as_text(agreed), err=True)
        if remove and not yes:
            names = " ".join(sorted(remove))
            question = f"Make these {len(agreed.changes)} changes, and remove {names} for good? Type {names}"
            confirm_by_name(world.emit, question, names)
        elif agreed.changes and not yes:
            confirm(world.emit, f"Make these {len(agreed.changes)} changes?")
        run(world, agreed, last, wipe=wipe, restart=restart, remove=remove, patience_s=lock_timeout)
