"""Volumes grow: on their host, and then in the guest that uses them. Killed anywhere, the next look at both shows what is left."""

from __future__ import annotations

from provision.base.errors import MeshctlError
from provision.base.events import Changed
from provision.base.waiting import NotYet, Ready, wait_until
from provision.guests import Behind, Boot, Ssh, disk_sizes, grow_filesystem, observe_boot
from provision.hosts import extend_logical
from provision.plan import Action, Plan
from provision.run.stages.doors import Doors, Guest, Ways
from provision.specs import DiskSpec, GuestSpec, VolumeSpec

SEEN_S = 60.0
"""The kernel of a guest hears of its disk's new size at once; a busy emulated one takes seconds to say so."""


def grow(action: Action, plan: Plan, doors: Doors) -> None:
    """Makes a volume larger, and has the guest that runs with it see that."""
    volume = next(volume for volume in plan.desired.volumes if volume.name == action.name)
    guest = plan.desired.guest(volume.node)
    in_use = _in_use(volume, guest, doors)
    if volume.store == "logical":
        extend_logical(doors.host_shell(volume.host), volume.group, volume.name, volume.size_mib)
    elif not in_use or not volume.base_path:  # QEMU holds a qcow2 file and grows it itself; it allocates no blocks
        _resize_file(volume, doors)
    if in_use:
        doors.hypervisors[volume.host].resize_disk(guest.domain, volume.path, volume.size_mib)
    doors.emit(Changed(action.where, f"{volume.title} {volume.name}", f"grow to {volume.size_mib} MiB"))


def _resize_file(volume: VolumeSpec, doors: Doors) -> None:
    door = doors.hypervisors[volume.host]
    door.resize_volume(volume.pool, volume.name, volume.size_mib, allocate=not volume.sparse)


def _in_use(volume: VolumeSpec, guest: GuestSpec, doors: Doors) -> bool:
    """Whether the guest runs with it now: it may be off, or younger than the volume."""
    domains = doors.hypervisors[volume.host].domains()
    return any(one.name == guest.domain and one.active and volume.path in one.disks for one in domains)


def grow_within(guest: Guest, boot: Boot, shell: Ssh, doors: Ways) -> None:
    """Makes the filesystems of a guest as large as its disks. Raises MeshctlError when they do not become that.

    A disk that is smaller than wanted is left to a run with a plan, which grows its volume first.
    """
    if not boot.behind and not boot.unmounted:  # of one that was just mounted nothing is known
        return
    for one in boot.behind:
        if one.what == "disk":
            if not isinstance(guest, GuestSpec):
                return
            _tell(guest, _disk(guest, one), one, doors)
    for one in _look(guest, shell, doors):
        grow_filesystem(shell, one)
        doors.emit(Changed(guest.node, f"filesystem of disk {one.serial}", f"grow into {one.of_mib} MiB"))
    if left := _look(guest, shell, doors):
        raise MeshctlError(
            f"{guest.node}: {'; '.join(map(str, left))}, and would not grow",
            hint=f"meshctl ssh INVENTORY {guest.node} -- sudo lsblk --bytes; resize2fs says why in dmesg",
        )


def _tell(guest: GuestSpec, disk: DiskSpec, behind: Behind, doors: Ways) -> None:
    """Has a running guest see the size of its volume: the run that grew that was ended before it did so."""
    doors.hypervisors[guest.host].resize_disk(guest.domain, disk.path, behind.of_mib)


def _disk(guest: GuestSpec, behind: Behind) -> DiskSpec:
    return next(disk for disk in guest.disks if disk.serial == behind.serial)


def _look(guest: Guest, shell: Ssh, doors: Ways) -> tuple[Behind, ...]:
    """The filesystems that have to grow, as soon as the kernel knows the size of all disks."""

    def look() -> Ready[tuple[Behind, ...]] | NotYet:
        found = observe_boot(shell, {}, (), disk_sizes(doors.cluster.node(guest.node))).behind
        unseen = [one for one in found if one.what == "disk"]
        return NotYet(str(unseen[0])) if unseen else Ready(found)

    return wait_until(look, what=f"{guest.node}: its disks' sizes", within_s=SEEN_S, every_s=1.0, emit=doors.emit)
