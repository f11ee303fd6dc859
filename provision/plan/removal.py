"""What `destroy` removes: exactly what carries the cluster's stamp. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from provision.inventory import Host
from provision.plan.desired import pool_spec
from provision.plan.observed import HostSeen
from provision.specs import Owner, artifact_volume, owned_stem, owned_volume, stamped_volume
from provision.storage import OWN_TAG, THIN_POOL, claims


@dataclass(frozen=True)
class Removal:
    """One thing to remove from a host; `order` keeps users before what they use.

    `pool` is where a volume is: libvirt's pool, an LVM volume group, or nothing for a device, by `store` as for `VolumeSpec`.
    """

    order: int
    host: str
    kind: str
    name: str
    pool: str = ""
    store: str = "dir"


def removals(owner: Owner, hosts: Iterable[tuple[Host, HostSeen]], *, purge: bool) -> tuple[Removal, ...]:
    """Everything of the cluster, in the order of removal: guests, then networks, then volumes, then what `purge` adds.

    Works from stamps alone, so nodes that left the inventory go too; devices are looked for where the inventory names them.
    Domains and networks are judged already: one with another owner's stamp, or a clone, has none that is ours.
    """
    found = [removal for host, seen in hosts for removal in _of_host(owner, host, seen, purge)]
    return tuple(sorted(found, key=lambda removal: (removal.order, removal.host, removal.kind, removal.name)))


def _of_host(owner: Owner, host: Host, seen: HostSeen, purge: bool) -> Iterator[Removal]:
    for domain in seen.domains:
        if domain.stamp is not None and owner.owns(domain.stamp):
            yield Removal(0, host.name, "guest", domain.name)
    for network in seen.networks:
        if network.stamp is not None and owner.owns(network.stamp):
            yield Removal(1, host.name, "network", network.name)
    yield from _volumes(owner, host, seen)
    if purge:
        yield from _purged(host, seen, owner)


def _volumes(owner: Owner, host: Host, seen: HostSeen) -> Iterator[Removal]:
    for volume in seen.volumes:
        if found := owned_volume(owner, volume.name):
            yield Removal(2, host.name, f"{found[1]} volume", volume.name, host.pool.name)
    for logical in seen.storage.logicals:
        if found := owned_stem(owner, logical.name):
            yield Removal(2, host.name, f"{found[1]} volume", logical.name, logical.group, "logical")
    for path, claim in claims(seen.storage).items():
        if found := owned_stem(owner, claim.name):
            yield Removal(2, host.name, f"{found[1]} volume", path, store="block")


def _purged(host: Host, seen: HostSeen, owner: Owner) -> Iterator[Removal]:
    """Base images and bundles, unless a guest of another cluster lives on them; then our own pool when it is empty."""
    if any(stamped_volume(v.name) and not owned_volume(owner, v.name) for v in seen.volumes):
        return
    cached = [volume for volume in seen.volumes if artifact_volume(volume.name)]
    for volume in cached:
        yield Removal(3, host.name, "cached volume", volume.name, host.pool.name)
    yield from _emptied_group(host, seen, owner)
    wanted = pool_spec(host)
    ours = any(found.name == wanted.name and found.uuid == wanted.uuid for found in seen.pools)
    foreign = [v for v in seen.volumes if not stamped_volume(v.name) and not artifact_volume(v.name)]
    if ours and not foreign:
        yield Removal(5, host.name, "pool", wanted.name)


def _emptied_group(host: Host, seen: HostSeen, owner: Owner) -> Iterator[Removal]:
    """Our thin pool and our volume group, when nobody else has a volume in it."""
    group = seen.storage.groups.get(host.pool.volume_group or "")
    if group is None:
        return
    within = [one for one in seen.storage.logicals if one.group == group.name]
    foreign = [one for one in within if one.name != THIN_POOL and not owned_stem(owner, one.name)]
    thin = seen.storage.logical(group.name, THIN_POOL)
    if foreign:
        return
    if thin is not None and OWN_TAG in thin.tags:
        yield Removal(3, host.name, "thin pool", THIN_POOL, group.name, "logical")
    if OWN_TAG in group.tags and (thin is None or OWN_TAG in thin.tags):
        yield Removal(4, host.name, "volume group", group.name)
