"""meshctl locks."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from provision.cli.named import NAME
from provision.cli.say import say


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.option(
    "--break-lock", is_flag=True, help="End the leases that are shown. Only when those runs have really ended."
)
@click.option("--yes", is_flag=True, help="Do not ask for the cluster's name.")
@click.option("--json", "as_json", is_flag=True, help="The leases as JSON on stdout.")
def locks(inventory: str, break_lock: bool, yes: bool, as_json: bool) -> None:
    """Show which run holds which host. One that died is taken over by the next run itself, after 45 s without a sign of it."""
    from provision.cli.session import confirm_by_name, session
    from provision.run import leases

    with session(inventory) as world:
        held = {host: lease for host, lease in leases(world.hypervisors).items() if lease is not None}
        if as_json:
            say(json.dumps({host: asdict(lease) for host, lease in held.items()}, indent=2))
        else:
            say("\n".join(f"{host}: {lease}" for host, lease in held.items()) or "No host is held.")
        if not break_lock or not held:
            return
        if not yes:
            confirm_by_name(world.emit, "End these leases? Type the cluster's name", world.cluster.cluster)
        for host, lease in held.items():
            world.hypervisors[host].drop_lease(lease.uuid)
            say(f"{host}: ended", err=True)
