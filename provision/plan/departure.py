"""Guests of ours that the inventory no longer has. They stay members of the cluster, with their routes, until they are taken away by
name: a line that was deleted by mistake must not cost a node. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from provision.base.errors import ConflictError
from provision.inventory import Cluster, pod_subnet
from provision.plan.action import Action, Verb
from provision.plan.compare import Plan
from provision.plan.observed import HostSeen, Observed
from provision.plan.removal import removals
from provision.specs import Member

STAGE = "removal"


def leaving(cluster: Cluster, hosts: Mapping[str, HostSeen]) -> tuple[Member, ...]:
    """Those guests, as members of the cluster that they still are, from their stamps."""
    names = {node.name for node in cluster.nodes}
    stamps = [
        (host, domain.stamp)
        for host, seen in hosts.items()
        for domain in seen.domains
        if cluster.owner.owns(domain.stamp) and domain.stamp.node not in names
    ]
    pod_cidr = cluster.kubernetes.pod_cidr
    return tuple(
        Member(
            stamp.node,
            # Only a control plane's stamp has an endpoint, and without one there is a single control plane, which never leaves.
            "control-plane" if stamp.endpoint else "worker",
            host,
            stamp.address,
            stamp.pod_subnet or pod_subnet(cluster.network, pod_cidr, stamp.address),
        )
        for host, stamp in stamps
    )


def taking_away(plan: Plan, cluster: Cluster, observed: Observed, names: Collection[str]) -> Plan:
    """The plan with the removal of the named guests, and a note for each other one that leaves.

    Raises ConflictError for a name that is not one of them, or while no control plane of the inventory could drain it.
    """
    there = {member.name: member for member in plan.desired.leaving}
    for name in sorted(set(names) - set(there)):
        raise _not_leaving(name, cluster, there)
    control_plane = cluster.control_plane.name
    if names and not observed.first_member(node.name for node in cluster.control_planes):
        raise ConflictError(
            f"{control_plane} is no control plane yet, so nothing can be drained: {', '.join(sorted(names))} may be the cluster's last one",
            hint=f"`meshctl provision` without --remove makes {control_plane} first, or says why it cannot be reached",
        )
    actions = tuple(_action(there[name], cluster, observed) for name in sorted(names))
    notes = tuple(_note(member) for name, member in there.items() if name not in names)
    return replace(plan, actions=plan.actions + actions, notes=plan.notes + notes)


def with_pods(plan: Plan, pods: Mapping[str, Collection[str]]) -> Plan:
    """The plan with what goes with each node that is taken away: its pods, with what of them is lost."""
    notes = tuple(f"{node}: with it goes pod {pod}" for node, there in pods.items() for pod in there)
    return replace(plan, notes=plan.notes + notes)


def _not_leaving(name: str, cluster: Cluster, there: Collection[str]) -> ConflictError:
    if any(node.name == name for node in cluster.nodes):
        return ConflictError(f"{name} is in the inventory", hint="take it out of nodes first, then remove it by name")
    known = ", ".join(sorted(there)) or "none"
    return ConflictError(
        f"there is no guest {name} of cluster {cluster.cluster}", hint=f"those that the inventory lacks: {known}"
    )


def _action(member: Member, cluster: Cluster, observed: Observed) -> Action:
    found = removals(cluster.owner, [(cluster.host(member.host), observed.hosts[member.host])], purge=False)
    what = ", ".join(f"{one.kind} {one.name}" for one in found if one.node == member.name)
    etcd = ", its member of etcd and the virtual address taken away" if member.role == "control-plane" else ""
    reason = f"not in the inventory: drained if it is Ready{etcd}, deleted from Kubernetes, its routes taken away; removed: {what}"
    return Action(STAGE, Verb.REMOVE, member.host, "node", member.name, reason)


def _note(member: Member) -> str:
    return (
        f"{member.host}: guest {member.name} is ours but not in the inventory: it goes on as a member; "
        f"`provision --remove {member.name}` drains it and takes it away"
    )
