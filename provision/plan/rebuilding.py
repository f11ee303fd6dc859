"""Nodes that are thrown away and made anew under the same name, address, MAC and pods' subnet. Pure.

What goes is hidden from the plan, which so makes the node as one that never was; only who remembers (addresses, subnets, CPUs) and who
refuses still sees it. How far a rebuild has come is written in the guest's stamp: the domain stays defined until another definition
takes its place, so that no moment forgets what the node was given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from provision.base.errors import ConflictError
from provision.inventory import Cluster
from provision.plan.action import Action, Verb
from provision.plan.compare import INIT, Plan, basis_of
from provision.plan.observed import HostSeen, NodeSeen, Observed
from provision.plan.removal import Removal, removals
from provision.specs import BUT_DATA, GONE, PUT_BACK, TAKE_UP, THROWN_AWAY, Owner, domain_name, owned_stem, owned_volume
from provision.storage import claims

STAGE = "rebuild"

KINDS = {THROWN_AWAY: "node", BUT_DATA: "node but its data"}
"""Kinds of actions, by what a stamp says while they are carried out."""

FOR_A_BACKUP = {THROWN_AWAY: "control plane", BUT_DATA: "control plane but its data"}
"""The same of a control plane whose state is put back from a file: what its state volume has is no cluster's any more."""

OF_SEVERAL = {THROWN_AWAY: "one of several control planes", BUT_DATA: "one of several control planes but its data"}
"""The same of one that joins the others anew: its state volume goes with it, as what is on that was a member of etcd that is none now."""

STATELESS = frozenset({*FOR_A_BACKUP.values(), *OF_SEVERAL.values()})
"""Kinds of actions after which no cluster is on the state volume."""

ANEW = "made anew"
"""The basis of a guest that takes the place of one that was thrown away."""

ANEW_WITH_STATE = "made anew, with its state"
"""The same of a control plane that goes on with what is on its state volume, and what the cluster on it begins with."""

DATA, STATE = "data volume", "state volume"


def anew(owner: Owner, hosts: Mapping[str, HostSeen], asked: Mapping[str, str]) -> Mapping[str, str]:
    """The nodes that are made anew, each with what goes of it: those that are asked for, and those that an ended run has begun with."""
    begun = {node: mark for node, mark in marks(owner, hosts).items() if mark not in (PUT_BACK, TAKE_UP)}
    return {**begun, **asked, **{node: mark for node, mark in begun.items() if mark == GONE}}


def marks(owner: Owner, hosts: Mapping[str, HostSeen]) -> Mapping[str, str]:
    """By node, how far a rebuild has come that has not ended."""
    domains = [domain for seen in hosts.values() for domain in seen.domains if owner.owns(domain.stamp)]
    stamps = [domain.definition.stamp for domain in domains]
    return {stamp.node: stamp.rebuild for stamp in stamps if stamp is not None and stamp.rebuild}


def emptied(observed: Observed, cluster: Cluster, nodes: Mapping[str, str]) -> Observed:
    """The same as if what goes of these nodes' volumes were not there."""
    if not nodes:
        return observed
    return replace(observed, hosts={host: _emptied(seen, cluster, nodes) for host, seen in observed.hosts.items()})


def _emptied(seen: HostSeen, cluster: Cluster, nodes: Mapping[str, str]) -> HostSeen:
    several = _several(cluster)

    def goes(found: tuple[str, str] | None) -> bool:
        if found is None:
            return False
        return _goes(f"{found[1]} volume", nodes.get(found[0], GONE), joins=found[0] in several)

    storage, owner = seen.storage, cluster.owner
    released = {path for path, claim in claims(storage).items() if goes(owned_stem(owner, claim.name))}
    named = {path: replace(one, claim="") if path in released else one for path, one in storage.named.items()}
    logicals = tuple(one for one in storage.logicals if not goes(owned_stem(owner, one.name)))
    volumes = tuple(one for one in seen.volumes if not goes(owned_volume(owner, one.name)))
    return replace(seen, volumes=volumes, storage=replace(storage, logicals=logicals, named=named))


def _only(cluster: Cluster) -> str:
    """The only control plane, "" where there are several."""
    return "" if _several(cluster) else cluster.control_plane.name


def _several(cluster: Cluster) -> frozenset[str]:
    """The control planes, where there is more than one: the others have the cluster, so that each joins anew."""
    names = frozenset(node.name for node in cluster.control_planes)
    return names if len(names) > 1 else frozenset()


def _goes(kind: str, mark: str, *, joins: bool) -> bool:
    """A state volume only of one that `joins` the others: else the cluster is on it, or it is where a backup is put back."""
    return (joins or kind != STATE) and (mark == THROWN_AWAY or (mark == BUT_DATA and kind != DATA))


def doomed(found: Collection[Removal], node: str, kind: str) -> tuple[Removal, ...]:
    """Of what is there on a host, the volumes of a node that go with an action of this kind. Its domain stays until it is defined anew."""
    mark, joins = mark_of(kind), kind in OF_SEVERAL.values()
    ours = [one for one in found if one.node == node and one.kind != "guest"]
    return tuple(one for one in ours if _goes(one.kind, mark, joins=joins))


