"""meshctl list, gc: what is on hosts, and what of it nobody needs any longer. No inventory is needed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from provision.cli.provision import LOCK_TIMEOUT
from provision.cli.say import say

if TYPE_CHECKING:
    from provision.inventory import Host
    from provision.run.away import Away

KEEP = "7d"
"""A base image or bundle that was sent within a week is soon wanted again: each is 400 to 570 MB to send."""

URIS = click.argument("uris", nargs=-1, metavar="[HOST-URI]...")
INVENTORY = click.option("--inventory", type=click.Path(), metavar="FILE", help="The hosts of this inventory too.")


@click.command("list")
@URIS
@INVENTORY
@click.option("--json", "as_json", is_flag=True, help="The clusters as JSON on stdout.")
def list_(uris: tuple[str, ...], inventory: str | None, as_json: bool) -> None:
    """Show all clusters on hosts, by their stamps: whose they are, how large, how old, and until when they are needed.

    A host that does not answer is said; those of the others are shown all the same, with exit code 6.
    """
    from provision.report.clusters_text import as_text
    from provision.run.gathering import ground, look_around

    with ground(_hosts(uris, inventory)) as on:
        sight, now_s = look_around(on), time.time()
    say(
        json.dumps({"clusters": [one.as_data(now_s) for one in sight.clusters]}, indent=2)
        if as_json
        else as_text(sight.clusters, now_s)
    )
    _refuse_silence(sight.away)


def span(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    """An option that is a span of time, in seconds. Raises click's BadParameter."""
    from provision.base.moments import parse_span

    try:
        return parse_span(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@URIS
@INVENTORY
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what would be taken away.")
@click.option(
    "--keep-artifacts",
    "keep_s",
    default=KEEP,
    show_default=True,
    metavar="TIME",
    callback=span,
    help="Base images and bundles that nobody uses stay for so long after they were sent.",
)
@LOCK_TIMEOUT
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
def gc(
    uris: tuple[str, ...],
    inventory: str | None,
    yes: bool,
    dry_run: bool,
    keep_s: int,
    lock_timeout: float,
    as_json: bool,
) -> None:
    """Take away clusters whose time to live is over (provision --ttl), and base images and bundles that nobody uses.

    A cluster that was given no time is never touched. A host that does not answer is said, with exit code 6 at the end.
    """
    from provision.cli.screen import watched
    from provision.cli.session import confirm
    from provision.report.clusters_text import garbage_text
    from provision.run.collection import collect, plan_gc
    from provision.run.gathering import ground

    with watched(as_json=as_json) as emit, ground(_hosts(uris, inventory)) as on:
        found, sight = plan_gc(on, keep_s, emit)
        for line in garbage_text(found, time.time()):
            say(line, err=True)
        if not found.removals:
            say("Nothing is to be taken away.", err=True)
        elif not dry_run:
            if not yes:
                confirm(emit, f"Take these {len(found.removals)} things away?")
            collect(on, found, keep_s, emit, patience_s=lock_timeout)
    _refuse_silence(sight.away)


def _hosts(uris: tuple[str, ...], inventory: str | None) -> tuple[Host, ...]:
    from provision.inventory import load
    from provision.run.gathering import hosts_of

    if not uris and inventory is None:
        raise click.UsageError("which hosts? their URIs, such as qemu+ssh://root@hv1/system, or --inventory FILE")
    try:
        return hosts_of(uris, load(inventory, anywhere=True).hosts if inventory else ())
    except ValueError as error:
        raise click.UsageError(str(error).replace("\n", "; ")) from error


def _refuse_silence(away: tuple[Away, ...]) -> None:
    from provision.base.errors import HypervisorError

    if away:
        lines = [f"{one.error.message}" for one in away]
        raise HypervisorError("\n".join(["not all is seen:", *lines]), hint=away[0].error.hint)
