"""`destroy`: what carries the cluster's stamp is looked for on every host, shown, and taken away."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from provision.base.errors import ConflictError, MeshctlError, Unfinished
from provision.base.events import Warned
from provision.base.parallel import for_each
from provision.inventory import Host
from provision.plan import HostSeen, Removal, removals, staying
from provision.run.lease import leased
from provision.run.site import Site, recorded
from provision.run.stages.removal import refuse_hindrances, seen_for_removal, take_away


def plan_removal(site: Site, *, purge: bool) -> tuple[Removal, ...]:
    """What `destroy` would remove. A base image or bundle that somebody else lives on stays, and is warned of.

    Raises ConflictError when something of others hangs on the cluster's own things: nothing was touched then.
    """
    seen = seen_for_removal(site.cluster, site.hypervisors, site.shell)
    for text in staying(site.cluster.owner, seen, purge=purge):
        site.emit(Warned(text))
    return _doomed(site, seen, purge=purge)


def _doomed(site: Site, seen: list[tuple[Host, HostSeen]], *, purge: bool) -> tuple[Removal, ...]:
    owner = site.cluster.owner
    doomed = removals(owner, seen, purge=purge)
    refuse_hindrances(site.cluster, seen, doomed)
    attached = {host.name: site.hypervisors[host.name].attachments() for host, _ in seen}
    return tuple(_detailed(removal, attached) for removal in doomed)


def _detailed(removal: Removal, attached: Mapping[str, Mapping[str, tuple[str, ...]]]) -> Removal:
    """A guest's removal, with what goes with it."""
    found = attached[removal.host].get(removal.name, ()) if removal.kind == "guest" else ()
    return replace(removal, detail=f"with {', '.join(found)}") if found else removal


def destroy(
    site: Site,
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
    failures, command = dict(away), f"destroy {site.cluster.owner.cluster}"
    with leased(site.hypervisors, site.calls, command, site.emit, patience_s=patience_s), recorded(site, "destroy"):
        if _doomed(site, seen_for_removal(site.cluster, site.hypervisors, site.shell), purge=purge) != agreed:
            raise ConflictError("the world changed since it was shown", hint="run the command again")
        carry_out(site, agreed, failures)
        if failures:
            raise unfinished(failures)


def carry_out(site: Site, agreed: Collection[Removal], failures: dict[str, MeshctlError]) -> None:
    """Removes things, all of one order at once; a host that fails is noted in `failures`, and left as it is."""
    for order in sorted({removal.order for removal in agreed}):
        work = partial(_try, site=site, given_up=frozenset(failures), failures=failures)
        for_each([removal for removal in agreed if removal.order == order], work)


def unfinished(failures: Mapping[str, MeshctlError]) -> Unfinished:
    """What is left, and why."""
    return Unfinished("\n".join(error.message for error in failures.values()))


def _try(removal: Removal, site: Site, given_up: frozenset[str], failures: dict[str, MeshctlError]) -> None:
    """Removes one thing, unless its host failed before it, and notes a failure."""
    try:
        if removal.host not in given_up:
            return take_away(removal, site.hypervisors[removal.host], site.reached, site.emit)
    except MeshctlError as error:
        failures.setdefault(removal.host, error)
    return site.emit(Warned(f"{removal.host}: {removal.kind} {removal.name} is left"))
