"""meshctl bench: what the cluster's guarantees are worth, measured."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from provision.cli.clusters import span
from provision.cli.keep import keep
from provision.cli.named import NAME
from provision.cli.provision import LOCK_TIMEOUT
from provision.cli.say import say

if TYPE_CHECKING:
    from provision.bench import Result
    from provision.run.bench_plan import Wish

LEAST = 100
"""Requests in a cell: with fewer there is no p99."""

LONGEST_S = 3600


@click.group()
def bench() -> None:
    """Measure what the cluster's guarantees are worth."""


@bench.command()
@click.argument("inventory", type=click.Path(), required=False)
@NAME
@click.option("--from", "start", default="", metavar="NODE", help="The node that asks; default: a worker.")
@click.option(
    "--to",
    "end",
    default="",
    metavar="NODE",
    help="The node that answers; default: one on another host, if there is one.",
)
@click.option(
    "--rate", "per_s", type=click.FloatRange(1, 10000), default=50.0, show_default=True, help="Requests a second."
)
@click.option(
    "--for",
    "for_s",
    callback=span,
    default="20s",
    show_default=True,
    metavar="TIME",
    help="How long each measurement asks.",
)
@click.option(
    "--runs", type=click.IntRange(1, 100), default=5, show_default=True, help="How often each cell is measured."
)
@click.option(
    "--only",
    multiple=True,
    metavar="WORDS",
    help="Only cells with all these words: `one-hop,noisy`. Several times: any of them.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout, with its histograms.")
@click.option("--svg", type=click.Path(dir_okay=False), metavar="FILE", help="Draw latencies by percentile into FILE.")
@click.option(
    "--compare",
    type=(click.Path(exists=True, dir_okay=False), click.Path(exists=True, dir_okay=False)),
    metavar="A.json B.json",
    help="Compare two results; no inventory is needed.",
)
@LOCK_TIMEOUT
def latency(
    inventory: str | None,
    start: str,
    end: str,
    per_s: float,
    for_s: int,
    runs: int,
    only: tuple[str, ...],
    yes: bool,
    as_json: bool,
    svg: str | None,
    compare: tuple[str, str] | None,
    lock_timeout: float,
) -> None:
    """Measure latencies from node to node, directly and through the mesh: pinned and floating, with a quiet and a noisy neighbour, and
    with and without the article's kernel settings when each request is a new connection.

    Requests come at a fixed rate and count from when they were due. Shows what it will do, and asks: it widens pins of running guests,
    makes noise on their hosts, and puts all back. docs/latency.md says how to read the result.
    """
    if compare is not None:
        _say_comparison(*compare, as_json=as_json)
        return
    if inventory is None:
        raise click.UsageError("an INVENTORY is needed, or --compare A.json B.json")
    _check(per_s, for_s)
    from provision.run.bench_plan import Wish

    result = _measured(inventory, Wish(start, end, per_s, float(for_s), runs, only), yes=yes, patience_s=lock_timeout)
    _tell(result, as_json=as_json, svg=svg)


def _check(per_s: float, for_s: int) -> None:
    if not 0 < for_s <= LONGEST_S:
        raise click.BadParameter(f"{for_s} s is not between 1 s and an hour", param_hint="--for")
    if per_s * for_s < LEAST:
        raise click.BadParameter(
            f"{per_s:g} a second for {for_s} s are fewer than {LEAST} requests: there is no p99 then",
            param_hint="--rate",
        )


def _measured(inventory: str, wish: Wish, *, yes: bool, patience_s: float) -> Result:
    from provision.cli.access import UNSEEN
    from provision.cli.session import confirm, seeing, session
    from provision.run.bench_plan import plan_bench
    from provision.run.benching import bench as measure

    with session(inventory, logged=True, careful=True) as whole:
        world = seeing(whole, UNSEEN)[0]
        agreed = plan_bench(world, wish)
        say(agreed.as_text(), err=True)
        if not yes:
            confirm(world.emit, "Measure?")
        return measure(world, agreed, patience_s=patience_s)


def _tell(result: Result, *, as_json: bool, svg: str | None) -> None:
    from provision.bench import as_text, draw, summary, written

    say(written(result, summary(result)) if as_json else as_text(result))
    if svg:
        keep(svg, draw(result))


def _say_comparison(one: str, other: str, *, as_json: bool) -> None:
    from provision.bench import comparison, comparison_data

    before, after = _read(one), _read(other)
    say(json.dumps(comparison_data(before, after), indent=1) if as_json else comparison(before, after))


def _read(path: str) -> Result:
    from provision.base.errors import InventoryError, cause
    from provision.bench import LARGEST_FILE, read_result

    try:
        with open(path, encoding="utf-8") as file:
            return read_result(file.read(LARGEST_FILE), path)
    except (OSError, UnicodeDecodeError) as error:
        raise InventoryError(f"{path}: cannot be read: {cause(error)}") from error
