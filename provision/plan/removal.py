"""What `destroy` removes: exactly what carries the cluster's stamp, and nothing that somebody else lives on. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from provision.inventory import Host
from provision.libvirt_xml import DomainSeen, Holder, VolumeSeen
from provision.plan.desired import pool_spec
from provision.plan.observed import HostSeen
from provision.specs import (
    Owner,
    incomplete_copies,
    is_artifact,
    marked_copy,
    owned_stem,
    owned_volume,
)
from provision.storage import OWN_TAG, THIN_POOL, claims

JOB = "let it end, or `virsh blockjob DOMAIN DISK --abort`"

CACHED = "cached volume"
"""A copy of a base image or bundle; its mark goes with it."""


@dataclass(frozen=True)
class Removal:
    """One thing to remove from a host; `order` keeps users before what they use.

    `pool` is where a volume is: libvirt's pool, an LVM volume group, or nothing for a device, by `store` as for `VolumeSpec`.
    `node` is whose it is, empty for what is the whole cluster's.
    """

    order: int
    host: str
    kind: str
    name: str
    pool: str = ""
    store: str = "dir"
    detail: str = ""
    node: str = ""


def removals(owner: Owner, hosts: Iterable[tuple[Host, HostSeen]], *, purge: bool) -> tuple[Removal, ...]:
    """Everything of the cluster, in the order of removal: guests, then networks, then volumes, then what `purge` adds.

    Works from stamps alone, so nodes that left the inventory go too; devices are looked for where the inventory names them.
    Domains and networks are judged already: one with another owner's stamp, or a clone, has none that is ours.
    """
    found = [removal for host, seen in hosts for removal in _of_host(owner, host, seen, purge)]
    return tuple(sorted(found, key=lambda removal: (removal.order, removal.host, removal.kind, removal.name)))


def _of_host(owner: Owner, host: Host, seen: HostSeen, purge: bool) -> Iterator[Removal]:
    for domain in seen.domains:
        if owner.owns(domain.stamp):
            yield Removal(0, host.name, "guest", domain.name, node=domain.stamp.node)
    for network in seen.networks:
        if owner.owns(network.stamp):
            yield Removal(1, host.name, "network", network.name)
    yield from _volumes(owner, host, seen)
    if purge:
        yield from _purged(host, seen, owner)


def hindrances(owner: Owner, host: Host, seen: HostSeen, doomed: Iterable[Removal]) -> Iterator[str]:
    """What of others would break on a host if these things went, or would be lost unseen: each in a sentence."""
    going = [one for one in doomed if one.host == host.name]
    networks = {one.name for one in going if one.kind == "network"}
    for one in going:
        if one.order == 2 and one.store == "dir":
            yield from (f"{host.name}: {who} {one.name}" for who in _others_on(one.name, owner, seen))
    for domain in seen.domains:
        if owner.owns(domain.stamp):
            yield from (f"{host.name}: a block job runs on {disk} of {domain.name}: {JOB}" for disk in domain.copying)
        else:
            yield from (
                f"{host.name}: domain {domain.name}, which is not the cluster's, is on network {name}"
                for name in sorted(_links(domain) & networks)
            )
    inactive = any(pool.name == host.pool.name and not pool.active for pool in seen.pools)
    if inactive and seen.uses(host.pool.path):
        yield f"{host.name}: pool {host.pool.name} is not active, so that nobody sees its volumes: `virsh pool-start {host.pool.name}`"


def _links(domain: DomainSeen) -> set[str]:
    """The networks that a domain is on."""
    found = domain.settings.items()
    return {value for name, value in found if name.startswith("interface ") and name.count(" ") == 1}


def _others_on(volume: str, owner: Owner, seen: HostSeen) -> Iterator[str]:
    """Who that is not the cluster's needs a volume, in words that its name ends."""
    for one in _staying(owner, seen):
        if holders(volume, [one]):
            name = one.name.rpartition("/")[2]
            yield f"{one.what} {name}, which is not the cluster's, {'uses' if one.what == 'domain' else 'lies over'}"


def _volumes(owner: Owner, host: Host, seen: HostSeen) -> Iterator[Removal]:
    for volume, node, kind in _files(owner, seen):
        yield Removal(2, host.name, f"{kind} volume", volume.name, host.pool.name, node=node)
    for logical in seen.storage.logicals:
        if found := owned_stem(owner, logical.name):
            yield Removal(2, host.name, f"{found[1]} volume", logical.name, logical.group, "logical", node=found[0])
    for path, claim in claims(seen.storage).items():
        if found := owned_stem(owner, claim.name):
            yield Removal(2, host.name, f"{found[1]} volume", path, store="block", node=found[0])


def _files(owner: Owner, seen: HostSeen) -> Iterator[tuple[VolumeSeen, str, str]]:
    """The cluster's files in the pool, with node and kind."""
    for volume in seen.volumes:
        if found := owned_volume(owner, volume.name):
            yield volume, *found


def holders(volume: str, among: Iterable[Holder]) -> tuple[str, ...]:
    """Who lives on a volume. By the file's name: a path may be written in many ways, and names of ours are met nowhere else."""
    return tuple(
        f"{one.what} {one.name}" for one in among if any(path.rpartition("/")[2] == volume for path in one.paths)
    )


def _staying(owner: Owner, seen: HostSeen) -> tuple[Holder, ...]:
    """Those that do not go with the cluster: others' domains and volumes."""
    domains = {one.name for one in seen.domains if owner.owns(one.stamp)}
    going = {volume.path for volume, _, _ in _files(owner, seen)}
    return tuple(one for one in seen.holders if one.name not in (domains if one.what == "domain" else going))


def staying(owner: Owner, hosts: Iterable[tuple[Host, HostSeen]], *, purge: bool) -> Iterator[str]:
    """Base images and bundles that would be removed if nobody lived on them, with who does; and uploads that may go on."""
    for host, seen in hosts:
        among = _staying(owner, seen)
        for name in [volume.name for volume in seen.volumes if purge and is_artifact(volume.name)]:
            if users := holders(name, among):
                yield f"{host.name}: {name} stays: needed by {', '.join(users)}"
            elif name in _in_progress(seen):
                yield f"{host.name}: {name} stays: another meshctl sends it, or was ended less than a day ago"


def _in_progress(seen: HostSeen) -> Collection[str]:
    return frozenset(incomplete_copies(volume.name for volume in seen.volumes)) - seen.abandoned


def _purged(host: Host, seen: HostSeen, owner: Owner) -> Iterator[Removal]:
    """Base images and bundles that nobody lives on, whoever it may be; then our own pool when it is empty."""
    among, busy = _staying(owner, seen), _in_progress(seen)
    cached = {v.name for v in seen.volumes if is_artifact(v.name)}
    gone = {name for name in cached if name not in busy and not holders(name, among)}
    marks = {v.name for v in seen.volumes if (copy := marked_copy(v.name)) and copy not in cached - gone}
    for name in sorted(gone | {mark for mark in marks if marked_copy(mark) not in gone}):
        yield Removal(3, host.name, CACHED, name, host.pool.name)
    yield from _emptied_group(host, seen, owner)
    wanted = pool_spec(host)
    ours = any(found.name == wanted.name and found.uuid == wanted.uuid for found in seen.pools)
    files = {volume.name for volume, _, _ in _files(owner, seen)}
    if ours and not {volume.name for volume in seen.volumes} - gone - marks - files:
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
