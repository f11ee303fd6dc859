"""meshctl image build, list."""

from __future__ import annotations

import click

from provision.cli.say import say


@click.group()
def image() -> None:
    """Build and list base images."""


@image.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
@click.option("--verbose", "-v", is_flag=True, help="Also show what mmdebstrap says.")
def build(name: str, as_json: bool, verbose: bool) -> None:
    """Build the base image NAME from its recipe, unless it is in the cache. Needs root."""
    from provision.cli.screen import watched
    from provision.images import build as run

    with watched(as_json=as_json, verbose=verbose) as emit:
        path = run(name, emit)
    if not as_json:
        say(str(path))


@image.command(name="list")
def list_() -> None:
    """List the recipes, and where each one's image is."""
    from provision.images import cached, names

    for name in names():
        path = cached(name)
        say(f"{name}\t{path or f'not built: meshctl image build {name}'}")
