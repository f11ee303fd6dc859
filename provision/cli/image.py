"""meshctl image build, bake, list."""

from __future__ import annotations

from functools import partial

import click

from provision.cli.named import NAME
from provision.cli.provision import ADOPT, LOCK_TIMEOUT
from provision.cli.say import say

STAGES = ("hosts", "images", "networks", "rebuild", "volumes", "guests", "loading", "cleaning", "image")
"""The names of `run.stages.baking`, written out because that loads libvirt, which --help does without; a test holds both to each other."""


@click.group()
def image() -> None:
    """Build, bake and list base images."""


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


@image.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.option(
    "--host", metavar="HOST", help="Where the guest runs meanwhile; default: the control plane's host, or the first."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@ADOPT
@LOCK_TIMEOUT
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
@click.option("--verbose", "-v", is_flag=True, help="Also show what others say.")
def bake(
    inventory: str,
    host: str | None,
    yes: bool,
    dry_run: bool,
    adopt: bool,
    lock_timeout: float,
    as_json: bool,
    verbose: bool,
) -> None:
    """Boot the inventory's base image once, load the bundle into it, and keep its disk: new nodes begin with that. Experimental.

    The guest is one of its own, in a network of its own, and is gone at the end. Guests that there are keep what they have.
    """
    from provision.cli.session import confirm, session
    from provision.inventory import golden
    from provision.run import admit, plan_bake
    from provision.run import bake as run

    beside = partial(golden, host=host)
    with session(
        inventory,
        as_json=as_json,
        verbose=verbose,
        logged=True,
        stages=STAGES,
        adopt=adopt,
        careful=True,
        beside=beside,
    ) as world:
        agreed = plan_bake(world)
        if agreed.done is not None:
            say(f"{agreed.done.path} is that already; to bake it anew, remove it first", err=True)
        else:
            admit(world)
            say(agreed.as_text(), err=True)
            if dry_run:
                return
            if not yes:
                confirm(world.emit, "Bake this image?")
        made = run(world, agreed, patience_s=lock_timeout)
    if not as_json:
        say(str(made.path))


@image.command(name="list")
def list_() -> None:
    """List the recipes, where each one's image is, and the images that were baked."""
    from provision.images import all_baked, cached, names

    for name in names():
        path = cached(name)
        say(f"{name}\t{path or f'not built: meshctl image build {name}'}")
    for one in all_baked():
        of = one.origin
        made = f"baked {one.at} of base image {of.base_sha256[:12]} and bundle {of.bundle_digest[:12]}"
        say(f"{of.image} with Kubernetes {of.kubernetes}\t{one.path}\t{made}")
