"""meshctl plan, provision."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from provision.cli.junit import JUNIT, reported
from provision.cli.named import NAME, said_name
from provision.cli.say import say

if TYPE_CHECKING:
    from provision.base.events import Emit
    from provision.guests import OldLogin
    from provision.plan import Plan
    from provision.run import World
    from provision.run.saved import Options, PlanFile

CHANGES_PENDING = 20
"""Exit code of `plan --detailed-exitcode` when there is something to do, and of `status --drift` when there is drift."""

STAGES = ("hosts", "images", "networks", "rebuild", "volumes", "guests", "kubernetes", "mesh", "removal", "verify")
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
    help="Drain and take away this node, which the inventory no longer has; which pods go is shown. Can be given several times.",
)

LIMIT = click.option(
    "--limit",
    multiple=True,
    metavar="NODE",
    help="Make and change only this node, and what it needs of its host. Can be given several times.",
)

OLD_KEY = click.option(
    "--old-key",
    metavar="FILE",
    help="The private key that guests still let in: where they refuse the inventory's, it is added, proven, and the old one removed.",
)

OLD_USER = click.option(
    "--old-user", metavar="NAME", help="The same for the user, where the inventory has another one now."
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


def _expiry(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str:
    """The moment that a time to live ends at, from now."""
    from provision.base.moments import moment, parse_span

    try:
        return moment(time.time() + parse_span(value)) if value else ""
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


TTL = click.option(
    "--ttl",
    "expires",
    metavar="TIME",
    callback=_expiry,
    help="How long the cluster is needed from now (90m, 2h, 3d): `meshctl gc` takes it away then. Without, as said before.",
)

WIPE_HELP = "Let devices be wiped whose serial numbers the inventory names under storage.wipe."


def _old_login(key_file: str | None, user: str | None) -> OldLogin | None:
    from provision.guests import OldLogin

    return OldLogin(key_file, user) if key_file or user else None


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.option("--json", "as_json", is_flag=True, help="The plan as JSON on stdout.")
@click.option("--wipe", is_flag=True, help=WIPE_HELP)
@click.option("--detailed-exitcode", is_flag=True, help="Exit code 20 when changes are pending.")
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="Keep it for provision --plan FILE.")
@RESTART
@REMOVE
@LIMIT
@OLD_KEY
@OLD_USER
@ADOPT
def plan(
    inventory: str,
    as_json: bool,
    wipe: bool,
    detailed_exitcode: bool,
    out: str | None,
    restart: bool,
    remove: tuple[str, ...],
    limit: tuple[str, ...],
    old_key: str | None,
    old_user: str | None,
    adopt: bool,
) -> None:
    """Show what provision would create, change or leave, and why. Changes nothing."""
    from provision.cli.session import session
    from provision.report.plan_text import as_data, as_text
    from provision.run import make_plan
    from provision.run.saved import Options, save

    _check_limit(limit, remove)
    with session(inventory, adopt=adopt, careful=True, old=_old_login(old_key, old_user), resident=True) as world:
        found = make_plan(world, wipe=wipe, restart=restart, remove=remove, limit=limit)
        if out:
            save(out, world.cluster, found, Options(wipe=wipe, restart=restart, remove=remove, limit=limit))
    say(json.dumps(as_data(found), indent=2) if as_json else as_text(found))
    if detailed_exitcode and found.changes:
        sys.exit(CHANGES_PENDING)


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@TTL
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wipe", is_flag=True, help=WIPE_HELP)
@click.option("--until", "last", type=click.Choice(STAGES), help="Stop after this stage.")
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Do what this file of plan --out says, without asking; refuse when that is no longer what would be done.",
)
@RESTART
@MAX_UNAVAILABLE
@REMOVE
@LIMIT
@click.option("--keep-going", is_flag=True, help="Finish the other nodes when one fails, and end with exit code 16.")
@OLD_KEY
@OLD_USER
@ADOPT
@LOCK_TIMEOUT
@JUNIT
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
@click.option("--verbose", "-v", is_flag=True, help="Also show what kubeadm and others say.")
def provision(
    inventory: str,
    expires: str,
    yes: bool,
    wipe: bool,
    last: str | None,
    plan_file: str | None,
    restart: bool,
    max_unavailable: int | None,
    remove: tuple[str, ...],
    limit: tuple[str, ...],
    keep_going: bool,
    old_key: str | None,
    old_user: str | None,
    adopt: bool,
    lock_timeout: float,
    junit: str | None,
    as_json: bool,
    verbose: bool,
) -> None:
    """Turn the inventory into a serving mesh: checks the hosts, shows the plan, asks, plans again, runs the stages."""
    from provision.cli.session import session
    from provision.report.plan_text import as_text
    from provision.run import admit, make_plan
    from provision.run import provision as run
    from provision.run.saved import Options

    asked = Options(wipe=wipe, restart=restart, remove=remove, limit=limit)
    _check_limit(limit, remove)
    stages = STAGES[: STAGES.index(last) + 1] if last else STAGES
    with reported(junit, "provision") as reports:
        saved = _saved(plan_file, asked)
        if saved is not None:
            asked = saved.plan.options
        wipe, restart, remove, limit = asked.wipe, asked.restart, asked.remove, asked.limit
        with session(
            inventory,
            as_json=as_json,
            verbose=verbose,
            logged=True,
            stages=stages,
            adopt=adopt,
            careful=True,
            drawn=saved.plan.owner if saved else "",
            old=_old_login(old_key, old_user),
            also=reports,
            resident=True,
        ) as opened:
            if saved is not None:
                saved.check_cluster(opened.cluster)
            world = may_be_down(opened, max_unavailable)
            admit(world)
            agreed = make_plan(world, wipe=wipe, restart=restart, remove=remove, limit=limit, expires=expires)
            say(as_text(agreed), err=True)
            if saved is not None:
                saved.check(opened.cluster, agreed)
            elif not yes:
                _ask(world.emit, agreed, remove)
            run(
                world,
                agreed,
                last,
                wipe=wipe,
                restart=restart,
                remove=remove,
                limit=limit,
                keep_going=keep_going,
                expires=expires,
                anyhow=yes and bool(said_name()) and saved is None,
                patience_s=lock_timeout,
            )


def _ask(emit: Emit, agreed: Plan, remove: tuple[str, ...]) -> None:
    from provision.cli.session import confirm, confirm_by_name

    if remove:
        names = " ".join(sorted(remove))
        question = f"Make these {len(agreed.changes)} changes, and remove {names} for good? Type {names}"
        confirm_by_name(emit, question, names)
    elif agreed.changes:
        confirm(emit, f"Make these {len(agreed.changes)} changes?")


def _check_limit(limit: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Refuses what is about some nodes and about all."""
    if limit and remove:
        raise click.UsageError("--remove takes a node's routes away on all others: not with --limit")


def _saved(file: str | None, asked: Options) -> PlanFile | None:
    """The plan that is to be carried out, with the options that it was made with."""
    from provision.run.saved import Options, read

    if file is None:
        return None
    if asked != Options():
        raise click.UsageError("--plan brings its own --wipe, --restart, --remove and --limit")
    return read(file)
