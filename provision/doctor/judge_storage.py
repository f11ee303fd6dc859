"""The pool's disk, filesystem and folders. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from provision.base.units import MIB
from provision.doctor.facts import Disk, Folder
from provision.doctor.finding import Finding, found
from provision.doctor.patient import Patient
from provision.inventory import Node
from provision.specs import volume_name
from provision.storage import StorageSeen, needs_look, physical, pool_faults

FIRST_BOOT = 512 * MIB
"""What a guest writes before it is a member: logs, containers' layers, etcd. Measured: 350 MiB."""

IMAGES = 2048 * MIB
"""Base image and bundle disk, which go into each pool once: 1.3 GiB for Debian 12 and Kubernetes 1.20."""

FEW_INODES = 1000
NEARLY_FULL = 80.0
"""Percent: LVM's own example for thin_pool_autoextend_threshold is 70, its daemon warns from 80 on (man lvmthin)."""

SELINUX_TYPES = ("virt_image_t", "svirt_image_t", "virt_content_t", "virt_var_lib_t")

_HIDDEN_HOME = re.compile(r"(/home/[^/]+|/root)/\.[^/]+(/.*)?")
_SYSTEM_FOLDER = re.compile(
    r"/(bin|etc|lost\+found|proc|sbin|selinux|sys|boot|usr/(s?bin|share)|usr/local/(s?bin|etc))/.*|/(usr/(local/)?)?lib.*|/initrd.*|/vmlinuz.*"
)
"""What virt-aa-helper never lets a guest write to (virt-aa-helper.c, valid_path)."""


def judge_storage(patient: Patient) -> Iterator[Finding]:
    """MC131 to MC140, MC153."""
    if patient.below is not None:
        yield from _devices(patient, patient.below)
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


# ── the devices ──────────────────────────────────────────────────────────────────────────────────────────────────


def _devices(patient: Patient, below: StorageSeen) -> Iterator[Finding]:
    pool, require = patient.host.pool, patient.cluster.storage.require
    for fault in pool_faults(patient.name, pool, require, below) if needs_look(pool, require) else ():
        yield found("MC131", patient.name, fault.message.removeprefix(f"{patient.name}: "), remedy=fault.hint)
    disks = _below(patient, below)
    for disk in disks:
        if not disk.rotational and disk.scheduler not in ("none", ""):
            yield found("MC136", patient.name, f"{disk.name}: {disk.scheduler}", disk=disk.name)
    yield from _trim(patient, [disk for disk in disks if disk.discard_max])
    cells = {disk.cell for disk in disks}
    if len(patient.topology.cells) > 1 and len(cells) == 1 and cells.isdisjoint({None, pool.numa_node}):
        (cell,) = cells
        said = "does not say so" if pool.numa_node is None else f"says {pool.numa_node}"
        seen = f"{', '.join(disk.name for disk in disks)} hangs on NUMA node {cell}; the inventory {said}"
        yield found("MC153", patient.name, seen, cell=cell)


def _below(patient: Patient, below: StorageSeen) -> list[Disk]:
    """The disks at the bottom of the pool, whatever its type."""
    pool = patient.host.pool
    by_path = {device.path: device.name for device in below.devices.values()}
    group = below.groups.get(pool.volume_group or "")
    if group is not None:
        names = [by_path.get(member, "") for member in group.members]
    elif pool.devices:
        names = [below.named[path].name for path in pool.devices if path in below.named]
    else:
        names = list(below.below_folder)
    bottom = {device.name for name in names if name in below.devices for device in physical(below.devices, name)}
    return [disk for disk in patient.facts.storage.disks if disk.name in bottom]


def _trim(patient: Patient, able: Sequence[Disk]) -> Iterator[Finding]:
    """Whether a filesystem below the pool gives deleted blocks back; where there is none, the guests' own discard arrives."""
    storage = patient.facts.storage
    if (
        patient.host.pool.type == "dir"
        and able
        and storage.fstrim_enabled is False
        and "discard" not in storage.options
    ):
        seen = f"{', '.join(disk.name for disk in able)} can TRIM; fstrim.timer is disabled, no mount option discard"
        yield found("MC137", patient.name, seen)


# ── room ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _space(patient: Patient) -> Iterator[Finding]:
    if patient.pinnings:
        yield from _in_folder(patient)
        if patient.below is not None and patient.host.pool.type == "logical":
            yield from _in_group(patient, patient.below)
        if patient.host.pool.type == "block":
            yield from _on_devices(patient)


