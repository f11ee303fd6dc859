"""`restore`: a backup put on the control plane, whether that lives or is to be made anew; then the cluster proven as by `provision`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from provision import bundle
from provision.base.errors import ConflictError, InventoryError, ShellError
from provision.base.events import Changed, Warned
from provision.base.parallel import for_each
from provision.guests import Ssh, target
from provision.inventory import Cluster
from provision.kubernetes import (
    Watched,
    awaken,
    finish,
    nodes_ready,
    prepare,
    profile_for,
    put_back,
    trusted_authority,
    wait_on,
)
from provision.libvirt_xml import DomainSeen
from provision.plan import Plan
from provision.run.age import decrypted, is_encrypted
from provision.run.backup_file import Backup, Manifest, read, unpacked
from provision.run.engine import World, check_agreement, go_through, make_plan, refuse_halted
from provision.run.lease import leased
from provision.run.observe import all_domains, kubernetes_spec
from provision.run.site import recorded
from provision.run.stages.doors import Doors
from provision.run.stages.kubernetes import READY_S
from provision.run.stages.order import STAGES
from provision.run.stages.rebuild import unmark
from provision.specs import Member

GUESTS = tuple(
    stage for stage in STAGES if stage.name in ("hosts", "images", "networks", "rebuild", "volumes", "guests")
)
"""What makes a control plane's guest, where there is none."""

GUEST_NAMES = tuple(stage.name for stage in GUESTS)

CLUSTER = tuple(stage for stage in STAGES if stage.name in ("kubernetes", "mesh", "verify"))


@dataclass(frozen=True)
class Return:
    """What a restore will do: the backup, and the plan of the guests that must be there first."""

    backup: Backup
    guests: Plan

    def as_text(self, now: datetime) -> str:
        """For people, before they are asked."""
        of, guests = self.backup.manifest, len(self.guests.changes)
        first = f"first {guests} changes to hosts and guests, as above; then " if guests else ""
        return (
            f"Restore cluster {of.cluster} on {of.node} from a backup of {of.taken}, {elapsed((now - of.at).total_seconds())} ago, "
            f"Kubernetes {of.kubernetes}:\n"
            f"  {first}etcd's data and the cluster's keys are put back; what {of.node} has of them is set aside there\n"
            "  the API server is away for minutes; pods run on\n"
            "  LOST: every object that was written since then, and every change"
        )


