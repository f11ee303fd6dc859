"""What `destroy` removes: exactly what carries the cluster's stamp. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from provision.inventory import Host
from provision.plan.desired import pool_spec
from provision.plan.observed import HostSeen
from provision.specs import artifact_volume, stem_owner, volume_owner
from provision.storage import OWN_TAG, THIN_POOL, claims

JOB = "let it end, or `virsh blockjob DOMAIN DISK --abort`"


@dataclass(frozen=True)
class Removal:
    """One thing to remove from a host; `order` keeps users before what they use.

    `pool` is where a volume is: libvirt's pool, an LVM volume group, or nothing for a device, by `store` as for `VolumeSpec`.
    `detail` is what goes with it, for people.
    """

    order: int
    host: str
    kind: str
    name: str
    pool: str = ""
    store: str = "dir"
    detail: str = ""


def removals(cluster: str, hosts: Iterable[tuple[Host, HostSeen]], *, purge: bool) -> tuple[Removal, ...]:
    """Everything of the cluster, in the order of removal: guests, then networks, then volumes, then what `purge` adds.

    Works from stamps alone, so nodes that left the inventory go too; devices are looked for where the inventory names them.
    """
    found = [removal for host, seen in hosts for removal in _of_host(cluster, host, seen, purge)]
    return tuple(sorted(found, key=lambda removal: (removal.order, removal.host, removal.kind, removal.name)))


def _of_host(cluster: str, host: Host, seen: HostSeen, purge: bool) -> Iterator[Removal]:
    for domain in seen.domains:
        if domain.stamp is not None and domain.stamp.cluster == cluster:
            yield Removal(0, host.name, "guest", domain.name)
    for network in seen.networks:
        if network.stamp is not None and network.stamp.cluster == cluster:
            yield Removal(1, host.name, "network", network.name)
    yield from _volumes(cluster, host, seen)
    if purge:
        yield from _purged(host, seen, cluster)


def hindrances(
    cluster: str, host: Host, seen: HostSeen, doomed: Iterable[Removal], bases: Mapping[str, str]
) -> Iterator[str]:
    """What of others would break on a host if these things went, or would be lost unseen: each in a sentence.

    `bases` are, by name, the files that volumes lie over which stay.
    """
    going = [one for one in doomed if one.host == host.name]
    folder = next((pool.path for pool in seen.pools if pool.name == host.pool.name), host.pool.path)
    files = {f"{folder}/{one.name}": one.name for one in going if one.pool == host.pool.name and one.store == "dir"}
    networks = {one.name for one in going if one.kind == "network"}
    for domain in seen.domains:
        if domain.stamp is not None and domain.stamp.cluster == cluster:
            yield from (f"{host.name}: a block job runs on {disk} of {domain.name}: {JOB}" for disk in domain.copying)
            continue
        for path in dict.fromkeys((*domain.disks, *domain.bases)):
            if path in files:
                yield f"{host.name}: domain {domain.name}, which is not the cluster's, uses {files[path]}"
        links = {
            value for name, value in domain.settings.items() if name.startswith("interface ") and name.count(" ") == 1
        }
        yield from (
            f"{host.name}: domain {domain.name}, which is not the cluster's, is on network {name}"
            for name in sorted(links & networks)
        )
    for name, base in bases.items():
        if base in files:
            yield f"{host.name}: {name}, which is not the cluster's, lies over {files[base]}"
    if any(pool.name == host.pool.name and not pool.active for pool in seen.pools) and seen.uses(folder):
        yield f"{host.name}: pool {host.pool.name} is not active, so that nobody sees its volumes: `virsh pool-start {host.pool.name}`"


def _volumes(cluster: str, host: Host, seen: HostSeen) -> Iterator[Removal]:
    for volume in seen.volumes:
        owner = volume_owner(volume.name)
        if owner is not None and owner[0] == cluster:
            yield Removal(2, host.name, f"{owner[2]} volume", volume.name, host.pool.name)
    for logical in seen.storage.logicals:
        owner = stem_owner(logical.name)
        if owner is not None and owner[0] == cluster:
            yield Removal(2, host.name, f"{owner[2]} volume", logical.name, logical.group, "logical")
    for path, claim in claims(seen.storage).items():
        owner = stem_owner(claim.name)
        if owner is not None and owner[0] == cluster:
            yield Removal(2, host.name, f"{owner[2]} volume", path, store="block")


def _purged(host: Host, seen: HostSeen, cluster: str) -> Iterator[Removal]:
    """Base images and bundles, unless a guest of another cluster lives on them; then our own pool when it is empty."""
    others = [v for v in seen.volumes if (owner := volume_owner(v.name)) is not None and owner[0] != cluster]
    if others:
        return
    cached = [volume for volume in seen.volumes if artifact_volume(volume.name)]
    for volume in cached:
        yield Removal(3, host.name, "cached volume", volume.name, host.pool.name)
    yield from _emptied_group(host, seen, cluster)
    wanted = pool_spec(host)
    ours = any(found.name == wanted.name and found.uuid == wanted.uuid for found in seen.pools)
    foreign = [v for v in seen.volumes if volume_owner(v.name) is None and not artifact_volume(v.name)]
    if ours and not foreign:
        yield Removal(5, host.name, "pool", wanted.name)


def _emptied_group(host: Host, seen: HostSeen, cluster: str) -> Iterator[Removal]:
    """Our thin pool and our volume group, when nobody else has a volume in it."""
    group = seen.storage.groups.get(host.pool.volume_group or "")
    if group is None:
        return
    within = [one for one in seen.storage.logicals if one.group == group.name]
    foreign = [one for one in within if one.name != THIN_POOL and (stem_owner(one.name) or ("",))[0] != cluster]
    thin = seen.storage.logical(group.name, THIN_POOL)
    if foreign:
        return
    if thin is not None and OWN_TAG in thin.tags:
        yield Removal(3, host.name, "thin pool", THIN_POOL, group.name, "logical")
    if OWN_TAG in group.tags and (thin is None or OWN_TAG in thin.tags):
        yield Removal(4, host.name, "volume group", group.name)
