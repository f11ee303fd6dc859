"""meshctl status."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("inventory", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="The status as JSON on stdout.")
def status(inventory: str, as_json: bool) -> None:
    """Show per guest what libvirt says live, and what Kubernetes and the mesh say."""
    from provision.cli.session import session
    from provision.status import as_text, cluster_status

    with session(inventory) as world:
        found = cluster_status(world)
    click.echo(json.dumps(found.as_data(), indent=2) if as_json else as_text(found))
