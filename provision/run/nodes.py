"""What a person does to single nodes: no new pods, emptied, pods again, started anew. Changes are made under the lease."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from provision.base.errors import ConflictError, InventoryError, Unreachable
from provision.base.events import Warned
from provision.guests import Ssh
from provision.kubernetes import (
    DRAIN_S,
    Eviction,
    Kubectl,
    cordon,
    disown,
    drain,
    evictions,
    kubectl_for,
    uncordon,
)
from provision.libvirt_xml import DomainSeen, judged_domains
from provision.run.access import asked, check_name, node_target
from provision.run.engine import World
from provision.run.lease import leased
from provision.run.site import recorded
from provision.run.stages.guests import settle
from provision.run.stages.rolling import in_turn
from provision.specs import domain_name, volume_name


@dataclass(frozen=True)
class Standing:
    """A guest as it stands on a host, found by its stamp; without a plan. `why_not` says why it does not run, empty when it does."""

    node: str
    host: str
    domain: str
    pool: str
    console_path: str
    why_not: str = ""


def standing(world: World, node: str) -> Standing:
    """A node's guest. Raises InventoryError for a name that is not in the inventory, and Unreachable where no host has a guest of it."""
    check_name(world.cluster, node)
    cluster, name = world.cluster, domain_name(world.cluster.cluster, node)
    for host, door in world.hypervisors.items():
        for domain in judged_domains(cluster.owner, door.domains()):
            if domain.name == name and domain.stamp is not None:
                pool = cluster.host(host).pool
                console = f"{pool.path}/{volume_name(cluster.owner, node, 'console', 'log')}"
                return Standing(node, host, name, pool.name, console, _why_not(domain))
    raise Unreachable(
        f"{node}: no host that answers has a guest {name} with our stamp", hint="`meshctl provision` makes it"
    )


def _why_not(domain: DomainSeen) -> str:
    return domain.halted or ("" if domain.active else "shut off: `meshctl provision` starts it")


def check_names(world: World, nodes: Sequence[str]) -> None:
    """Raises InventoryError, with the nearest name, for the first that the inventory does not have, or that is said twice."""
    for node in nodes:
        check_name(world.cluster, node)
        if nodes.count(node) > 1:
            raise InventoryError(f"node {node} is named twice")


def to_evict(world: World, nodes: Sequence[str]) -> Mapping[str, tuple[Eviction, ...]]:
    """Which pods go when nodes are drained now."""
    kubectl = _kubectl(world)
    return {node: evictions(kubectl, node) for node in nodes}


def cordon_nodes(world: World, nodes: Sequence[str], *, patience_s: float) -> None:
    """Lets nodes take no new pods, until somebody says otherwise."""
    with _held(world, "cordon", patience_s):
        kubectl = _kubectl(world)
        for node in nodes:
            _by_a_person(world, node)
            cordon(kubectl, node, world.emit)


def uncordon_nodes(world: World, nodes: Sequence[str], *, patience_s: float) -> None:
    """Lets nodes take pods again, whoever had kept them from it."""
    with _held(world, "uncordon", patience_s):
        kubectl = _kubectl(world)
        for node in nodes:
            uncordon(kubectl, node, world.emit)
            _by_a_person(world, node)


def drain_nodes(
    world: World,
    nodes: Sequence[str],
    *,
    patience_s: float,
    within_s: float = DRAIN_S,
    orphans: bool = False,
    local_data: bool = False,
) -> None:
    """Empties nodes, one after the other, as `drain` says; all are cordoned first, so that no pod goes from one to the next."""
    with _held(world, "drain", patience_s):
        kubectl = _kubectl(world)
        for node in nodes:
            _by_a_person(world, node)
            cordon(kubectl, node, world.emit)
        for node in nodes:
            drain(kubectl, node, world.emit, within_s=within_s, orphans=orphans, local_data=local_data)


def restart_nodes(world: World, guests: Sequence[Standing], *, patience_s: float, force: bool = False) -> None:
    """Starts guests anew as `in_turn` says: each is emptied, back and proven before the next goes down."""
    with _held(world, "restart", patience_s):
        ways = world.ways()
        in_turn(guests, ways.shells(), ways, settle, force=force)


def check_running(guests: Sequence[Standing]) -> None:
    """Raises ConflictError, naming each, when a guest does not run: to start one is another thing than to start it anew."""
    if halted := [f"  {one.host}: guest {one.node} is {one.why_not}" for one in guests if one.why_not]:
        raise ConflictError("guests that do not run cannot be started anew:\n" + "\n".join(halted))


@contextmanager
def _held(world: World, command: str, patience_s: float) -> Iterator[None]:
    title = f"{command} {world.cluster.cluster}"
    with leased(world.hypervisors, world.calls, title, world.emit, patience_s=patience_s), recorded(world, command):
        yield


def _shell(world: World, node: str) -> Ssh:
    return world.sessions.to(node_target(world, node))


def _kubectl(world: World) -> Kubectl:
    return kubectl_for(world.cluster.kubernetes.generation, _shell(world, asked(world)))


def _by_a_person(world: World, node: str) -> None:
    """What an ended run has left drained is a person's from now on. One that does not answer is left with its mark, which is said."""
    try:
        if why_not := standing(world, node).why_not:
            raise Unreachable(f"{node} is {why_not}")
        disown(_shell(world, node))
    except Unreachable as error:
        world.emit(
            Warned(f"{error.message}: if an ended run has left it drained, the next `provision` takes that back")
        )