def mark_of(kind: str) -> str:
    """What a stamp says while an action of this kind is carried out."""
    return next(mark for kinds in (KINDS, FOR_A_BACKUP, OF_SEVERAL) for mark, title in kinds.items() if title == kind)


def throwing_away(
    plan: Plan, cluster: Cluster, observed: Observed, nodes: Mapping[str, str], *, restoring: bool = False
) -> Plan:
    """The plan, made with these nodes `anew`, with what throws them away first; `observed` has their guests and volumes. `restoring`: the
    control plane's state is put back from a file, else it is on its state volume. Of several control planes neither is so.

    Raises ConflictError for a worker while there is no control plane that it could join.
    """
    here = {guest.node: guest.host for guest in plan.desired.guests if guest.node in nodes}
    whole = [node for node in here if nodes[node] in KINDS]
    _require_control_plane(cluster, observed, whole)
    marked = marks(cluster.owner, observed.hosts)
    own = "" if restoring else _only(cluster)
    going = tuple(_action(node, here[node], cluster, observed, nodes[node], restoring=restoring) for node in whole)
    kept = tuple(_made_anew(action, here, own) for action in plan.actions)
    if own in here or (own and marked.get(own) == TAKE_UP):
        kept = tuple(_taken_up(action, own) for action in kept)
    first = next((at for at, action in enumerate(kept) if action.stage == "volumes"), len(kept))
    notes = tuple(
        f"{node} was thrown away by a run that was ended: it is made anew" for node in here if marked.get(node) == GONE
    )
    return replace(plan, actions=(*kept[:first], *going, *kept[first:]), notes=(*plan.notes, *notes))


def _made_anew(action: Action, nodes: Collection[str], own: str) -> Action:
    """The action as it is when these nodes are made anew: Kubernetes may still show the mesh's pods that they had. `own` is the only
    control plane, that has its state.
    """
    if nodes and action.stage == "mesh" and action.verb is Verb.LEAVE:
        return replace(action, verb=Verb.CHANGE, reason=f"its pods start on {', '.join(nodes)}")
    if action.name not in nodes or action.kind != "guest" or action.verb is not Verb.CREATE:
        return action
    basis = ANEW_WITH_STATE if action.name == own else ANEW
    return replace(action, reason=f"made anew: {action.reason.partition('; ')[2]}", basis=basis)


def _taken_up(action: Action, node: str) -> Action:
    """What makes a cluster of a control plane, as it is for one whose state volume has it: no other is made."""
    if (action.stage, action.kind, action.name) != ("kubernetes", INIT, node):
        return action
    return replace(action, verb=Verb.CHANGE, reason="its cluster goes on from its state volume", basis=ANEW_WITH_STATE)


def _action(node: str, host: str, cluster: Cluster, observed: Observed, mark: str, *, restoring: bool) -> Action:
    kinds = OF_SEVERAL if node in _several(cluster) else FOR_A_BACKUP if restoring and node == _only(cluster) else KINDS
    seen, kind = observed.hosts[host], kinds[mark]
    there = [one for one in removals(cluster.owner, [(cluster.host(host), seen)], purge=False) if one.node == node]
    going = doomed(there, node, kind)
    words = "; ".join(_words(node, cluster, there, going, restoring=restoring))
    return Action(
        STAGE, Verb.REMOVE, host, kind, node, words, basis_of(seen.domain(domain_name(cluster.cluster, node)))
    )


def _words(
    node: str, cluster: Cluster, there: Collection[Removal], going: Collection[Removal], *, restoring: bool
) -> Iterator[str]:
    if node == _only(cluster):
        state = "is put back on the new guest" if restoring else "stays on its state volume"
        yield f"stopped; its cluster's state {state}"
    elif node in _several(cluster):
        yield "drained if it is Ready, its member of etcd taken away, deleted from Kubernetes, stopped"
    else:
        yield "drained if it is Ready, deleted from Kubernetes, stopped"
    if going:
        yield f"deleted: {', '.join(f'{one.kind} {one.name}' for one in going)}"
    if kept := [one.name for one in there if one not in going and one.kind in (DATA, STATE)]:
        yield f"kept: {', '.join(kept)}"
    if node != _only(cluster):
        yield "put back when it has joined: its labels and taints"


def _require_control_plane(cluster: Cluster, observed: Observed, nodes: Collection[str]) -> None:
    planes = [one.name for one in cluster.control_planes]
    name = planes[0]
    workers = ", ".join(sorted(set(nodes) - ({name} if len(planes) == 1 else set())))
    seen = observed.nodes.get(name, NodeSeen())
    left = [one for one in planes if len(planes) == 1 or one not in nodes]
    if workers and not observed.first_member(left):
        raise ConflictError(
            f"{workers} cannot be rebuilt, as it could not join again: {name}: {seen.unreachable or 'it is no control plane'}",
            hint=f"`meshctl status` shows {name}; `meshctl restore INVENTORY FILE` makes it anew from a backup",
        )
