"""What should exist on the hosts: specs of pools, volumes, networks and guests, with their names, stamps and digests.

Pure: inventory, placement and artifacts go in; frozen specs come out. Names of volumes end in a mark, eight
hex digits of a uuid5 over what the volume is: volumes carry no metadata, so the mark in the name is their stamp.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from provision.addresses import mac_address, node_addresses, pod_subnet
from provision.inventory import Cluster, Host, Node
from provision.storage.allot import Device, Wish
from provision.units import MIB

if TYPE_CHECKING:
    from provision.placement import Pinning

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:meshctl:1")
"""The uuid5 namespace of everything we name."""


def object_uuid(*parts: str) -> str:
    """The uuid of an object of ours: uuid5 of its path, for example cluster, kind and name."""
    return str(uuid.uuid5(NAMESPACE, "/".join(parts)))


def digest(spec: object) -> str:
    """16 hex digits over a dataclass's values: equal specs, equal digests."""
    text = json.dumps(asdict(spec), sort_keys=True, separators=(",", ":"), default=str)  # type: ignore[call-overload]
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Artifact:
    """A file on the operator's machine that goes into every pool once: base image or bundle disk.

    `digest` is in `volume`'s name; `size` is the file's size in bytes; `format` is qcow2 or raw.
    """

    kind: str
    title: str
    volume: str
    path: str
    size: int
    format: str


def base_image(name: str, path: str, image_digest: str, size: int) -> Artifact:
    """The base image as an artifact."""
    return Artifact("base image", name, f"meshctl.{name}.{image_digest[:12]}.qcow2", path, size, "qcow2")


def bundle_disk(version: str, path: str, bundle_digest: str, size: int) -> Artifact:
    """The bundle's disk as an artifact."""
    return Artifact("bundle", version, f"meshctl.bundle.{bundle_digest[:12]}.iso", path, size, "raw")


@dataclass(frozen=True)
class PoolSpec:
    """A storage pool of libvirt: a folder, whatever the inventory's type. It holds base image, bundle and seeds in any case."""

    host: str
    name: str
    type: str
    path: str

    @property
    def uuid(self) -> str:
        """Pools have no metadata: the uuid is the stamp of one that we made."""
        return object_uuid("pool", self.name, self.path)


@dataclass(frozen=True)
class GroupSpec:
    """An LVM volume group; `devices` are what it is made of when there is none, `thin`: its volumes are."""

    host: str
    name: str
    devices: tuple[str, ...]
    thin: bool


@dataclass(frozen=True)
class NetworkSpec:
    """A libvirt network on one host. `address` is the host's own address in it (mode nat)."""

    cluster: str
    host: str
    name: str
    mode: str
    bridge: str | None
    address: str
    prefix_length: int
    mtu: int

    @property
    def uuid(self) -> str:
        """The network's uuid."""
        return object_uuid(self.cluster, "network", self.name)


@dataclass(frozen=True)
class HostTraits:
    """What of a host shapes its guests. `virtualization` is libvirt's domain type: kvm, or qemu (software emulation)
    where KVM does not really start a guest. `numa`: the host knows its NUMA nodes, so that memory can be bound to one.
    `cpu_vendor` is Intel, AMD or another as libvirt names it.
    """

    virtualization: str
    numa: bool = False
    cpu_vendor: str = ""


@dataclass(frozen=True)
class MemorySpec:
    """Where a guest's memory comes from: evenly from `cells`, the host's NUMA nodes; `bound`: from no other.

    `hugepages` are (cell, page size in KiB, count), empty for ordinary memory. `allocation_threads`: None leaves it to QEMU.
    """

    cells: tuple[int, ...]
    bound: bool
    hugepages: tuple[tuple[int, int, int], ...]
    locked: bool
    nosharepages: bool
    allocation_threads: int | None

    @property
    def page_kib(self) -> int:
        """Size of its huge pages, 0 for ordinary memory."""
        return self.hugepages[0][1] if self.hugepages else 0


@dataclass(frozen=True)
class CpuSpec:
    """What a guest may know of its CPUs: `threads` successive vCPUs share a core; `exclusive`: nobody else is on them."""

    threads: int
    exclusive: bool
    vendor: str


@dataclass(frozen=True)
class DiskSpec:
    """A disk that a guest writes to. `path` is on the host, `block`: a device; `serial` is what the guest knows it by.

    `size_mib` is how much of a device is the guest's, 0 for all of it. `io` is QEMU's way: native (Linux AIO) or io_uring.
    """

    path: str
    format: str
    block: bool
    serial: str
    size_mib: int
    io: str


@dataclass(frozen=True)
class GuestSpec:
    """A domain, complete enough to write its XML. Sizes in MiB; paths are on the host; `virtualization` as for `HostTraits`."""

    cluster: str
    node: str
    host: str
    pool: str
    address: str
    mac: str
    mtu: int
    network: str
    vcpus: int
    memory_mib: int
    vcpu_pins: tuple[int, ...]
    emulator_cpus: tuple[int, ...]
    iothread_cpus: tuple[int, ...]
    virtualization: str
    memory: MemorySpec
    cpu: CpuSpec
    disks: tuple[DiskSpec, ...]
    seed_path: str
    bundle_path: str
    console_path: str

    @property
    def uuid(self) -> str:
        """The domain's uuid."""
        return object_uuid(self.cluster, "guest", self.node)

    @property
    def domain(self) -> str:
        """The domain's name in libvirt."""
        return domain_name(self.cluster, self.node)


