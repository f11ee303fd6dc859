"""meshctl report: what others than operators ask about a cluster."""

from __future__ import annotations

import json

import click

from provision.cli.named import NAME
from provision.cli.say import hand_over, say


@click.group()
def report() -> None:
    """Say where the cluster's data are, and who can reach them."""


@report.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.option("--json", "as_json", is_flag=True, help="The record as JSON on stdout.")
@click.option("--html", "as_page", is_flag=True, help="The record as a page on stdout: > record.html.")
def residency(inventory: str, as_json: bool, as_page: bool) -> None:
    """Write the record of processing (GDPR art. 30) of a living cluster: what is stored, where, how long, who can reach it, and to whom
    data go.

    Taken from hosts, guests and Kubernetes; what could not be seen is said, a host that does not answer with exit code 6. It is written
    for a cluster that breaks its policy too, and says so.
    """
    from datetime import UTC, datetime

    from provision.base.errors import HypervisorError
    from provision.cli.session import seeing, session
    from provision.report.residency import record
    from provision.report.residency_text import as_html, as_text
    from provision.run.residency import whereabouts

    if as_json and as_page:
        raise click.UsageError("--json and --html are two forms of one record: say one of them")
    now = datetime.now(UTC)
    with session(inventory) as whole:
        world, away = seeing(whole, "its guests are not in the record")
        found = record(whole.cluster, whereabouts(world, whole.cluster, now.date()), now)
    if as_page:
        hand_over(as_html(found))
    else:
        say(json.dumps(found.as_data(), indent=2) if as_json else as_text(found))
    if away:
        raise HypervisorError(f"the record is not whole: no answer from {', '.join(one.host for one in away)}")
