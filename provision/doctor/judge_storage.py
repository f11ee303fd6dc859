"""The pool's disk, filesystem and folders. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provision.desired import volume_name
from provision.doctor.facts import Folder
from provision.doctor.finding import Finding, found
from provision.doctor.patient import Patient
from provision.units import MIB

FIRST_BOOT = 512 * MIB
"""What a guest writes before it is a member: logs, containers' layers, etcd. Measured: 350 MiB."""

IMAGES = 2048 * MIB
"""Base image and bundle disk, which go into each pool once: 1.3 GiB for Debian 12 and Kubernetes 1.20."""

FEW_INODES = 1000
NEARLY_FULL = 80.0
"""Percent: LVM's own example for thin_pool_autoextend_threshold is 70, its daemon warns from 80 on (man lvmthin)."""

SELINUX_TYPES = ("virt_image_t", "svirt_image_t", "virt_content_t", "virt_var_lib_t")

_HIDDEN_HOME = re.compile(r"(/home/[^/]+|/root)/\.[^/]+(/.*)?")


def judge_storage(patient: Patient) -> Iterator[Finding]:
    """MC131 to MC140."""
    yield from _disks(patient)
    yield from _space(patient)
    storage = patient.facts.storage
    if storage.inodes and storage.inodes_free < FEW_INODES:
        seen = f"{storage.inodes_free} of {storage.inodes} inodes are free on {storage.device}"
        yield found("MC134", patient.name, seen, folder=patient.host.pool.path)
    for thin in storage.thin_pools:
        if max(thin.data_percent, thin.metadata_percent) > NEARLY_FULL:
            seen = f"{thin.name}: data {thin.data_percent:.0f} %, metadata {thin.metadata_percent:.0f} %"
            yield found("MC135", patient.name, seen, pool=thin.name)
    yield from _permission(patient)


def _disks(patient: Patient) -> Iterator[Finding]:
    storage = patient.facts.storage
    slow = [d for d in storage.disks if d.transport != "nvme" or d.rotational]
    if slow:
        said = ", ".join(f"{d.name} ({d.transport or 'no transport'}{', turns' if d.rotational else ''})" for d in slow)
        yield found("MC131", patient.name, f"{patient.host.pool.path} lies on {said}")
    for disk in storage.disks:
        if not disk.rotational and disk.scheduler not in ("none", ""):
            yield found("MC136", patient.name, f"{disk.name}: {disk.scheduler}", disk=disk.name)
    if (
        any(d.discard_max for d in storage.disks)
        and storage.fstrim_enabled is False
        and "discard" not in storage.options
    ):
        seen = f"{', '.join(d.name for d in storage.disks)} can TRIM; fstrim.timer is disabled, no mount option discard"
        yield found("MC137", patient.name, seen)


def _space(patient: Patient) -> Iterator[Finding]:
    available = patient.facts.storage.available
    if available is None or not patient.pinnings:
        return
    growing = {node.name: max(0, node.disk - _written(patient, node.name)) for node in patient.nodes}
    new = [node for node in growing if not _written(patient, node)]
    at_once = FIRST_BOOT * len(new) + (0 if _has_images(patient) else IMAGES)
    where = (
        f"{available // MIB} MiB of {(patient.facts.storage.size or 0) // MIB} are free for {patient.host.pool.path}"
    )
    if at_once > available:
        seen = f"{where}; {at_once // MIB} MiB are needed to begin"
        yield found(
            "MC132", patient.name, seen, folder=patient.host.pool.path, lacking=(at_once - available) // MIB + 1
        )
    elif sum(growing.values()) > available:
        seen = f"{where}; the volumes of {', '.join(growing)} may grow by {sum(growing.values()) // MIB} MiB"
        yield found("MC133", patient.name, seen, lacking=(sum(growing.values()) - available) // MIB + 1)


def _written(patient: Patient, node: str) -> int:
    """Bytes that a node's root volume has already, 0 when there is none."""
    name = volume_name(patient.cluster.cluster, node, "root", "qcow2")
    return sum(volume.physical for volume in patient.seen.volumes if volume.name == name)


def _has_images(patient: Patient) -> bool:
    return any(volume.name.startswith("meshctl.bundle.") for volume in patient.seen.volumes)


def _permission(patient: Patient) -> Iterator[Finding]:
    facts, folder = patient.facts, patient.host.pool.path
    user, group = facts.libvirt.qemu_uid, facts.libvirt.qemu_gid
    # The first is the pool's folder itself when it is there already: it needs to be passed as well.
    for parent in facts.storage.parents if user else ():
        if not _passes(parent, user, group):
            seen = (
                f"{parent.path} has mode {parent.mode:o}, owner {parent.uid}:{parent.gid}; QEMU runs as {user}:{group}"
            )
            yield found("MC138", patient.name, seen, folder=parent.path, user=user)
    if "apparmor" in facts.libvirt.security and _HIDDEN_HOME.fullmatch(folder):
        yield found("MC139", patient.name, f"{folder}, with libvirt's security driver apparmor", folder=folder)
    kind = ([*facts.storage.label.split(":"), "", "", ""])[2]
    if facts.storage.selinux_enforcing and kind and kind not in SELINUX_TYPES:
        yield found("MC140", patient.name, f"{folder} has the label {facts.storage.label}", folder=folder)


def _passes(folder: Folder, user: int | None, group: int | None) -> bool:
    bits = 0o100 if folder.uid == user else 0o010 if folder.gid == group else 0o001
    return bool(folder.mode & bits)
