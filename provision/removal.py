"""What `destroy` removes: exactly what carries the cluster's stamp. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from provision.desired import PoolSpec, artifact_volume, volume_owner
from provision.plan import HostSeen


@dataclass(frozen=True)
class Removal:
    """One thing to remove from a host; `pool` is given for volumes. `order` keeps users before what they use."""

    order: int
    host: str
    kind: str
    name: str
    pool: str = ""


def removals(
    cluster: str, hosts: Mapping[str, HostSeen], pools: Mapping[str, PoolSpec], *, purge: bool
) -> tuple[Removal, ...]:
    """Everything of the cluster, in the order of removal: guests, then networks, then volumes, then what `purge` adds.

    `pools` is the inventory's pool per host. Works from stamps alone, so nodes that left the inventory go too.
    """
    found = [removal for host, seen in hosts.items() for removal in _of_host(cluster, host, seen, pools[host], purge)]
    return tuple(sorted(found, key=lambda removal: (removal.order, removal.host, removal.kind, removal.name)))


def _of_host(cluster: str, host: str, seen: HostSeen, pool: PoolSpec, purge: bool) -> Iterator[Removal]:
    for domain in seen.domains:
        if domain.stamp is not None and domain.stamp.cluster == cluster:
            yield Removal(0, host, "guest", domain.name)
    for network in seen.networks:
        if network.stamp is not None and network.stamp.cluster == cluster:
            yield Removal(1, host, "network", network.name)
    for volume in seen.volumes:
        owner = volume_owner(volume.name)
        if owner is not None and owner[0] == cluster:
            yield Removal(2, host, f"{owner[2]} volume", volume.name, pool.name)
    if purge:
        yield from _purged(cluster, host, seen, pool)


def _purged(cluster: str, host: str, seen: HostSeen, pool: PoolSpec) -> Iterator[Removal]:
    """Base images and bundles, unless a guest of another cluster lives on them; then our own pool when it is empty."""
    others = [v for v in seen.volumes if (owner := volume_owner(v.name)) is not None and owner[0] != cluster]
    if others:
        return
    cached = [volume for volume in seen.volumes if artifact_volume(volume.name)]
    for volume in cached:
        yield Removal(3, host, "cached volume", volume.name, pool.name)
    ours = any(found.name == pool.name and found.uuid == pool.uuid for found in seen.pools)
    foreign = [v for v in seen.volumes if volume_owner(v.name) is None and not artifact_volume(v.name)]
    if ours and not foreign:
        yield Removal(4, host, "pool", pool.name)
