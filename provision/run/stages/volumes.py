"""Stage volumes: root volumes with the base image, and data volumes, blank."""

from __future__ import annotations

from dataclasses import replace

from provision.base.events import Changed
from provision.hosts import claim, clear, copy_path, fill, make_logical, mark_ready
from provision.libvirt_xml import volume_xml
from provision.plan import SIZE, Action, Plan, Verb
from provision.run.stages.doors import Doors
from provision.run.stages.growth import grow
from provision.run.stages.steps import each_node
from provision.specs import VolumeSpec
from provision.storage import Claim

NAME, TITLE = "volumes", "root volumes, data volumes and seeds"


def run(plan: Plan, doors: Doors) -> None:
    """Creates the volumes that are missing, and grows those that are too small. Seeds are made with their guest: their host key lives
    in its stamp.
    """
    actions = [action for action in plan.of(NAME) if action.kind != "seed"]
    nodes = {volume.name: volume.node for volume in plan.desired.volumes}
    sizes = [action for action in actions if action.kind.endswith(SIZE)]
    missing = [action for action in actions if action not in sizes]
    each_node(
        doors, NAME, "volume", missing, lambda action: _volume(action, plan, doors), lambda action: nodes[action.name]
    )
    each_node(doors, NAME, SIZE, sizes, lambda action: grow(action, plan, doors), lambda action: nodes[action.name])


def _volume(action: Action, plan: Plan, doors: Doors) -> None:
    volume = _on_copy(next(volume for volume in plan.desired.volumes if volume.name == action.name), doors)
    if volume.store == "dir":
        doors.hypervisors[action.where].create_volume(volume.pool, volume_xml(volume))
    elif volume.store == "logical":
        _logical(volume, action.verb, doors)
    else:
        _device(volume, action.verb, doors)
    doors.emit(Changed(action.where, f"{volume.title} {volume.name}", action.verb))


def _on_copy(volume: VolumeSpec, doors: Doors) -> VolumeSpec:
    """The volume with the copy of the base image that its pool has."""
    if not volume.base_path:
        return volume
    return replace(volume, base_path=copy_path(doors.hypervisors[volume.host], volume.pool, volume.base_path))


def _logical(volume: VolumeSpec, verb: Verb, doors: Doors) -> None:
    shell = doors.host_shell(volume.host)
    if verb is Verb.CREATE:
        make_logical(shell, volume.group, volume.name, volume.size_mib, thin=volume.thin)
    if volume.base_path:
        fill(shell, volume.path, volume.base_path)
    mark_ready(shell, volume.group, volume.name)


def _device(volume: VolumeSpec, verb: Verb, doors: Doors) -> None:
    """The claim comes first, so that a device that is half filled is known to be ours, and says that it is not ready."""
    shell = doors.host_shell(volume.host)
    if verb is Verb.CREATE:
        clear(shell, volume.path, wipe=False)
        claim(shell, volume.path, Claim(volume.name, ready=False))
    if volume.base_path:
        fill(shell, volume.path, volume.base_path)
    claim(shell, volume.path, Claim(volume.name, ready=True))
