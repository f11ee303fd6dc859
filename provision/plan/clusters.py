"""Which clusters are on hosts, by their stamps alone: nobody has their inventories at hand. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provision.base.moments import epoch_s
from provision.base.units import MIB
from provision.libvirt_xml import DomainSeen, Holder, NetworkSeen, PoolSeen, VolumeSeen
from provision.plan.lifetime import stamp_of
from provision.specs import OLD, Owner, PoolSpec, Stamp, Upkeep, owned_volume


@dataclass(frozen=True)
class Machine:
    """A host as it was seen without an inventory: `volumes` by the pools that hold files of ours, `holders` who needs which file."""

    domains: tuple[DomainSeen, ...]
    networks: tuple[NetworkSeen, ...]
    pools: tuple[PoolSeen, ...]
    volumes: Mapping[str, tuple[VolumeSeen, ...]]
    holders: tuple[Holder, ...] = ()


@dataclass(frozen=True)
class Part:
    """What a cluster has on one host; `files` are its volumes by their pool."""

    domains: tuple[DomainSeen, ...]
    networks: tuple[NetworkSeen, ...]
    files: Mapping[str, tuple[VolumeSeen, ...]]

    @property
    def stamps(self) -> tuple[Stamp, ...]:
        """The stamps of guests, then of networks."""
        return tuple(filter(None, (*map(stamp_of, self.domains), *map(stamp_of, self.networks))))

    @property
    def upkeep(self) -> Upkeep:
        """Where its volumes lie, by the first stamp that says it."""
        return next((one.upkeep for one in self.stamps if one.upkeep.pool), Upkeep())


@dataclass(frozen=True)
class ClusterSeen:
    """A cluster, with its parts by host. Moments are empty where no stamp says them."""

    owner: Owner
    parts: Mapping[str, Part]

    @property
    def stamps(self) -> tuple[Stamp, ...]:
        """All stamps."""
        return tuple(stamp for part in self.parts.values() for stamp in part.stamps)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Its guests' nodes."""
        return tuple(sorted(stamp.node for stamp in self.stamps if stamp.node))

    @property
    def created(self) -> str:
        """When the first of what it has was made."""
        return min((one.upkeep.created for one in self.stamps if one.upkeep.created), default="")

    @property
    def expires(self) -> str:
        """Until when it is needed: the latest moment that one of its stamps says."""
        return max(one.upkeep.expires for one in self.stamps)

    @property
    def vcpus(self) -> int:
        """VCPUs of all its guests."""
        return sum(domain.vcpus for part in self.parts.values() for domain in part.domains)

    @property
    def memory_mib(self) -> int:
        """Memory of all its guests."""
        return sum(domain.memory_mib for part in self.parts.values() for domain in part.domains)

    @property
    def disk_mib(self) -> int:
        """Size of its files; volumes that are no files are not in it."""
        files = (one for part in self.parts.values() for found in part.files.values() for one in found)
        return sum(one.physical for one in files) // MIB

    def expired(self, now_s: float) -> bool:
        """Whether it is known that nobody needs it any longer; `now_s` in seconds of the epoch."""
        return bool(self.expires) and epoch_s(self.expires) <= now_s

    def as_data(self, now_s: float) -> dict[str, Any]:
        """For --json; an age or moment that nobody knows is null."""
        return {
            "cluster": self.owner.cluster,
            "owner": self.owner.id,
            "hosts": list(self.parts),
            "nodes": list(self.nodes),
            "created": self.created or None,
            "age_s": int(now_s - epoch_s(self.created)) if self.created else None,
            "expires": self.expires or None,
            "expired": self.expired(now_s),
            "vcpus": self.vcpus,
            "memory_mib": self.memory_mib,
            "disk_mib": self.disk_mib,
        }


def our_pools(pools: Iterable[PoolSeen], domains: Iterable[DomainSeen], networks: Iterable[NetworkSeen]) -> set[str]:
    """The active pools that meshctl made, that a stamp names, or that a stamped guest has a disk in."""
    guests = [domain for domain in domains if domain.stamp]
    stamps = filter(None, (*map(stamp_of, guests), *map(stamp_of, networks)))
    said = {stamp.upkeep.pool for stamp in stamps}
    folders = {disk.rpartition("/")[0] for domain in guests for disk in domain.definition.disks}
    return {
        pool.name
        for pool in pools
        if pool.active
        and (pool.name in said or pool.path in folders or pool.uuid == PoolSpec("", pool.name, "dir", pool.path).uuid)
    }


def clusters(machines: Mapping[str, Machine]) -> tuple[ClusterSeen, ...]:
    """Every cluster on these hosts, by name and owner. A clone of a guest is none of them."""
    owners = sorted(_owners(machines), key=lambda owner: (owner.cluster, owner.id))
    return tuple(ClusterSeen(owner, _parts(owner, machines)) for owner in owners)


def _owners(machines: Mapping[str, Machine]) -> set[Owner]:
    ids: dict[str, set[str]] = defaultdict(set)
    for machine in machines.values():
        things: tuple[DomainSeen | NetworkSeen, ...] = (*machine.domains, *machine.networks)
        for thing in things:
            stamp = stamp_of(thing)
            if stamp and not Owner(stamp.cluster, stamp.owner).why_not(stamp, thing.name, thing.uuid):
                ids[stamp.cluster].add(stamp.owner)
    for found in ids.values():  # a cluster from before there were ids is being taken over: one, not two
        if "" in found and len([one for one in found if one.startswith(OLD)]) == 1:
            found.remove("")
    return {Owner(cluster, id_) for cluster, found in ids.items() for id_ in found}


def _parts(owner: Owner, machines: Mapping[str, Machine]) -> dict[str, Part]:
    parts = {name: _part(owner, machine) for name, machine in machines.items()}
    return {name: part for name, part in parts.items() if part.stamps}


def _part(owner: Owner, machine: Machine) -> Part:
    return Part(
        tuple(one for one in machine.domains if _is_of(owner, one)),
        tuple(one for one in machine.networks if _is_of(owner, one)),
        {pool: tuple(one for one in found if owned_volume(owner, one.name)) for pool, found in machine.volumes.items()},
    )


def _is_of(owner: Owner, thing: DomainSeen | NetworkSeen) -> bool:
    stamp = stamp_of(thing)
    return owner.owns(stamp) and not owner.why_not(stamp, thing.name, thing.uuid)
