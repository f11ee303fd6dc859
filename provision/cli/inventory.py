"""meshctl validate, schema."""

from __future__ import annotations

import json

import click

from provision.base.visible import visible_line
from provision.cli.say import say, say_problem


@click.command()
@click.argument("inventory", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Problems as JSON on stdout.")
def validate(inventory: str, as_json: bool) -> None:
    """Check INVENTORY (a file, or - for stdin): all problems at once. Exit code 3 when there are any."""
    from dataclasses import asdict

    from provision.base.errors import InventoryError, Problem
    from provision.inventory import load
    from provision.placement import GUESTS_ARCHITECTURE

    warnings: list[Problem] = []
    try:
        cluster = load(inventory, warn=warnings.append)
    except InventoryError as error:
        if as_json:
            say(json.dumps({"valid": False, "problems": [asdict(problem) for problem in error.problems]}, indent=2))
        raise
    if as_json:
        say(json.dumps({"valid": True, "problems": [asdict(warning) for warning in warnings]}, indent=2))
    else:
        for warning in warnings:
            say_problem(warning)
        say(
            f"{visible_line(inventory)}: cluster {cluster.cluster}, {len(cluster.hosts)} host(s), {len(cluster.nodes)} node(s): valid"
            f"; its guests are {GUESTS_ARCHITECTURE}, and so must the hosts be"
        )


@click.command()
def schema() -> None:
    """Print the JSON Schema of the inventory."""
    from provision.inventory import json_schema

    say(json.dumps(json_schema(), indent=2))
