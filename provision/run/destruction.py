"""`destroy`: what carries the cluster's stamp is looked for on every host, shown, and taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from provision.base.errors import ConflictError, MeshctlError, Unfinished
from provision.base.events import Warned
from provision.base.parallel import for_each
from provision.inventory import Host
from provision.plan import HostSeen, Removal, removals, staying
from provision.run.engine import World, recorded
from provision.run.lease import leased
from provision.run.stages.removal import refuse_hindrances, seen_for_removal, take_away


def plan_removal(world: World, *, purge: bool) -> tuple[Removal, ...]:
    """What `destroy` would remove. A base image or bundle that somebody else lives on stays, and is warned of.

    Raises ConflictError when something of others hangs on the cluster's own things: nothing was touched then.
    """
    seen = seen_for_removal(world.cluster, world.hypervisors, world.shell)
    for text in staying(world.cluster.owner, seen, purge=purge):
        world.emit(Warned(text))
    return _doomed(world, seen, purge=purge)


def _doomed(world: World, seen: list[tuple[Host, HostSeen]], *, purge: bool) -> tuple[Removal, ...]:
    owner = world.cluster.owner
    doomed = removals(owner, seen, purge=purge)
    refuse_hindrances(world.cluster, seen, doomed)
    attached = {host.name: world.hypervisors[host.name].attachments() for host, _ in seen}
    return tuple(_detailed(removal, attached) for removal in doomed)


def _detailed(removal: Removal, attached: Mapping[str, Mapping[str, tuple[str, ...]]]) -> Removal:
    """A guest's removal, with what goes with it."""
    found = attached[removal.host].get(removal.name, ()) if removal.kind == "guest" else ()
    return replace(removal, detail=f"with {', '.join(found)}") if found else removal


def destroy(
    world: World,
    agreed: tuple[Removal, ...],
    away: Mapping[str, MeshctlError] = MappingProxyType({}),
    *,
    purge: bool = False,
    patience_s: float = 0.0,
) -> None:
    """Removes what was agreed to, holding the hosts: guests first, all of one order at once. A host that fails is left as it is,
    others go on.

    Raises ConflictError, with nothing removed, when what `plan_removal` finds is no longer that; Unfinished when something
    is left, which is warned of, and for hosts that were `away` from the beginning.
    """
    failures, command = dict(away), f"destroy {world.cluster.cluster}"
    with leased(world.hypervisors, world.calls, command, world.emit, patience_s=patience_s), recorded(world, "destroy"):
        if _doomed(world, seen_for_removal(world.cluster, world.hypervisors, world.shell), purge=purge) != agreed:
            raise ConflictError("the world changed since it was shown", hint="run the command again")
        for order in sorted({removal.order for removal in agreed}):
            work = partial(_try, world=world, given_up=frozenset(failures), failures=failures)
            for_each([removal for removal in agreed if removal.order == order], work)
        if failures:
            raise Unfinished("\n".join(error.message for error in failures.values()))


def _try(removal: Removal, world: World, given_up: frozenset[str], failures: dict[str, MeshctlError]) -> None:
    """Removes one thing, unless its host failed before it, and notes a failure."""
    try:
        if removal.host not in given_up:
            return take_away(removal, world.hypervisors[removal.host], world.reached, world.emit)
    except MeshctlError as error:
        failures.setdefault(removal.host, error)
    return world.emit(Warned(f"{removal.host}: {removal.kind} {removal.name} is left"))