def elapsed(seconds: float) -> str:
    """`3 h 12 min`, for people."""
    minutes = max(0, round(seconds / 60))
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days} days {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def opened_backup(path: Path, identity: str | None) -> Backup:
    """The backup that a file holds. Raises ImageError when it is damaged or the identity does not open it, InventoryError when it is
    encrypted and there is no identity.
    """
    content = read(path)
    if is_encrypted(content):
        if identity is None:
            raise InventoryError(f"{path} is encrypted", hint="--identity FILE names the age identity that opens it")
        content = decrypted(str(path), content, identity)
    return unpacked(str(path), content)


def refuse_strange(cluster: Cluster, found: Manifest) -> None:
    """Raises ConflictError when a backup is another cluster's, or of another version than the inventory and its bundle have."""
    if found.cluster != cluster.cluster:
        raise ConflictError(
            f"this is a backup of cluster {found.cluster}, the inventory's is {cluster.cluster}",
            hint="a backup goes back to the cluster that it was taken of",
        )
    if found.owner != cluster.owner.id:
        raise ConflictError(
            f"this is a backup of another cluster that is called {found.cluster}: its owner's id is {found.owner}, "
            f"this one's {cluster.owner.id or 'not known'}",
            hint=f"if all of the cluster is gone and this is its inventory: write `id: {found.owner}` into it",
        )
    if found.kubernetes != cluster.kubernetes.version:
        raise ConflictError(
            f"this is a backup of Kubernetes {found.kubernetes}, inventory and bundle have {cluster.kubernetes.version}",
            hint=f"kubernetes.version: {found.kubernetes}, and a bundle of it in kubernetes.bundle",
        )


def plan_restore(world: World, backup: Backup) -> Return:
    """What is to be done. Raises ConflictError for a backup that does not belong here."""
    refuse_strange(world.cluster, backup.manifest)
    _refuse_several(world)
    found = make_plan(world, restoring=True)
    refuse_halted(found)
    _refuse_moved(found, backup.manifest)
    _refuse_older_authority(world, backup.manifest)
    return Return(backup, found.until(GUEST_NAMES))


def _refuse_several(world: World) -> None:
    """Raises ConflictError for a cluster of several control planes: etcd's data of one do not go beside what the others have."""
    stamps = [one.stamp for one in world.domains() if world.cluster.owner.owns(one.stamp)]
    names = {node.name for node in world.cluster.control_planes}
    names |= {one.node for one in stamps if one is not None and one.endpoint}
    if len(names) > 1:
        raise ConflictError(
            f"a backup is not put back on a cluster of {len(names)} control planes ({', '.join(sorted(names))}): their etcds"
            " have one state, which is that of all of them",
            hint="one that is lost: `meshctl rebuild INVENTORY NODE`; most of them: docs/control-planes.md",
        )


def _refuse_moved(found: Plan, of: Manifest) -> None:
    """The control plane's address is in its certificates, in every kubeconfig and in etcd's data."""
    wanted = next((member for member in found.desired.members if member.role == "control-plane"), None)
    if wanted is None or (wanted.name, wanted.address) != (of.node, of.address):
        now = f"{wanted.name} at {wanted.address}" if wanted else "none"
        raise ConflictError(
            f"the backup is of control plane {of.node} at {of.address}, the inventory's is {now}",
            hint=f"name the node {of.node} and give it `address: {of.address}`",
        )


def _refuse_older_authority(world: World, of: Manifest) -> None:
    """Raises ConflictError when the workers belong to a cluster that was made after the backup: they would know it no more."""
    domains = world.domains()
    nodes = _running_workers(world.cluster, domains)

    def differs(node: str) -> bool:
        try:
            trusted = trusted_authority(world.sessions.to(target(world.cluster, node, domains)))
        except ShellError as error:
            world.emit(Warned(f"{node}: whom it trusts is not known: {error.message}"))
            return False
        return trusted not in ("", of.authority)

    strangers = [node for node, other in zip(nodes, for_each(nodes, differs), strict=True) if other]
    if strangers:
        raise ConflictError(
            f"{', '.join(strangers)}: member of a cluster with another authority than that of the backup of {of.taken}",
            hint="the cluster was made anew since; take a younger backup, or destroy the cluster first",
        )


def _running_workers(cluster: Cluster, domains: Collection[DomainSeen]) -> list[str]:
    running = {domain.stamp.node for domain in domains if domain.active and cluster.owner.owns(domain.stamp)}
    return [node.name for node in cluster.workers if node.name in running]


def restore(world: World, agreed: Return, *, patience_s: float = 0.0) -> None:
    """Puts the backup back and proves the cluster, holding the hosts. Killed anywhere, the same again goes on.

    Raises ConflictError when the guests are no longer as the plan was shown, and what the stages raise.
    """
    command = f"restore {world.cluster.cluster}"
    with leased(world.hypervisors, world.calls, command, world.emit, patience_s=patience_s), recorded(world, "restore"):
        found = make_plan(world, restoring=True)
        check_agreement(found.until(GUEST_NAMES), agreed.guests)
        bring_back(world, found, agreed.backup)


def bring_back(world: World, found: Plan, backup: Backup) -> None:
    """Makes the guests of a plan for a restore, puts the backup on the control plane, and proves the cluster; for a command that holds
    the hosts and records itself.
    """
    world.identity.keep(found.desired.owner_id, world.emit)
    doors = world.doors(bundle.load(bundle.find(world.cluster.kubernetes.bundle)))
    go_through(found.until(GUEST_NAMES), GUESTS, doors)
    shells = doors.shells()
    _put_back(doors, found, shells, backup)
    _gather(doors, shells)
    rest = make_plan(world, restoring=True).until(tuple(stage.name for stage in CLUSTER))
    go_through(rest, CLUSTER, doors)
    name = world.cluster.control_plane.name
    unmark(name, next(member.host for member in found.desired.members if member.name == name), doors)
    finish(shells[name])


def _put_back(doors: Doors, found: Plan, shells: Mapping[str, Ssh], backup: Backup) -> None:
    spec = kubernetes_spec(doors.cluster, found.desired, doors.bundle)
    member: Member = spec.control_plane
    shell, profile = shells[member.name], profile_for(spec.generation)
    prepare(shell, profile, spec, member, doors.emit)
    put_back(shell, member, backup.state, backup.manifest.id, doors.emit)


def _gather(doors: Doors, shells: Mapping[str, Ssh]) -> None:
    """Waits for the API server, has every other member that runs look at it anew, and waits until all are Ready."""
    control_plane = doors.cluster.control_plane.name
    _await_ready(doors, [control_plane])
    others = _running_workers(doors.cluster, all_domains(doors.cluster.owner, doors.hypervisors))
    trusts = for_each(others, lambda node: trusted_authority(shells[node]))
    members = [node for node, trusted in zip(others, trusts, strict=True) if trusted]  # the rest joins as by provision

    def look_anew(node: str) -> None:
        awaken(shells[node])
        doors.emit(Changed(node, "kubelet and kube-proxy", "start anew"))

    for_each(members, look_anew)
    _await_ready(doors, [control_plane, *members])


def _await_ready(doors: Doors, names: Collection[str]) -> None:
    kubectl = doors.kubectl()
    wait_on(
        Watched(tuple(names), doors.shells, kubectl.generation),
        lambda: nodes_ready(kubectl, list(names)),
        what=f"{', '.join(names)} Ready with what was restored",
        within_s=READY_S,
        emit=doors.emit,
    )
