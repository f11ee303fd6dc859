"""`gc`: clusters whose time is over and artifacts that nobody uses are looked for on hosts, shown, and taken away.

All by the machinery of `destroy`; a cluster of which something cannot be known without its inventory is left to that.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from provision.base.errors import HypervisorError, MeshctlError
from provision.base.events import Emit, Warned
from provision.base.parallel import for_each
from provision.hosts import abandoned
from provision.inventory import Host
from provision.plan import Removal, garbage, removals
from provision.plan.clusters import ClusterSeen, Machine
from provision.run.destruction import carry_out, unfinished
from provision.run.gathering import Ground, Sight, look_around
from provision.run.lease import leased
from provision.run.site import Found, Site, recorded
from provision.run.stages.removal import refuse_hindrances, seen_for_removal
from provision.specs import Owner
from provision.storage import Pool


@dataclass(frozen=True)
class Doomed:
    """An expired cluster and all that it has, in the order in which it goes."""

    cluster: ClusterSeen
    hosts: tuple[Host, ...]
    removals: tuple[Removal, ...]


@dataclass(frozen=True)
class Garbage:
    """What `gc` takes away; `left` are expired clusters that it must leave, and why."""

    doomed: tuple[Doomed, ...]
    left: tuple[tuple[ClusterSeen, str], ...]
    artifacts: tuple[Removal, ...]

    @property
    def removals(self) -> tuple[Removal, ...]:
        """All that goes."""
        return (*(removal for one in self.doomed for removal in one.removals), *self.artifacts)


def plan_gc(on: Ground, keep_s: float, emit: Emit) -> tuple[Garbage, Sight]:
    """What is garbage on these hosts now, and what was seen there.

    `keep_s`: base images and bundles stay for so long after they were sent.
    """
    sight, now_s = look_around(on, needs=True), time.time()
    doomed, left = [], []
    for cluster in sight.clusters:
        if cluster.expired(now_s):
            one = _doomed(cluster, on, sight, emit)
            left.append((cluster, one)) if isinstance(one, str) else doomed.append(one)
    going = [one.cluster for one in doomed]
    artifacts = [
        removal
        for host, machine in sight.machines.items()
        for removal in garbage.unused(host, machine, going, _abandoned(on, host, machine), now_s, keep_s)
    ]
    return Garbage(tuple(doomed), tuple(left), tuple(artifacts)), sight


def _doomed(cluster: ClusterSeen, on: Ground, sight: Sight, emit: Emit) -> Doomed | str:
    """What goes with a cluster, or why it must be left."""
    if why := garbage.hindrance(cluster, sight.silent):
        return why
    hosts = tuple(
        _with_pool(host, cluster, sight.machines[host.name]) for host in on.hosts if host.name in cluster.parts
    )
    site = _site(cluster.owner, hosts, on, emit)
    try:
        seen = seen_for_removal(site.cluster, site.hypervisors, site.shell)
        found = removals(cluster.owner, seen, purge=False)
        refuse_hindrances(site.cluster, seen, found)
    except MeshctlError as error:
        return error.message
    return Doomed(cluster, hosts, tuple(replace(one, order=garbage.resumable(one)) for one in found))


def _with_pool(host: Host, cluster: ClusterSeen, machine: Machine) -> Host:
    """A host with the pool that the cluster's stamps name, as libvirt has it: whether it may be one was judged when it was made."""
    pool = next(one for one in machine.pools if one.name == cluster.parts[host.name].upkeep.pool)
    return host.model_copy(update={"pool": Pool.model_construct(name=pool.name, path=pool.path)})


def _site(owner: Owner, hosts: tuple[Host, ...], on: Ground, emit: Emit) -> Site:
    return Site(Found(owner, hosts), emit, on.calls, {host.name: on.doors[host.name] for host in hosts})


def _abandoned(on: Ground, host: str, machine: Machine) -> dict[str, frozenset[str]]:
    return {pool: abandoned(on.doors[host], volumes) for pool, volumes in machine.volumes.items()}


def collect(on: Ground, agreed: Garbage, keep_s: float, emit: Emit, *, patience_s: float = 0.0) -> None:
    """Takes away what was agreed to and still is garbage, holding its hosts; of what is none any longer that is said.

    Raises Unfinished when something is left.
    """
    failures: dict[str, MeshctlError] = {}
    held = {removal.host for removal in agreed.removals}
    doors = {host.name: on.doors[host.name] for host in on.hosts if host.name in held}
    here = Ground(tuple(host for host in on.hosts if host.name in held), doors, on.calls)
    site = _site(Owner("all hosts"), here.hosts, on, emit)
    with leased(doors, on.calls, "gc", emit, patience_s=patience_s), recorded(site, "gc"):
        now, _ = plan_gc(here, keep_s, emit)
        for one in _still(agreed, now, emit):
            _take_away(one, on, emit, failures)
        there = {(removal.host, removal.pool, removal.name) for removal in now.artifacts}
        artifacts = [one for one in agreed.artifacts if (one.host, one.pool, one.name) in there]
        carry_out(site, artifacts, failures)
    if failures:
        raise unfinished(failures)


def _still(agreed: Garbage, now: Garbage, emit: Emit) -> Iterable[Doomed]:
    found: Mapping[Owner, Doomed] = {one.cluster.owner: one for one in now.doomed}
    for one in agreed.doomed:
        again = found.get(one.cluster.owner)
        if again is not None and again.removals == one.removals:
            yield again
        else:
            emit(Warned(f"cluster {one.cluster.owner.cluster} is no longer as it was shown: it is left"))


def _take_away(one: Doomed, on: Ground, emit: Emit, failures: dict[str, MeshctlError]) -> None:
    """A cluster, guests stopped first: what they have open is deleted before they are."""
    site = _site(one.cluster.owner, one.hosts, on, emit)

    def stop(removal: Removal) -> None:
        try:
            on.doors[removal.host].stop_domain(removal.name)
        except HypervisorError as error:
            failures.setdefault(removal.host, error)

    for_each([removal for removal in one.removals if removal.kind == "guest"], stop)
    carry_out(site, one.removals, failures)
