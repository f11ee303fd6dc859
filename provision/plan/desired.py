"""What should exist on the hosts, worked out: inventory, placement and artifacts go in; specs come out. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import netaddr

from provision.inventory import (
    NOTHING_TAKEN,
    Cluster,
    Host,
    Node,
    Taken,
    mac_address,
    node_addresses,
    pod_subnet,
    pod_subnets,
)
from provision.specs import (
    Artifact,
    CpuSpec,
    Desired,
    DiskSpec,
    GroupSpec,
    GuestSpec,
    HostTraits,
    Member,
    MemorySpec,
    NetworkSpec,
    PoolSpec,
    SeedSpec,
    VolumeSpec,
    stem,
    volume_name,
)
from provision.storage import Device, Wish

if TYPE_CHECKING:
    from provision.placement import Pinning

NONE: Mapping[str, str] = MappingProxyType({})


def members(
    cluster: Cluster,
    remembered: Mapping[str, str],
    hosts: Mapping[str, str],
    taken: Taken = NOTHING_TAKEN,
    pods: Mapping[str, str] = NONE,
) -> tuple[Member, ...]:
    """Every node with its address and pod subnet. `remembered` are the nodes' addresses in use, `pods` their pods' subnets, `hosts` the
    host per node, `taken` what others have.

    Raises TooSmall when that leaves no address for a node.
    """
    network, pod_cidr = cluster.network, cluster.kubernetes.pod_cidr
    kept = {name: subnet for name, subnet in pods.items() if _within(subnet, pod_cidr)}
    ours = Taken(pod_subnets=frozenset(kept.values()))

    def free(address: str) -> bool:
        if address == cluster.kubernetes.control_plane_endpoint:
            return False
        subnet = pod_subnet(network, pod_cidr, address)
        return not taken.has(address, subnet) and not ours.has(address, subnet)

    addresses = node_addresses(network, cluster.nodes, remembered, free)
    derived = pod_subnets(network, pod_cidr, addresses)
    # A fixed address that changed is refused: of that, and of nothing else, the subnet is not to be kept.
    same = {name for name, address in addresses.items() if remembered.get(name) == address}
    return tuple(
        Member(
            node.name,
            node.role,
            hosts.get(node.name, ""),
            addresses[node.name],
            kept[node.name] if node.name in same & kept.keys() else derived[node.name],
        )
        for node in cluster.nodes
    )


def _within(subnet: str, cidr: str) -> bool:
    return netaddr.IPNetwork(subnet) in netaddr.IPNetwork(cidr)


def wishes(cluster: Cluster, node: str) -> tuple[Wish, ...]:
    """The volumes of a node, by the name that they have as logical volume or claim."""
    return tuple(Wish(stem(cluster.owner, node, kind), size) for kind, size in cluster.node(node).sizes_mib.items())


def pool_spec(host: Host) -> PoolSpec:
    """The pool of libvirt on a host."""
    return PoolSpec(host.name, host.pool.name, "dir", host.pool.path)


def desired(
    cluster: Cluster,
    pinnings: Mapping[str, Pinning],
    traits: Mapping[str, HostTraits],
    remembered: Mapping[str, str],
    artifacts: tuple[Artifact, ...],
    seed_digests: Mapping[str, str],
    devices: Mapping[str, Device] | None = None,
    taken: Taken = NOTHING_TAKEN,
    pods: Mapping[str, str] = NONE,
) -> Desired:
    """What should exist: `pinnings` and `seed_digests` per node, `traits` per host, `remembered` addresses per node, `devices`
    by the name of the volume that gets one, `taken` and `pods` as for `members`.
    """
    base, bundle = artifacts
    used = tuple(host for host in cluster.hosts if any(pin.host == host.name for pin in pinnings.values()))
    places = members(cluster, remembered, {name: pin.host for name, pin in pinnings.items()}, taken, pods)
    seeds = tuple(_seed(cluster, member, seed_digests[member.name]) for member in places)
    volumes = {member.name: tuple(_volumes(cluster, member, base, devices or {})) for member in places}
    return Desired(
        cluster=cluster.cluster,
        owner_id=cluster.owner.id,
        pools=tuple(map(pool_spec, used)),
        networks=tuple(_network(cluster, host) for host in used),
        artifacts=artifacts,
        groups=tuple(_group(host) for host in used if host.pool.type == "logical"),
        volumes=tuple(volume for member in places for volume, _ in volumes[member.name]),
        seeds=seeds,
        guests=tuple(
            _guest(
                cluster,
                member,
                pinnings[member.name],
                traits[member.host],
                tuple(disk for _, disk in volumes[member.name]),
                seed,
                bundle,
            )
            for member, seed in zip(places, seeds, strict=True)
        ),
        members=places,
        service_cidr=cluster.kubernetes.service_cidr,
        kubernetes=cluster.kubernetes.version,
        endpoint=cluster.kubernetes.control_plane_endpoint or "",
    )


def _network(cluster: Cluster, host: Host) -> NetworkSpec:
    network = cluster.network
    return NetworkSpec(
        cluster.cluster, host.name, network.name, network.mode, network.bridge,
        network.gateway_address, network.prefix_length, network.mtu,
    )  # fmt: skip


def _group(host: Host) -> GroupSpec:
    return GroupSpec(host.name, str(host.pool.volume_group), host.pool.devices, host.pool.thin)


def _volumes(
    cluster: Cluster, member: Member, base: Artifact, devices: Mapping[str, Device]
) -> Iterator[tuple[VolumeSpec, DiskSpec]]:
    """Root first, then state and data, each with the disk that the guest has of it."""
    pool, node = cluster.host(member.host).pool, cluster.node(member.name)
    for kind, wish in zip(node.sizes_mib, wishes(cluster, node.name), strict=True):
        form = "qcow2" if kind == "root" and pool.type == "dir" else "raw"
        device = devices.get(wish.name, Device("", wish.size_mib))
        path = {
            "dir": f"{pool.path}/{wish.name}.{form}",
            "logical": f"/dev/{pool.volume_group}/{wish.name}",
            "block": device.path,
        }[pool.type]
        volume = VolumeSpec(
            host=member.host,
            pool=pool.name,
            node=node.name,
            kind=kind,
            name=f"{wish.name}.{form}" if pool.type == "dir" else wish.name,
            size_mib=device.size_mib,
            store=pool.type,
            path=path,
            group=pool.volume_group or "",
            thin=pool.thin,
            base_path=f"{pool.path}/{base.volume}" if kind == "root" else "",
        )
        disk = DiskSpec(
            path, form, pool.type != "dir", kind, device.size_mib if pool.type == "block" else 0, cluster.storage.io
        )
        yield volume, disk


def _seed(cluster: Cluster, member: Member, seed_digest: str) -> SeedSpec:
    name = volume_name(cluster.owner, member.name, f"seed-{seed_digest[:12]}", "iso")
    return SeedSpec(member.host, cluster.host(member.host).pool.name, member.name, name)


def _guest(
    cluster: Cluster,
    member: Member,
    pin: Pinning,
    traits: HostTraits,
    disks: tuple[DiskSpec, ...],
    seed: SeedSpec,
    bundle: Artifact,
) -> GuestSpec:
    host = cluster.host(member.host)
    pool = host.pool
    node: Node = cluster.node(member.name)
    return GuestSpec(
        cluster=cluster.cluster,
        node=member.name,
        host=member.host,
        pool=pool.name,
        address=member.address,
        mac=mac_address(cluster.owner.key, member.name),
        mtu=cluster.network.mtu,
        network=cluster.network.name,
        vcpus=node.vcpus,
        memory_mib=node.memory_mib,
        vcpu_pins=pin.vcpu_pins,
        emulator_cpus=pin.emulator_cpus,
        iothread_cpus=pin.iothread_cpus,
        virtualization=traits.virtualization,
        memory=_memory(host, pin, traits),
        cpu=CpuSpec(pin.threads, pin.exclusive, traits.cpu_vendor),
        disks=disks,
        seed_path=f"{pool.path}/{seed.name}",
        bundle_path=f"{pool.path}/{bundle.volume}",
        console_path=f"{pool.path}/{volume_name(cluster.owner, member.name, 'console', 'log')}",
    )


def _memory(host: Host, pin: Pinning, traits: HostTraits) -> MemorySpec:
    return MemorySpec(
        cells=pin.cells,
        bound=traits.numa,
        hugepages=pin.hugepages,
        locked=host.locked,
        nosharepages=host.nosharepages,
        allocation_threads=host.allocation_threads,
    )
