"""`renew`: certificates that end before long are renewed, node by node, the control plane first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from provision.base.events import Warned
from provision.base.parallel import for_each
from provision.guests import Ssh, target
from provision.kubernetes import Expiry, await_serving, expiries, kubectl_for, profile_for
from provision.kubernetes.profile import Profile
from provision.kubernetes.renewal import lapsed, renew_worker, sign_control_plane, start_control_plane, unfinished
from provision.run.access import node_target
from provision.run.engine import World
from provision.run.lease import leased
from provision.run.site import recorded
from provision.run.status import table

LEFT_DAYS = 110
"""30 % of the year that kubeadm signs for: kubelets renew theirs when 10 to 30 % is left, cert-manager at a third."""

SERVES_S = 900.0
"""As a node that was started anew is waited for."""

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
    planes = {node.name for node in world.cluster.control_planes}
    ours = {*planes, *(shells if profile.renewal.worker else ())}
    nodes = [
        node
        for node, found in seen.items()
        if begun[node]
        or lapsed(profile.renewal, found)
        or (node in ours and (force or any(_due(one, left_days) for one in found)))
    ]
    return Renewals(seen, tuple(nodes))


def _shells(world: World) -> dict[str, Ssh]:
    """A session to each node that is there, the control planes first. Raises Unreachable when one of these is not: what is renewed of
    one is renewed of all.
    """
    domains = world.domains()
    there = {d.stamp.node for d in domains if d.active and world.cluster.owner.owns(d.stamp)}
    first = {one.name: world.sessions.to(node_target(world, one.name, domains)) for one in world.cluster.control_planes}
    others = [node.name for node in world.cluster.workers if node.name in there]
    return first | {name: world.sessions.to(target(world.cluster, name, domains)) for name in others}


def _certificates(profile: Profile, shell: Ssh) -> tuple[Expiry, ...]:
    return tuple(one for one in expiries(shell, *profile.renewal.rotating) if one.name not in DERIVED)


def _due(one: Expiry, left_days: int) -> bool:
    return one.name not in AUTHORITIES and not one.name.startswith("/") and one.days < left_days


def renew(world: World, agreed: Renewals, *, patience_s: float = 0.0) -> Seen:
    """Renews the certificates of the nodes that were agreed to, holding the hosts; gives how all are then."""
    command, shells = f"renew {world.cluster.cluster}", _shells(world)
    generation, first = world.cluster.kubernetes.generation, shells[world.cluster.control_plane.name]
    profile, planes = profile_for(generation), {node.name for node in world.cluster.control_planes}
    with leased(world.hypervisors, world.calls, command, world.emit, patience_s=patience_s), recorded(world, "renew"):
        over = {node: lapsed(profile.renewal, agreed.seen[node]) for node in agreed.nodes}
        # First on all: etcds whose certificates have expired do not speak with each other, so that one which is started anew would wait
        # for a majority in vain. They read their files at each handshake (etcd 3.4, pkg/transport).
        for node in filter(planes.__contains__, agreed.nodes):
            sign_control_plane(shells[node], profile.renewal, world.emit, over[node])
        for node in agreed.nodes:
            if node in planes:
                own = kubectl_for(generation, shells[node])
                start_control_plane(shells[node], profile.renewal, own, world.emit)
                if len(planes) > 1:  # the next one's etcd goes away too for a moment
                    await_serving(shells[node], generation, world.emit, within_s=SERVES_S)
            else:
                holders, kubectl = (*profile.renewal.worker, *over[node]), kubectl_for(generation, first)
                renew_worker(shells[node], holders, first, profile.renewal, kubectl, world.emit)
    return dict(zip(shells, for_each(shells.values(), partial(_certificates, profile)), strict=True))
