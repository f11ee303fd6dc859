"""`renew`: certificates that end before long are renewed, node by node, the control plane first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from provision.base.events import Warned
from provision.base.parallel import for_each
from provision.guests import Ssh, target
from provision.kubernetes import Expiry, expiries, kubectl_for, profile_for
from provision.kubernetes.profile import Profile
from provision.kubernetes.renewal import lapsed, renew_control_plane, renew_worker, unfinished
from provision.run.access import node_target
from provision.run.engine import World
from provision.run.lease import leased
from provision.run.site import recorded
from provision.run.status import table

LEFT_DAYS = 110
"""30 % of the year that kubeadm signs for: kubelets renew theirs when 10 to 30 % is left, cert-manager at a third."""

AUTHORITIES = frozenset({"ca", "front-proxy-ca", "etcd/ca"})
"""By their names among `expiries`. They live ten years, and all that they signed ends with them: nobody renews those."""

DERIVED = frozenset({"kubelet-client"})
"""1.5: taken out of kubelet.conf at each start of the kubelet."""

Seen = Mapping[str, tuple[Expiry, ...]]


@dataclass(frozen=True)
class Renewals:
    """Certificates of each node as they are, and the nodes whose are to be renewed, the control plane first."""

    seen: Seen
    nodes: tuple[str, ...] = field(default=())

    def as_text(self, after: Seen | None = None) -> str:
        """A table; with `after`, how they are now beside how they were."""
        head = ("NODE", "CERTIFICATE", "EXPIRES", *(("NOW",) if after is not None else ()))
        return "\n".join(table([head, *self._rows(after)]))

    def _rows(self, after: Seen | None) -> Iterator[tuple[str, ...]]:
        for node, found in self.seen.items():
            now = {one.name: _end(one) for one in (after or {}).get(node, ())}
            for one in found:
                yield (node, one.name, _end(one), *((now.get(one.name, "gone"),) if after is not None else ()))


def _end(one: Expiry) -> str:
    return f"{one.at:%Y-%m-%d} ({one.days} days)" if one.at else "cannot be read"


def plan_renewal(world: World, *, left_days: int = LEFT_DAYS, force: bool = False) -> Renewals:
    """Which nodes' certificates end within so many days, or all with `force`. Warns of authorities, which are not renewed."""
    shells, profile = _shells(world), profile_for(world.cluster.kubernetes.generation)
    seen = dict(zip(shells, for_each(shells.values(), partial(_certificates, profile)), strict=True))
    for node, found in seen.items():
        for one in found:
            if one.name in AUTHORITIES and one.days < left_days:
                world.emit(
                    Warned(f"{node}: the authority {one}: it is not renewed", "make the cluster anew before that")
                )
    begun = dict(zip(shells, for_each(shells.values(), unfinished), strict=True))
    control_plane = world.cluster.control_plane.name
    ours = {control_plane, *(shells if profile.renewal.worker else ())}
    nodes = [
        node
        for node, found in seen.items()
        if begun[node]
        or lapsed(profile.renewal, found)
        or (node in ours and (force or any(_due(one, left_days) for one in found)))
    ]
    return Renewals(seen, tuple(nodes))


def _shells(world: World) -> dict[str, Ssh]:
    """A session to each node that is there, the control plane first. Raises Unreachable when that is not."""
    domains, control_plane = world.domains(), world.cluster.control_plane.name
    there = {d.stamp.node for d in domains if d.active and world.cluster.owner.owns(d.stamp)}
    first = world.sessions.to(node_target(world, control_plane, domains))
    others = [node.name for node in world.cluster.workers if node.name in there]
    return {control_plane: first} | {name: world.sessions.to(target(world.cluster, name, domains)) for name in others}


def _certificates(profile: Profile, shell: Ssh) -> tuple[Expiry, ...]:
    return tuple(one for one in expiries(shell, *profile.renewal.rotating) if one.name not in DERIVED)


def _due(one: Expiry, left_days: int) -> bool:
    return one.name not in AUTHORITIES and not one.name.startswith("/") and one.days < left_days


def renew(world: World, agreed: Renewals, *, patience_s: float = 0.0) -> Seen:
    """Renews the certificates of the nodes that were agreed to, holding the hosts; gives how all are then."""
    command, shells = f"renew {world.cluster.cluster}", _shells(world)
    generation, control_plane = world.cluster.kubernetes.generation, shells[world.cluster.control_plane.name]
    profile, kubectl = profile_for(generation), kubectl_for(generation, control_plane)
    with leased(world.hypervisors, world.calls, command, world.emit, patience_s=patience_s), recorded(world, "renew"):
        for node in agreed.nodes:
            over = lapsed(profile.renewal, agreed.seen[node])
            if shells[node] is control_plane:
                renew_control_plane(control_plane, profile.renewal, kubectl, world.emit, over)
            else:
                holders = (*profile.renewal.worker, *over)
                renew_worker(shells[node], holders, control_plane, profile.renewal, kubectl, world.emit)
    return dict(zip(shells, for_each(shells.values(), partial(_certificates, profile)), strict=True))
