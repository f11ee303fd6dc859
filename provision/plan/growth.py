"""Volumes that are smaller than the inventory says, and grow under the guest that has them; and those that are larger, which no
filesystem survives. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from provision.base.units import MIB
from provision.plan.action import Action, Verb
from provision.plan.observed import HostSeen
from provision.specs import VolumeSpec, domain_name
from provision.storage import STATE_KIND

SIZE = "size"
"""How the kind of an action ends that makes a volume larger, and fills nothing."""


def growth(volume: VolumeSpec, cluster: str, seen: HostSeen) -> Iterator[Action]:
    """What makes a volume as large as it is wanted, if it is there and smaller."""
    has = _size_mib(volume, seen)
    if has is None or has >= volume.size_mib:
        return
    domain = seen.domain(domain_name(cluster, volume.node))
    how = "grown live" if domain is not None and domain.active else "grown while its guest is off"
    reason = f"{has} → {volume.size_mib} MiB, {how}"
    kind = f"{volume.title} {SIZE}"
    yield Action("volumes", Verb.CHANGE, volume.host, kind, volume.name, reason, basis=f"{has}-{volume.size_mib}")


def smaller(volume: VolumeSpec, seen: HostSeen) -> Iterator[str]:
    """Says of a volume that is larger than the inventory now says that it stays so, with the way to a smaller one."""
    has = _size_mib(volume, seen)
    if has is not None and has - volume.size_mib >= _step_mib(volume, seen):
        field = {"root": "disk", STATE_KIND: STATE_KIND}.get(volume.kind, f"volume {volume.kind.removeprefix('data-')}")
        anew = f", or `meshctl rebuild INVENTORY {volume.node}` makes the node anew with what is said now"
        yield (
            f"{volume.host}: {volume.node}: {field} has {has} MiB, the inventory now says {volume.size_mib}: a filesystem is not made"
            f" smaller: put it back{anew if volume.kind != STATE_KIND else ''}"
        )


def _size_mib(volume: VolumeSpec, seen: HostSeen) -> int | None:
    """How large a volume is; None where there is none, where nobody asked, and for a device, which is whole what it is."""
    if volume.store == "logical":
        logical = seen.storage.logical(volume.group, volume.name)
        return None if logical is None else logical.size // MIB
    return seen.sizes_mib.get(volume.name) if volume.store == "dir" else None


def _step_mib(volume: VolumeSpec, seen: HostSeen) -> int:
    """In which steps its size can be: LVM rounds up to whole extents."""
    logical = seen.storage.logical(volume.group, volume.name) if volume.store == "logical" else None
    return 1 if logical is None else max(1, logical.extent // MIB)
