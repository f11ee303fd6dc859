"""meshctl mesh status: how each node's linkerd is now."""

from __future__ import annotations

import json

import click

from provision.cli.named import NAME
from provision.cli.say import say

APART_S = 5.0
"""Between the two looks: long enough to count requests in, short enough to wait for."""


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.option("--watch", is_flag=True, help="Again and again, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout, one line for each time.")
@click.option(
    "--interval",
    "apart_s",
    type=click.FloatRange(1.0, 3600.0),
    default=APART_S,
    show_default=True,
    help="Seconds between the two looks that rates are reckoned from.",
)
def status(inventory: str, watch: bool, as_json: bool, apart_s: float) -> None:
    """Show each node's linkerd: release, uptime, heap, garbage collection, requests, latencies, ejected endpoints, and whether it runs
    the inventory's configuration.

    Rates are between two looks; latencies are of the last whole minute. A node that does not answer is said, with exit code 11.
    """
    from provision.base.errors import MeshError
    from provision.cli.session import seeing, session
    from provision.run.mesh_status import as_text, mesh_status

    with session(inventory) as whole:
        world, _ = seeing(whole, "its nodes' linkerds are not seen")
        while True:
            found = mesh_status(world, apart_s)
            say(json.dumps([one.as_data() for one in found]) if as_json else as_text(found))
            if not watch:
                break
    silent = [one.node for one in found if one.fault]
    if silent:
        raise MeshError(f"no answer from the linkerd of {', '.join(silent)}")
