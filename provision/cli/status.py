"""meshctl status."""

from __future__ import annotations

import json
import sys
from typing import NoReturn

import click

from provision.cli.named import NAME
from provision.cli.provision import CHANGES_PENDING
from provision.cli.say import say


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.option("--json", "as_json", is_flag=True, help="The status as JSON on stdout.")
@click.option(
    "--drift", is_flag=True, help="Only what is no longer as meshctl made it; exit code 20 when there is any."
)
def status(inventory: str, as_json: bool, drift: bool) -> None:
    """Show per guest what libvirt says live, and what Kubernetes and the mesh say.

    A host that does not answer is said; the others' guests are shown all the same, with exit code 6.
    """
    from provision.base.errors import HypervisorError
    from provision.cli.session import seeing, session
    from provision.run import cluster_status
    from provision.run.status import as_text

    if drift:
        _drift(inventory, as_json=as_json)
    with session(inventory) as whole:
        world, away = seeing(whole, "its guests are not seen")
        found = cluster_status(world)
    say(json.dumps(found.as_data(), indent=2) if as_json else as_text(found))
    if away:
        raise HypervisorError(f"not all is seen: no answer from {', '.join(one.host for one in away)}")


def _drift(inventory: str, *, as_json: bool) -> NoReturn:
    from provision.cli.session import session
    from provision.report.drift_report import as_text, drift_report

    with session(inventory) as world:
        found = drift_report(world)
    say(json.dumps(found.as_data(), indent=2) if as_json else as_text(found))
    sys.exit(CHANGES_PENDING if found.drifts else 0)