@dataclass(frozen=True)
class VolumeSpec:
    """A root or data volume, created once and never replaced unasked. `kind` is root or data-NAME.

    `store` says what it is: a file of the pool (dir), a logical volume of `group` (logical), a whole device (block); `path`
    where that is. `name` is its stamp. A root volume begins as `base_path`, the base image; a data volume, without one, blank.
    """

    host: str
    pool: str
    node: str
    kind: str
    name: str
    size_mib: int
    store: str
    path: str
    group: str
    thin: bool
    base_path: str

    @property
    def title(self) -> str:
        """What plans and events call it."""
        return "root volume" if self.kind == "root" else "data volume"


@dataclass(frozen=True)
class SeedSpec:
    """A seed volume, named by the digest of all it says but the host key's private half."""

    host: str
    pool: str
    node: str
    name: str


@dataclass(frozen=True)
class Member:
    """A node's place in the cluster: how it is reached and where its pods live."""

    name: str
    role: str
    host: str
    address: str
    pod_subnet: str


@dataclass(frozen=True)
class Desired:
    """Everything that should exist for a cluster."""

    cluster: str
    pools: tuple[PoolSpec, ...]
    networks: tuple[NetworkSpec, ...]
    artifacts: tuple[Artifact, ...]
    groups: tuple[GroupSpec, ...]
    volumes: tuple[VolumeSpec, ...]
    seeds: tuple[SeedSpec, ...]
    guests: tuple[GuestSpec, ...]
    members: tuple[Member, ...]

    def guest(self, node: str) -> GuestSpec:
        """The guest of a node."""
        return next(guest for guest in self.guests if guest.node == node)


def domain_name(cluster: str, node: str) -> str:
    """`lab-cp1`: what virsh shows."""
    return f"{cluster}-{node}"


def mark(cluster: str, node: str, kind: str) -> str:
    """The stamp in a volume's name."""
    return object_uuid(cluster, "volume", kind, node)[:8]


def stem(cluster: str, node: str, kind: str) -> str:
    """`lab.cp1.root.1a2b3c4d`; `kind` may carry more behind a hyphen (seed-0123456789ab, data-tracing)."""
    return f"{cluster}.{node}.{kind}.{mark(cluster, node, kind.partition('-')[0])}"


def volume_name(cluster: str, node: str, kind: str, suffix: str) -> str:
    """`lab.cp1.root.1a2b3c4d.qcow2`: the stem as a file of a pool."""
    return f"{stem(cluster, node, kind)}.{suffix}"


def volume_owner(name: str) -> tuple[str, str, str] | None:
    """Cluster, node and kind of a file that carries our stamp, None for any other."""
    return stem_owner(name.rpartition(".")[0])


def stem_owner(name: str) -> tuple[str, str, str] | None:
    """The same for a logical volume or a device's claim, whose names have no suffix."""
    parts = name.split(".")
    if len(parts) != 4:
        return None
    cluster, node, kind, found = parts
    kind = kind.partition("-")[0]
    return (cluster, node, kind) if found == mark(cluster, node, kind) else None


def artifact_volume(name: str) -> bool:
    """Whether a volume is a base image or a bundle that meshctl put there."""
    parts = name.split(".")
    return len(parts) >= 4 and parts[0] == "meshctl" and len(parts[-2]) == 12


def members(cluster: Cluster, remembered: Mapping[str, str], hosts: Mapping[str, str]) -> tuple[Member, ...]:
    """Every node with its address and pod subnet. `remembered` are addresses in use, `hosts` the host per node."""
    addresses = node_addresses(cluster.network, cluster.nodes, remembered)
    pods = cluster.kubernetes.pod_cidr
    return tuple(
        Member(
            node.name,
            node.role,
            hosts.get(node.name, ""),
            addresses[node.name],
            pod_subnet(cluster.network, pods, addresses[node.name]),
        )
        for node in cluster.nodes
    )


def wishes(cluster: Cluster, node: str) -> tuple[Wish, ...]:
    """The volumes of a node, by the name that they have as logical volume or claim."""
    said = cluster.node(node)
    sizes = {"root": said.disk, **{f"data-{volume.name}": volume.size for volume in said.volumes}}
    return tuple(Wish(stem(cluster.cluster, node, kind), size // MIB) for kind, size in sizes.items())


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
) -> Desired:
    """What should exist: `pinnings` and `seed_digests` per node, `traits` per host, `remembered` addresses per node, `devices`
    by the name of the volume that gets one.
    """
    base, bundle = artifacts
    used = tuple(host for host in cluster.hosts if any(pin.host == host.name for pin in pinnings.values()))
    places = members(cluster, remembered, {name: pin.host for name, pin in pinnings.items()})
    seeds = tuple(_seed(cluster, member, seed_digests[member.name]) for member in places)
    volumes = {member.name: tuple(_volumes(cluster, member, base, devices or {})) for member in places}
    return Desired(
        cluster=cluster.cluster,
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
    """Root first, then data, each with the disk that the guest has of it."""
    pool, node = cluster.host(member.host).pool, cluster.node(member.name)
    for kind, wish in zip(("root", *(f"data-{v.name}" for v in node.volumes)), wishes(cluster, node.name), strict=True):
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
    name = volume_name(cluster.cluster, member.name, f"seed-{seed_digest[:12]}", "iso")
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
        mac=mac_address(cluster.cluster, member.name),
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
        console_path=f"{pool.path}/{volume_name(cluster.cluster, member.name, 'console', 'log')}",
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
