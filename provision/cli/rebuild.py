"""meshctl rebuild."""

from __future__ import annotations

import click

from provision.cli.named import NAME
from provision.cli.provision import ADOPT, LOCK_TIMEOUT, MAX_UNAVAILABLE, may_be_down
from provision.cli.say import say


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.argument("nodes", nargs=-1, required=True, metavar="NODE…")
@click.option("--keep-data", is_flag=True, help="Keep the nodes' data volumes; else they go with all that is on them.")
@click.option("--yes", is_flag=True, help="Do not ask for the nodes' names.")
@MAX_UNAVAILABLE
@ADOPT
@LOCK_TIMEOUT
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
@click.option("--verbose", "-v", is_flag=True, help="Also show what kubeadm and others say.")
def rebuild(
    inventory: str,
    nodes: tuple[str, ...],
    keep_data: bool,
    yes: bool,
    max_unavailable: int | None,
    adopt: bool,
    lock_timeout: float,
    as_json: bool,
    verbose: bool,
) -> None:
    """Throw nodes away and make them anew, under the same name and address: shows what goes, asks, does it; one worker after the other.

    Each is drained if it is Ready, deleted from Kubernetes, stopped, and its volumes deleted; then it is made, joins, and its mesh is
    proven before the next. The control plane is rebuilt by itself: its state volume is kept, and its cluster goes on from there; of
    one without such a volume the state is copied here first, and put back on the new guest. Killed anywhere, the same command goes on, and
    `provision` too where nothing was copied.
    """
    from datetime import UTC, datetime

    from provision.cli.session import confirm_by_name, session
    from provision.report.plan_text import as_text
    from provision.run import admit, check_names, in_words, plan_rebuild
    from provision.run import rebuild as run

    with session(
        inventory, as_json=as_json, verbose=verbose, logged=True, adopt=adopt, careful=True, resident=True
    ) as whole:
        check_names(whole, nodes)
        world = may_be_down(whole, max_unavailable)
        admit(world)
        agreed = plan_rebuild(world, nodes, keep_data=keep_data)
        say(as_text(agreed.plan), err=True)
        say(in_words(agreed, datetime.now(UTC)), err=True)
        if not yes:
            names = " ".join(nodes)
            confirm_by_name(world.emit, f"Throw away and make anew {names}? Type {names}", names)
        run(world, agreed, patience_s=lock_timeout)
