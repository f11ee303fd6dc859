"""Another Kubernetes version, and another bundle's disk, on nodes that live: part of the stage kubernetes.

All nodes get the new images first: kube-proxy is replaced on all of them as soon as the control plane is of the new version. Then one node
after the other, the control plane first; each is Ready, says the new version and routes again before the next is begun.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from provision.base.errors import ConflictError
from provision.base.events import Changed
from provision.base.parallel import for_each
from provision.base.waiting import NotYet, Ready
from provision.guests import Ssh
from provision.hosts import copy_path
from provision.kubernetes import (
    CONTROL_PLANE,
    Kubectl,
    Profile,
    Spec,
    Watched,
    await_serving,
    load_images,
    nodes_ready,
    profile_for,
    renew_proxy,
    runs_version,
    set_aside,
    take_back,
    upgrade,
    wait_on,
)
from provision.libvirt_xml import DomainSeen, bundle_disk_xml, domain_xml, judged_domains
from provision.plan import BUNDLE_DISK, UPGRADE, Plan, effective
from provision.run.stages.doors import Doors
from provision.run.stages.rolling import READY_S
from provision.run.stages.verify import ask_mesh, ask_pods
from provision.specs import GuestSpec, Member, Stamp, digest


def exchange_disks(plan: Plan, doors: Doors) -> None:
    """Gives running guests the disk of the inventory's bundle in the place of another's."""
    for_each(plan.of("kubernetes", BUNDLE_DISK), lambda action: _exchange(plan.desired.guest(action.name), plan, doors))


def _exchange(guest: GuestSpec, plan: Plan, doors: Doors) -> None:
    """The running domain first, then its definition: who is killed between them finds the node still lacking, and goes on here."""
    hypervisor = doors.hypervisors[guest.host]
    found = _ours(guest, doors)
    path = copy_path(hypervisor, guest.pool, f"{guest.bundle_path.rpartition('/')[0]}/{plan.desired.bundle.volume}")
    old, new = effective(guest, found), replace(effective(guest, found), bundle_path=path)
    hypervisor.exchange_bundle(guest.domain, bundle_disk_xml(path))
    if found.stamp is not None and found.definition.stamp is not None:
        running = _restamped(found.stamp, old, new, path)
        hypervisor.restamp(guest.domain, running)
        hypervisor.define_domain(domain_xml(new, _restamped(found.definition.stamp, old, new, path)))
    doors.emit(Changed(guest.host, f"bundle disk of {guest.node}", "exchange"))


def _ours(guest: GuestSpec, doors: Doors) -> DomainSeen:
    domains = judged_domains(doors.cluster.owner, doors.hypervisors[guest.host].domains())
    found = next((domain for domain in domains if domain.name == guest.domain), None)
    if found is None or found.stamp is None or not found.active:
        raise ConflictError(
            f"{guest.host}: domain {guest.domain} was changed by somebody else since the plan was made",
            hint="look at the new plan: run the command again",
        )
    return found


def _restamped(stamp: Stamp, old: GuestSpec, new: GuestSpec, path: str) -> Stamp:
    """The stamp with the new disk. A running guest that has other differences to wait with keeps the digest that says so."""
    changed = digest(new) if stamp.digest == digest(old) else stamp.digest
    return replace(stamp, bundle=path.rpartition("/")[2], digest=changed)


def upgrade_nodes(plan: Plan, spec: Spec, doors: Doors) -> None:
    """Moves the members that are behind to the inventory's version."""
    names = {action.name for action in plan.of("kubernetes", UPGRADE)}
    # The first control plane moves what the whole cluster has; the others follow it, and are behind it in the inventory too.
    behind = sorted((member for member in spec.members if member.name in names), key=lambda one: one.role)
    if not behind:
        return
    shells, profile = doors.shells(), profile_for(spec.generation)
    for_each(behind, lambda member: load_images(shells[member.name], profile, spec, member, doors.emit))
    for member in behind:
        _one(member, shells[member.name], doors.kubectl(but=member.name), profile, spec, doors)


def _one(member: Member, shell: Ssh, kubectl: Kubectl, profile: Profile, spec: Spec, doors: Doors) -> None:
    routed = isinstance(ask_mesh(shell, doors), Ready)

    def work() -> None:
        upgrade(shell, profile, spec, member, doors.emit)
        if not profile.workloads.rolls_daemonsets:
            renew_proxy(kubectl, member.name, spec.version, doors.emit)
        _await(member, shell, kubectl, spec, doors, routed=routed)

    # While the only control plane is moved nobody moves pods, and its own may be the only ones of their kind.
    if member.role == CONTROL_PLANE:
        work()
        if len(spec.control_planes) > 1:
            await_serving(shell, spec.generation, doors.emit, within_s=READY_S)
    else:
        ours = set_aside(shell, kubectl, member.name, doors.emit)
        work()
        if ours:
            take_back(shell, kubectl, member.name, doors.emit)


def _await(member: Member, shell: Ssh, kubectl: Kubectl, spec: Spec, doors: Doors, *, routed: bool) -> None:
    looks: dict[str, Callable[[], Ready[Any] | NotYet]] = {
        f"kubelet {spec.version}": lambda: runs_version(kubectl, member.name, spec.version),
        "Ready again": lambda: nodes_ready(kubectl, [member.name]),
    }
    if routed:
        looks["a request through the mesh"] = lambda: ask_mesh(shell, doors)
        looks["pods of the mesh"] = lambda: ask_pods(kubectl, member.name, doors)
    for what, look in looks.items():
        wait_on(
            Watched.by(spec.generation, kubectl.shell, shell),
            look,
            what=f"{member.name}: {what}",
            within_s=READY_S,
            emit=doors.emit,
        )