def _in_folder(patient: Patient) -> Iterator[Finding]:
    storage, path = patient.facts.storage, patient.host.pool.path
    if storage.available is None:
        return
    files = patient.host.pool.type == "dir"
    growing = {node.name: max(0, _full(node) - _written(patient, node.name)) for node in patient.nodes} if files else {}
    new = [node for node in growing if not _written(patient, node)]
    at_once = FIRST_BOOT * len(new) + (0 if _has_images(patient) else IMAGES)
    where = f"{storage.available // MIB} MiB of {(storage.size or 0) // MIB} are free for {path}"
    if at_once > storage.available:
        seen = f"{where}; {at_once // MIB} MiB are needed to begin"
        yield _full_up(patient, seen, at_once - storage.available, f"`du -xh --max-depth=1 {path} | sort -h`")
    elif sum(growing.values()) > storage.available:
        seen = f"{where}; the volumes of {', '.join(growing)} may grow by {sum(growing.values()) // MIB} MiB"
        yield found("MC133", patient.name, seen, lacking=(sum(growing.values()) - storage.available) // MIB + 1)


def _in_group(patient: Patient, below: StorageSeen) -> Iterator[Finding]:
    pool, group = patient.host.pool, below.groups.get(patient.host.pool.volume_group or "")
    if group is None:
        return
    made = {logical.name for logical in below.logicals if logical.group == group.name}
    new = [node for node in patient.nodes if _stem(patient, node.name) not in made]
    room, needed = (group.size if pool.thin else group.free), sum(map(_full, new))
    if needed <= room:
        return
    which = f"{room // MIB} MiB {'are in' if pool.thin else 'are free in'} volume group {group.name}"
    seen = f"{which}; the volumes of {', '.join(node.name for node in new)} have {needed // MIB} MiB"
    if pool.thin:
        yield found("MC133", patient.name, seen, lacking=(needed - room) // MIB + 1)
    else:
        yield _full_up(patient, seen, needed - room, f"`lvs {group.name}`")


def _on_devices(patient: Patient) -> Iterator[Finding]:
    devices, wanted = (
        patient.host.pool.devices,
        sum(1 + bool(node.state_mib) + len(node.volumes) for node in patient.nodes),
    )
    if wanted > len(devices):
        seen = f"{len(devices)} devices are in the pool; {', '.join(node.name for node in patient.nodes)} need {wanted}"
        yield _full_up(patient, seen, 0, "`lsblk`: partitions or namespaces to add to the pool's `devices`")


def _full_up(patient: Patient, seen: str, lacking: int, look: str) -> Finding:
    less = f"; {lacking // MIB + 1} MiB are lacking" if lacking else ""
    return found("MC132", patient.name, seen, look=look, lacking=less)


def _full(node: Node) -> int:
    """Bytes of a node's volumes when they are full."""
    return node.disk + node.state_mib * MIB + sum(volume.size for volume in node.volumes)


def _written(patient: Patient, node: str) -> int:
    """Bytes that a node's root volume has already, 0 when there is none."""
    name = volume_name(patient.cluster.owner, node, "root", "qcow2")
    return sum(volume.physical for volume in patient.seen.volumes if volume.name == name)


def _stem(patient: Patient, node: str) -> str:
    """What a node's root volume is called as a logical volume: as the file, without its suffix."""
    return volume_name(patient.cluster.owner, node, "root", "").removesuffix(".")


def _has_images(patient: Patient) -> bool:
    return any(volume.name.startswith("meshctl.bundle.") for volume in patient.seen.volumes)


# ── who may pass ─────────────────────────────────────────────────────────────────────────────────────────────────


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
    hidden = _HIDDEN_HOME.fullmatch(folder) or _SYSTEM_FOLDER.fullmatch(f"{folder}/")
    if "apparmor" in facts.libvirt.security and hidden:
        yield found("MC139", patient.name, f"{folder}, with libvirt's security driver apparmor", folder=folder)
    kind = ([*facts.storage.label.split(":"), "", "", ""])[2]
    if facts.storage.selinux_enforcing and kind and kind not in SELINUX_TYPES:
        yield found("MC140", patient.name, f"{folder} has the label {facts.storage.label}", folder=folder)


def _passes(folder: Folder, user: int | None, group: int | None) -> bool:
    bits = 0o100 if folder.uid == user else 0o010 if folder.gid == group else 0o001
    return bool(folder.mode & bits)
