"""Stage removal: nodes that the inventory no longer has and that were named go: drained if they are Ready, deleted from Kubernetes,
stopped, their volumes and their guest removed, and last their routes on the nodes that stay. Killed anywhere, the same command goes on: the
guest, by which the node is known to be there, goes after all that hangs on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

from provision.base.errors import ConflictError, ShellError
from provision.base.events import Changed, Emit, Warned
from provision.base.parallel import for_each
from provision.base.shell import Shell
from provision.hosts import Hypervisor, observe_disks, release, remove_copy, remove_group, remove_logical
from provision.inventory import Host
from provision.kubernetes import (
    CONTROL_PLANE,
    KEEPALIVED,
    Kubectl,
    drain,
    patiently,
    prepare,
    profile_for,
    ready_nodes,
    require_quorum_without,
    take_away_member,
)
from provision.plan import CACHED, HostSeen, Plan, Removal, departure, hindrances, removals
from provision.run.observe import kubernetes_spec, observe_hosts
from provision.run.site import Estate
from provision.run.stages.doors import Doors
from provision.run.stages.steps import each_node
from provision.specs import Member, domain_name
from provision.storage import StorageSeen

NAME, TITLE = departure.STAGE, "removal of nodes that the inventory no longer has"

MOVES_S = 300.0
"""How long the API may be away when a control plane leaves: etcd elects another leader (10 s), and the virtual address moves (a minute)."""


def run(plan: Plan, doors: Doors) -> None:
    """Takes one node after the other away, so that what runs there finds room elsewhere; then their routes, on all others at once."""
    names = {action.name for action in plan.of(NAME)}
    shells, generation = doors.shells(), doors.cluster.kubernetes.generation
    kubectl = doors.kubectl()
    for member in plan.desired.leaving:
        if member.name in names:
            _take_leave(member, kubectl, doors)
    stay = tuple(member for member in plan.desired.leaving if member.name not in names)
    spec = kubernetes_spec(doors.cluster, replace(plan.desired, leaving=stay), doors.bundle)
    profile = profile_for(generation)
    each_node(
        doors,
        NAME,
        "routes",
        spec.members,
        lambda member: prepare(shells[member.name], profile, spec, member, doors.emit),
        attrgetter("name"),
    )


def _take_leave(member: Member, kubectl: Kubectl, doors: Doors) -> None:
    hypervisor, guest = doors.hypervisors[member.host], domain_name(doors.cluster.cluster, member.name)
    doomed = belongings(member.host, member.name, doors)
    require_majority_without(member, kubectl)
    if answers(member.name, kubectl, doors.emit, runs=hypervisor.runs(guest)):
        drain(kubectl, member.name, doors.emit)
    leave_control(member, kubectl, doors, runs=hypervisor.runs(guest))
    kubectl.delete("node", member.name)
    doors.emit(Changed("cluster", f"node {member.name}", "delete from Kubernetes"))
    hypervisor.stop_domain(guest)
    for one in sorted(doomed, key=lambda one: -one.order):  # the guest last
        take_away(one, hypervisor, doors.host_shell, doors.emit)


def require_majority_without(member: Member, kubectl: Kubectl) -> None:
    """Raises KubernetesError, with nothing changed, when a control plane cannot be spared: etcd would have no majority without it."""
    etcd = profile_for(kubectl.generation).etcd
    if member.role == CONTROL_PLANE and etcd is not None:
        require_quorum_without(kubectl.shell, etcd, member.name, member.address)


def leave_control(member: Member, kubectl: Kubectl, doors: Doors, *, runs: bool) -> None:
    """Takes from a control plane, one of several, what makes it one: the virtual address, given up at once as it would be missed for
    longer, and its place in etcd. Done in part, the same again does the rest; of a worker there is nothing to take.
    """
    etcd = profile_for(kubectl.generation).etcd
    if member.role != CONTROL_PLANE or etcd is None:
        return
    if runs:
        try:
            doors.shells()[member.name].run(["systemctl", "disable", "--now", KEEPALIVED], check=False)
        except ShellError as error:
            doors.emit(Warned(f"{error.message}: if it has the virtual address, that moves when it stops"))
    take_away_member(kubectl.shell, etcd, member.name, member.address, doors.emit)
    patiently(kubectl, lambda: kubectl.get("nodes"), within_s=MOVES_S, emit=doors.emit)


def answers(node: str, kubectl: Kubectl, emit: Emit, *, runs: bool) -> bool:
    """Whether somebody on a node would end its pods, so that it can be drained; a warning says why not."""
    why = "" if runs and node in ready_nodes(kubectl) else "not Ready" if runs else "off"
    if why:
        emit(Warned(f"{node} is {why}, so nobody there would end a pod: it is not drained"))
    return not why


def belongings(
    host: str, node: str, doors: Doors, *, going: Callable[[Sequence[Removal]], Sequence[Removal]] = tuple
) -> tuple[Removal, ...]:
    """What a node has on its host, or that part of it which is `going`. Raises ConflictError, with nothing changed, when something of
    others hangs on it.
    """
    cluster = doors.cluster.model_copy(update={"hosts": (doors.cluster.host(host),)})
    seen = seen_for_removal(cluster, doors.hypervisors, doors.host_shell)
    doomed = tuple(going([one for one in removals(cluster.owner, seen, purge=False) if one.node == node]))
    refuse_hindrances(cluster, seen, doomed)
    return doomed


def seen_for_removal(
    cluster: Estate, hypervisors: Mapping[str, Hypervisor], shell: Callable[[str], Shell | None]
) -> list[tuple[Host, HostSeen]]:
    """Every host of an estate with its storage, and with who needs which volume."""
    hosts = observe_hosts(cluster, hypervisors, probe=False)
    looked = [host for host in cluster.hosts if host.pool.type != "dir"]
    seen = observe_disks(looked, hosts, shell)
    needs = for_each(cluster.hosts, lambda host: hypervisors[host.name].holders())
    return [
        (host, replace(hosts[host.name], storage=seen.get(host.name, StorageSeen()), holders=held))
        for host, held in zip(cluster.hosts, needs, strict=True)
    ]


def refuse_hindrances(cluster: Estate, seen: Iterable[tuple[Host, HostSeen]], doomed: tuple[Removal, ...]) -> None:
    """Raises ConflictError, naming each, when something of others hangs on what is to be removed."""
    if in_the_way := [text for host, one in seen for text in hindrances(cluster.owner, host, one, doomed)]:
        raise ConflictError(
            "nothing was removed, as something hangs on it:\n" + "\n".join(f"  {text}" for text in in_the_way),
            hint="look at each; what is yours to end, end it, then run the command again",
        )


def take_away(removal: Removal, hypervisor: Hypervisor, shell: Callable[[str], Shell], emit: Emit) -> None:
    """Removes one thing, on its host; `shell` gives the shell of a host that must have one."""
    if removal.kind == "guest":
        hypervisor.remove_domain(removal.name)
    elif removal.kind == "network":
        hypervisor.remove_network(removal.name)
    elif removal.kind == "pool":
        if left := hypervisor.volumes(removal.name):
            emit(Warned(f"{removal.host}: pool {removal.name} stays: it holds {left[0].name}"))
            return
        hypervisor.remove_pool(removal.name)
    elif removal.kind == "volume group":
        remove_group(shell(removal.host), removal.name)
    elif removal.store == "logical":
        remove_logical(shell(removal.host), removal.pool, removal.name)
    elif removal.store == "block":
        release(shell(removal.host), removal.name)
    elif removal.kind == CACHED:
        if users := remove_copy(hypervisor, removal.pool, removal.name):
            emit(Warned(f"{removal.host}: {removal.name} stays: needed by {', '.join(users)}"))
            return
    else:
        hypervisor.delete_volume(removal.pool, removal.name)
    emit(Changed(removal.host, f"{removal.kind} {removal.name}", "remove"))
