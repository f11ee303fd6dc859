"""meshctl doctor."""

from __future__ import annotations

import json
import sys

import click

from provision.cli.named import NAME
from provision.cli.say import say


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON on stdout.")
def doctor(inventory: str, as_json: bool) -> None:
    """Check the hosts: what would keep guests from being made, and what would make them slow. Changes nothing."""
    from provision.base.errors import HostUnfit
    from provision.cli.session import session
    from provision.run import check_hosts
    from provision.run.checkup import as_text

    with session(inventory) as world:
        checkup = check_hosts(world)
    say(json.dumps(checkup.as_data(), indent=2) if as_json else as_text(checkup))
    if checkup.errors:
        sys.exit(HostUnfit.exit_code)
