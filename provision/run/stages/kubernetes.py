"""Stage kubernetes: every guest becomes a node. Workers boot and prepare while the control plane initialises."""

from __future__ import annotations

from collections.abc import Collection
from operator import attrgetter

from provision.base.errors import ConflictError
from provision.base.parallel import for_each
from provision.guests import Ssh
from provision.kubernetes import (
    CONTROL_PLANE,
    Kubectl,
    Profile,
    Spec,
    Watched,
    await_serving,
    credentials,
    heard,
    initialise,
    is_member,
    join,
    kubectl_for,
    nodes_ready,
    prepare,
    profile_for,
    take_back,
    take_up,
    wait_on,
)
from provision.plan import GIVEN, INIT, JOIN, UNCORDON, Plan, rebuilding
from provision.run.observe import kubernetes_spec
from provision.run.stages.doors import Doors, Shells
from provision.run.stages.given import give_all_back
from provision.run.stages.guests import settle
from provision.run.stages.rebuild import unmark
from provision.run.stages.steps import await_nodes, each_node
from provision.run.stages.upgrade import exchange_disks, upgrade_nodes
from provision.specs import Member

NAME, TITLE = "kubernetes", "Kubernetes by kubeadm"

READY_S = 900.0
"""A node shows Ready 40 to 55 s after its join under software emulation, when nothing else runs."""


def _has_its_state(plan: Plan, member: Member) -> bool:
    """Whether a control plane goes on with the cluster of its state volume: no other may be made there, whatever is found."""
    return any(one.name == member.name and one.basis == rebuilding.ANEW_WITH_STATE for one in plan.of(NAME))


def _take_up(shell: Ssh, member: Member, doors: Doors) -> None:
    """Has a new guest go on with the cluster of its state volume, and waits until its own kubelet is heard: what the API server says of the
    node is at first what the former one told it.
    """
    since = Kubectl(shell).now()
    take_up(shell, member, doors.emit)
    unmark(member.name, member.host, doors)
    kubectl = kubectl_for(doors.cluster.kubernetes.generation, shell)
    wait_on(
        Watched.by(kubectl.generation, shell),
        lambda: heard(kubectl, member.name, since),
        what=f"{member.name} Ready with the cluster of its state volume",
        within_s=READY_S,
        emit=doors.emit,
    )


def run(plan: Plan, doors: Doors) -> None:
    """Upgrades, prepares, initialises, joins what the plan says, then waits until every node that it is about is Ready."""
    spec = kubernetes_spec(doors.cluster, plan.desired, doors.bundle)
    profile = profile_for(spec.generation)
    shells = doors.shells()
    exchange_disks(plan, doors)
    upgrade_nodes(plan, spec, doors)
    unsettled = {action.where for action in plan.of("guests", "boot")} - {spec.control_plane.name}
    founder = next((action.name for action in plan.of(NAME, INIT)), "")
    if founder:
        _require_no_other(spec, founder, unsettled, plan, doors)

    def make_ready(member: Member) -> None:
        if member.name in unsettled:
            settle(plan.desired.guest(member.name), shells[member.name], doors)
        prepare(shells[member.name], profile, spec, member, doors.emit)
        if _has_its_state(plan, member):
            _take_up(shells[member.name], member, doors)
        elif member.name == founder:
            initialise(shells[member.name], profile, spec, member, doors.emit)

    name = attrgetter("name")
    software = {action.name for action in plan.of(NAME, "node software")}
    prepared = [member for member in spec.members if plan.concerns(member.name) or member.name in software]
    each_node(doors, NAME, "preparation", prepared, make_ready, name)
    joining = {action.name for action in plan.of(NAME, JOIN)}
    control_planes = [member for member in spec.members if member.name in joining and member.role == CONTROL_PLANE]
    for one in control_planes:  # one after the other: etcd takes one member at a time
        each_node(doors, NAME, "join", [one], lambda m: _join_control_plane(m, shells, profile, spec, doors), name)
    if workers := [member for member in spec.members if member.name in joining and member not in control_planes]:
        means = credentials(shells[shells.asked()], profile, doors.emit)
        each_node(
            doors, NAME, "join", workers, lambda m: join(shells[m.name], profile, spec, m, means, doors.emit), name
        )
    kubectl = doors.kubectl()
    owed = joining | {action.name for action in plan.of(NAME, GIVEN)}
    give_all_back(NAME, owed, plan, shells, kubectl, doors)
    each_node(
        doors,
        NAME,
        UNCORDON,
        plan.of(NAME, UNCORDON),
        lambda action: take_back(shells[action.name], kubectl, action.name, doors.emit),
        name,
    )
    await_nodes(doors, NAME, "Ready", doors.nodes(plan), lambda names: nodes_ready(kubectl, names), READY_S)


def _require_no_other(spec: Spec, founder: str, unsettled: Collection[str], plan: Plan, doors: Doors) -> None:
    """Raises ConflictError when another control plane has a cluster, which could not be seen when the plan was made: it still booted."""
    if len(spec.control_planes) == 1:
        return
    shells = doors.shells()
    there = {domain.stamp.node for domain in shells.domains if domain.stamp and doors.cluster.owner.owns(domain.stamp)}
    others = [one.name for one in spec.control_planes if one.name in there and one.name != founder]

    def has_cluster(name: str) -> bool:
        if name in unsettled:
            settle(plan.desired.guest(name), shells[name], doors)
        return is_member(shells[name])

    found = [name for name, has in zip(others, for_each(others, has_cluster), strict=True) if has]
    if found:
        raise ConflictError(
            f"{founder} would begin another cluster: {', '.join(found)} is a control plane of this one already",
            hint=f"look at the new plan, by which {founder} joins: run the command again",
        )


def _join_control_plane(member: Member, shells: Shells, profile: Profile, spec: Spec, doors: Doors) -> None:
    """Makes a node one more control plane, with its member of etcd, and waits until its own API server serves: the next one's etcd must
    not be added before this one is in touch with the others.
    """
    shell, asked = shells[member.name], shells.asked(but=member.name)
    means = credentials(shells[asked], profile, doors.emit, keys=True)
    join(shell, profile, spec, member, means, doors.emit)
    await_serving(shell, spec.generation, doors.emit, within_s=READY_S)
