"""What guests of ours have lost though their domains are still defined: disks that are in no pool any more. Pure.

A blank volume in the place of one that is gone would start as a stranger under the node's name, so that none is made unasked. What a
pool holds that is not active nobody can tell, and of a guest whose pool was moved another refusal speaks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from provision.libvirt_xml import DomainSeen
from provision.plan.artifacts import bundle_of
from provision.plan.observed import HostSeen
from provision.specs import Desired, GuestSpec, VolumeSpec
from provision.storage import STATE_KIND, Claim, claim_of_tags, claims


@dataclass(frozen=True)
class Loss:
    """What a guest has lost of what it needs to start, in words; `runs`: it goes on until it is stopped. `state` says whether it is a
    control plane whose state volume is there.
    """

    host: str
    node: str
    what: str
    runs: bool
    state: bool = False


def losses(wanted: Desired, hosts: Mapping[str, HostSeen]) -> Mapping[str, Loss]:
    """By node, what is gone and cannot be replaced under it: the root or state volume, or the seed, which has the private host key."""
    states = {volume.node: volume for volume in wanted.volumes if volume.kind == STATE_KIND}
    return {
        guest.node: Loss(
            guest.host, guest.node, " and ".join(lost), found.active, state=_has_state(found, states, seen)
        )
        for guest, found, root, files in _defined(wanted, hosts)
        for seen in (hosts[guest.host],)
        if (lost := tuple(_lost(found, root, states, seen, files)))
    }


def bundleless(wanted: Desired, hosts: Mapping[str, HostSeen]) -> Mapping[str, DomainSeen]:
    """By node, guests whose bundle's disk is gone: any copy of a bundle does."""
    return {
        guest.node: found
        for guest, found, _, files in _defined(wanted, hosts)
        if _needs(found, bundle_of(found), files)
    }


def _defined(
    wanted: Desired, hosts: Mapping[str, HostSeen]
) -> Iterator[tuple[GuestSpec, DomainSeen, VolumeSpec, Collection[str]]]:
    """The guests that are there, where their pool can be looked into: each with its domain, its root volume and the pool's files."""
    roots = {volume.node: volume for volume in wanted.volumes if volume.kind == "root"}
    files = {host: frozenset(volume.name for volume in seen.volumes) for host, seen in hosts.items()}
    for guest in wanted.guests:
        found = hosts[guest.host].domain(guest.domain)
        root = roots[guest.node]
        if found is not None and _is_there(guest, found, root) and _is_seen(guest.pool, hosts[guest.host]):
            yield guest, found, root, files[guest.host]


def _is_there(guest: GuestSpec, found: DomainSeen, root: VolumeSpec) -> bool:
    stamp, disks = found.definition.stamp, found.definition.disks
    ours = stamp is not None and (stamp.cluster, stamp.node) == (guest.cluster, guest.node)
    return ours and (not disks or _folder(disks[0]) == _folder(root.path))


def _is_seen(pool: str, seen: HostSeen) -> bool:
    return any(one.name == pool and one.active for one in seen.pools)


def _lost(
    found: DomainSeen, root: VolumeSpec, states: Mapping[str, VolumeSpec], seen: HostSeen, files: Collection[str]
) -> Iterator[str]:
    if claim_on(root, seen) is None:
        yield f"its root volume {root.name}"
    stamp = found.definition.stamp
    if stamp is not None and stamp.state and not _has_state(found, states, seen):
        yield f"its state volume {stamp.state}"
    if stamp is not None and _needs(found, stamp.seed, files):
        yield f"its seed {stamp.seed}"


def _has_state(found: DomainSeen, states: Mapping[str, VolumeSpec], seen: HostSeen) -> bool:
    """Whether the volume that a guest's stamp names as its state is there."""
    stamp = found.definition.stamp
    volume = states.get(stamp.node) if stamp is not None and stamp.state else None
    return volume is not None and claim_on(volume, seen) is not None


def _needs(found: DomainSeen, name: str, files: Collection[str]) -> bool:
    """Whether a definition has a file of a pool that is not there."""
    return bool(name) and name not in files and any(_file(path) == name for path in found.definition.disks)


def _file(path: str) -> str:
    return path.rpartition("/")[2]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def claim_on(volume: VolumeSpec, seen: HostSeen) -> Claim | None:
    """What there is of a volume, None when there is nothing. A file is there as a whole or not at all."""
    if volume.store == "logical":
        logical = seen.storage.logical(volume.group, volume.name)
        return None if logical is None else claim_of_tags(logical.name, logical.tags)
    if volume.store == "block":
        found = claims(seen.storage).get(volume.path)
        return found if found is not None and found.name == volume.name else None
    there = any(one.name == volume.name for one in seen.volumes)
    return Claim(volume.name, ready=True) if there else None
