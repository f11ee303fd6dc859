"""meshctl cordon, drain, uncordon, restart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING

import click

from provision.cli.access import UNSEEN
from provision.cli.named import NAME
from provision.cli.provision import ADOPT, LOCK_TIMEOUT, MAX_UNAVAILABLE, may_be_down
from provision.cli.say import say

if TYPE_CHECKING:
    from provision.kubernetes import Eviction
    from provision.run import Standing, World

Command = Callable[..., None]


def _on_nodes(command: Command) -> Command:
    """What all commands take that change nodes."""
    shared: tuple[Callable[[Command], Command], ...] = (
        click.argument("inventory", type=click.Path()),
        NAME,
        click.argument("nodes", nargs=-1, required=True, metavar="NODE…"),
        ADOPT,
        LOCK_TIMEOUT,
        click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout."),
    )
    return reduce(lambda made, option: option(made), reversed(shared), command)


@click.command()
@_on_nodes
def cordon(inventory: str, nodes: tuple[str, ...], adopt: bool, lock_timeout: float, as_json: bool) -> None:
    """Let nodes take no new pods; those that are there stay. Only `uncordon` takes it back: `provision` and `restart` do not."""
    from provision.cli.session import seeing, session
    from provision.run import check_names, cordon_nodes

    with session(inventory, as_json=as_json, logged=True, adopt=adopt, careful=True) as whole:
        check_names(whole, nodes)
        cordon_nodes(seeing(whole, UNSEEN)[0], nodes, patience_s=lock_timeout)


@click.command()
@_on_nodes
def uncordon(inventory: str, nodes: tuple[str, ...], adopt: bool, lock_timeout: float, as_json: bool) -> None:
    """Let nodes take pods again."""
    from provision.cli.session import seeing, session
    from provision.run import check_names, uncordon_nodes

    with session(inventory, as_json=as_json, logged=True, adopt=adopt, careful=True) as whole:
        check_names(whole, nodes)
        uncordon_nodes(seeing(whole, UNSEEN)[0], nodes, patience_s=lock_timeout)


@click.command()
@_on_nodes
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also evict pods that nothing makes anew.")
@click.option(
    "--delete-emptydir-data", "--delete-local-data", "empty", is_flag=True,
    help="Also evict pods with an emptyDir, whose content is lost.",
)  # fmt: skip
@click.option(
    "--timeout", "within_s", type=click.FloatRange(1), default=600.0, metavar="SECONDS", show_default=True,
    help="How long the pods of one node have to go.",
)  # fmt: skip
def drain(
    inventory: str,
    nodes: tuple[str, ...],
    yes: bool,
    force: bool,
    empty: bool,
    within_s: float,
    adopt: bool,
    lock_timeout: float,
    as_json: bool,
) -> None:
    """Cordon nodes and evict their pods, but for those of DaemonSets: shows which, asks, does it.

    PodDisruptionBudgets are respected: what holds a pod is named. Only `uncordon` takes it back.
    """
    from provision.cli.session import confirm, seeing, session
    from provision.run import check_names, drain_nodes, to_evict

    with session(inventory, as_json=as_json, logged=True, adopt=adopt, careful=True) as whole:
        check_names(whole, nodes)
        world = seeing(whole, UNSEEN)[0]
        found = to_evict(world, nodes)
        pods = [pod for some in found.values() for pod in some]
        for node in nodes:
            say(_evicted(node, found[node]), err=True)
        _refuse_losses(pods, force=force, empty=empty)
        if pods and not yes:
            confirm(world.emit, f"Evict {len(pods)} pod(s) from {', '.join(nodes)}?")
        drain_nodes(world, nodes, patience_s=lock_timeout, within_s=within_s, orphans=force, local_data=empty)


def _evicted(node: str, pods: Sequence[Eviction]) -> str:
    head = f"{node}: evicts" if pods else f"{node}: no pod to evict"
    return "\n".join([head, *(f"  - {pod}" for pod in pods)])


def _refuse_losses(pods: Iterable[Eviction], *, force: bool, empty: bool) -> None:
    """As kubectl has it: what is lost for good goes by a word of its own only."""
    from provision.base.errors import ConflictError

    lost = [pod for pod in pods if (pod.orphan and not force) or (pod.local_data and not empty)]
    if lost:
        words = ["--force"] * any(pod.orphan and not force for pod in lost)
        words += ["--delete-emptydir-data"] * any(pod.local_data and not empty for pod in lost)
        raise ConflictError(
            "nothing was changed, as more than a place would be lost:\n" + "\n".join(f"  {pod}" for pod in lost),
            hint=f"{' '.join(words)} lets them go all the same",
        )


@click.command()
@_on_nodes
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--force", is_flag=True, help="Stop hard what does not shut down in time; do not empty first what does not answer."
)
@MAX_UNAVAILABLE
def restart(
    inventory: str,
    nodes: tuple[str, ...],
    yes: bool,
    force: bool,
    max_unavailable: int | None,
    adopt: bool,
    lock_timeout: float,
    as_json: bool,
) -> None:
    """Start nodes anew: cordon, drain, shut down, start, Ready, a request through its mesh, uncordon; then the next.

    Workers before the control plane, which goes down last and alone, and is not drained. A node that somebody has cordoned stays
    so. One that does not shut down within 5 minutes is left running, and the run ends there.
    """
    from provision.cli.session import confirm, seeing, session
    from provision.run import check_names, check_running, restart_nodes, standing, to_evict

    with session(inventory, as_json=as_json, logged=True, adopt=adopt, careful=True) as whole:
        check_names(whole, nodes)
        world = may_be_down(seeing(whole, UNSEEN)[0], max_unavailable)
        guests = [standing(world, node) for node in nodes]
        check_running(guests)
        planes = {node.name for node in world.cluster.control_planes}
        workers = [node for node in nodes if node not in planes]
        say(_in_turn(world, guests, to_evict(world, workers) if workers else {}), err=True)
        if not yes:
            confirm(world.emit, f"Start {', '.join(nodes)} anew?")
        restart_nodes(world, guests, patience_s=lock_timeout, force=force)


def _in_turn(world: World, guests: Sequence[Standing], evicted: Mapping[str, Sequence[Eviction]]) -> str:
    """What a restart does, in its order."""
    last, lines = {node.name for node in world.cluster.control_planes}, list[str]()
    at_once = min(world.cluster.kubernetes.max_unavailable, sum(guest.node not in last for guest in guests))
    away = (
        "the API is away meanwhile" if len(last) == 1 else "the API is away for seconds, if it had the virtual address"
    )
    for guest in sorted(guests, key=lambda guest: guest.node in last):
        if guest.node in last:
            lines.append(f"  ~ {guest.node} on {guest.host}: started anew, last and alone; {away}")
        else:
            lines.append(
                f"  ~ {guest.node} on {guest.host}: drained, started anew" + f", {at_once} at once" * (at_once > 1)
            )
            lines += [f"      - {pod}" for pod in evicted[guest.node]]
    return "\n".join(lines)
