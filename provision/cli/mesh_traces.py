"""meshctl mesh traces: the slowest requests of the mesh, hop by hop."""

from __future__ import annotations

import json
import re

import click

from provision.base.moments import parse_span
from provision.cli.named import NAME
from provision.cli.say import say

_SHORT = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s)")
_US = {"us": 1, "ms": 1000, "s": 1_000_000}


def microseconds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int:
    """`500ms` or `1.5s` in microseconds, 0 for nothing said."""
    found = _SHORT.fullmatch(value or "0s")
    if found is None:
        raise click.BadParameter(f"{value!r} is no time: write it like 500ms or 1.5s")
    return int(float(found[1]) * _US[found[2]])


def seconds(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    """`2h` in seconds."""
    try:
        return parse_span(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.option(
    "--slow", "slow_us", metavar="TIME", callback=microseconds, help="Only with a hop of 500ms, 1.5s, or slower."
)
@click.option(
    "--last",
    "last_s",
    metavar="SPAN",
    callback=seconds,
    default="1h",
    show_default=True,
    help="Of how long: 10m, 2h, 7d.",
)
@click.option("--most", type=click.IntRange(1, 200), default=10, show_default=True, help="How many to show.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def traces(inventory: str, slow_us: int, last_s: int, most: int, as_json: bool) -> None:
    """Show the slowest of the latest 200 traces that Zipkin has, hop by hop: who, after how long, for how long, and with which answer.

    Query strings are left out. Where Zipkin does not answer, the exit code is 11.
    """
    from provision.cli.session import seeing, session
    from provision.run.mesh_traces import as_text, mesh_traces

    with session(inventory) as whole:
        world, _ = seeing(whole, "traces are not seen from its nodes")
        found = mesh_traces(world, slow_us=slow_us, last_s=last_s, most=most)
    say(json.dumps([one.as_data() for one in found]) if as_json else as_text(found))
