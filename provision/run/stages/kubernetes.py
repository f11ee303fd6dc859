"""Stage kubernetes: every guest becomes a node. Workers boot and prepare while the control plane initialises."""

from __future__ import annotations

from operator import attrgetter

from provision.guests import Ssh
from provision.kubernetes import (
    Kubectl,
    Watched,
    credentials,
    heard,
    initialise,
    join,
    kubectl_for,
    nodes_ready,
    prepare,
    profile_for,
    take_back,
    take_up,
    wait_on,
)
from provision.plan import UNCORDON, Plan, rebuilding
from provision.run.observe import kubernetes_spec
from provision.run.stages.doors import Doors
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
    control_plane = shells[spec.control_plane.name]
    exchange_disks(plan, doors)
    upgrade_nodes(plan, spec, doors)
    unsettled = {action.where for action in plan.of("guests", "boot")} - {spec.control_plane.name}

    def make_ready(member: Member) -> None:
        if member.name in unsettled:
            settle(plan.desired.guest(member.name), shells[member.name], doors)
        prepare(shells[member.name], profile, spec, member, doors.emit)
        if member == spec.control_plane and _has_its_state(plan, member):
            _take_up(control_plane, member, doors)
        elif member == spec.control_plane:
            initialise(control_plane, profile, spec, member, doors.emit)

    name = attrgetter("name")
    software = {action.name for action in plan.of(NAME, "node software")}
    prepared = [member for member in spec.members if plan.concerns(member.name) or member.name in software]
    each_node(doors, NAME, "preparation", prepared, make_ready, name)
    joining = {action.name for action in plan.of(NAME, "kubeadm join")}
    if joining:
        means = credentials(control_plane, profile, doors.emit)
        workers = [member for member in spec.members if member.name in joining]
        each_node(
            doors, NAME, "join", workers, lambda m: join(shells[m.name], profile, spec, m, means, doors.emit), name
        )
    kubectl = kubectl_for(spec.generation, control_plane)
    each_node(
        doors,
        NAME,
        UNCORDON,
        plan.of(NAME, UNCORDON),
        lambda action: take_back(shells[action.name], kubectl, action.name, doors.emit),
        name,
    )
    await_nodes(doors, NAME, "Ready", doors.nodes(plan), lambda names: nodes_ready(kubectl, names), READY_S)
