"""A plan for some nodes only. Placement, addresses, routes and names are of the whole inventory, so that a limited run makes what the
whole one would. Pure.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace

from provision.base.errors import ConflictError
from provision.inventory import Cluster
from provision.plan.action import Action, Verb
from provision.plan.compare import Plan
from provision.plan.observed import NodeSeen, Observed
from provision.specs import Desired

BY_NODE = ("rebuild", "kubernetes", "boot")
"""Stage, and kind, of the actions that a plan has for every member."""


def check_names(cluster: Cluster, names: Iterable[str]) -> None:
    """Raises ConflictError for a name that is no node of the inventory."""
    known = [node.name for node in cluster.nodes]
    for name in sorted(set(names) - set(known)):
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"its nodes are {', '.join(known)}"
        raise ConflictError(f"--limit {name}: there is no such node in the inventory", hint=hint)


def narrowed(wanted: Desired, names: Collection[str]) -> Desired:
    """What should exist for these nodes, and what they need of their hosts. Members stay whole: every node knows them all."""
    guests = tuple(guest for guest in wanted.guests if guest.node in names)
    hosts = {guest.host for guest in guests}
    return replace(
        wanted,
        pools=tuple(pool for pool in wanted.pools if pool.host in hosts),
        networks=tuple(network for network in wanted.networks if network.host in hosts),
        groups=tuple(group for group in wanted.groups if group.host in hosts),
        volumes=tuple(volume for volume in wanted.volumes if volume.node in names),
        seeds=tuple(seed for seed in wanted.seeds if seed.node in names),
        guests=guests,
    )


def limited(plan: Plan, whole: Plan, cluster: Cluster, observed: Observed, names: Collection[str]) -> Plan:
    """The plan of a narrowed `Desired` without the other members' actions; a note says what `whole` has for those.

    Raises ConflictError when a worker is to join and there is no control plane that it could join, or one that is to be upgraded first.
    """
    joining = [one.name for one in plan.of("kubernetes", "kubeadm join") if one.name in names]
    _require_control_plane(cluster, observed, joining, names)
    _require_version(cluster, observed, joining, plan.desired.kubernetes, names)
    kept = tuple(one for one in plan.actions if _belongs(one, names) or (joining and _makes_known(one, observed)))
    kept = tuple(_mesh(one, cluster, joining, names) if one.stage == "mesh" else one for one in kept)
    deeds = {action.deed for action in kept if action.verb is not Verb.LEAVE}
    left = [action for action in whole.changes if action.deed not in deeds]
    notes = (_note(left, whole.desired),) if left else ()
    return replace(plan, actions=kept, notes=(*plan.notes, *notes), limit=frozenset(names))


def _belongs(action: Action, names: Collection[str]) -> bool:
    return action.name in names or not (action.stage in BY_NODE or action.kind in BY_NODE)


def _makes_known(action: Action, observed: Observed) -> bool:
    """Whether it gives a member its routes and names: all get those of a node that joins, or what it serves is not reached."""
    seen = observed.nodes.get(action.name, NodeSeen())
    return action.kind == "node software" and seen.member


def _mesh(action: Action, cluster: Cluster, joining: list[str], names: Collection[str]) -> Action:
    """The mesh's objects are the cluster's: they go with the control plane. Without it only the pods of who joins are waited for."""
    if joining and cluster.control_plane.name not in names:
        return replace(action, verb=Verb.CHANGE, reason=f"its pods start on {', '.join(joining)}")
    if cluster.control_plane.name in names or action.verb is Verb.LEAVE:
        return action
    return replace(
        action, verb=Verb.LEAVE, reason=f"goes with {cluster.control_plane.name}, which --limit does not name"
    )


def _require_control_plane(cluster: Cluster, observed: Observed, joining: list[str], names: Collection[str]) -> None:
    control_plane = cluster.control_plane.name
    seen = observed.nodes.get(control_plane, NodeSeen())
    if joining and not _serving(cluster, observed) and control_plane not in names:
        why = seen.unreachable or "it is no control plane yet"
        raise ConflictError(
            f"{', '.join(joining)} cannot join: {control_plane}: {why}",
            hint=f"--limit {control_plane} too, or without --limit",
        )


def _serving(cluster: Cluster, observed: Observed) -> str:
    return observed.first_member(node.name for node in cluster.control_planes)


def _require_version(
    cluster: Cluster, observed: Observed, joining: list[str], version: str, names: Collection[str]
) -> None:
    """A kubelet must not be newer than the API server (Kubernetes' version skew policy)."""
    control_plane = _serving(cluster, observed) or cluster.control_plane.name
    found = observed.nodes.get(control_plane, NodeSeen()).version
    if joining and control_plane not in names and found not in ("", version):
        raise ConflictError(
            f"{', '.join(joining)} cannot join with Kubernetes {version} while {control_plane} has {found}",
            hint="`meshctl provision` upgrades the cluster, the control plane first",
        )


def _note(left: Iterable[Action], wanted: Desired) -> str:
    owners = {volume.name: volume.node for volume in wanted.volumes} | {seed.name: seed.node for seed in wanted.seeds}
    nodes = {member.name for member in wanted.members}
    kinds: dict[str, dict[str, None]] = defaultdict(dict)
    for action in left:
        where = owners.get(action.name, action.name if action.name in nodes else action.where)
        kinds[where][action.kind] = None
    said = "; ".join(f"{where}: {', '.join(found)}" for where, found in kinds.items())
    return f"--limit leaves what is pending elsewhere: {said}"
