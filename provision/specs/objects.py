"""What should exist on the hosts, as data: specs of pools, volumes, networks and guests, with their uuids and digests."""

from __future__ import annotations

import functools
import hashlib
import json
import uuid
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields, is_dataclass

from provision.specs.artifact_names import artifact_name, baked_name

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:meshctl:1")
"""The uuid5 namespace of everything we name."""


def object_uuid(*parts: str) -> str:
    """The uuid of an object of ours: uuid5 of its path, for example cluster, kind and name."""
    return str(uuid.uuid5(NAMESPACE, "/".join(parts)))


@functools.lru_cache(maxsize=4096)
def digest(spec: Hashable) -> str:
    """16 hex digits over a dataclass's values: equal specs, equal digests. A plan asks for each several times."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    """A dataclass as what JSON has."""
    if is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in fields(value)}
    return str(value)


BASE_IMAGE, BUNDLE = "base image", "bundle"
"""The kinds of artifacts."""


@dataclass(frozen=True)
class Artifact:
    """A file on the operator's machine that goes into every pool once: base image or bundle disk.

    `sha256` is of its content, and so is `volume`, the name by which pools have copies of it; `size` is in bytes.
    """

    kind: str
    title: str
    volume: str
    path: str
    sha256: str
    size: int


def base_image(name: str, path: str, sha256: str, size: int) -> Artifact:
    """The base image as an artifact."""
    return Artifact(BASE_IMAGE, name, artifact_name(name, sha256, "qcow2"), path, sha256, size)


def baked_image(base: Artifact, kubernetes: str, path: str, sha256: str, size: int) -> Artifact:
    """A base image with a bundle's programs and container images in it, as an artifact in the base image's place."""
    title = f"{base.title}, baked with Kubernetes {kubernetes},"
    volume = artifact_name(baked_name(base.title, base.sha256), sha256, "qcow2")
    return Artifact(BASE_IMAGE, title, volume, path, sha256, size)


def bundle_disk(version: str, path: str, sha256: str, size: int) -> Artifact:
    """The bundle's disk as an artifact."""
    return Artifact(BUNDLE, version, artifact_name("bundle", sha256, "iso"), path, sha256, size)


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
    """A domain, complete enough to write its XML. Sizes in MiB; paths are on the host; `virtualization` as for `HostTraits`.

    The last part of `bundle_path` is the artifact's name until the guest is made, then that of the copy that it has.
    """

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
    """A root, state or data volume, created once and never replaced unasked. `kind` is root, state or data-NAME.

    `store` says what it is: a file of the pool (dir), a logical volume of `group` (logical), a whole device (block); `path`
    where that is. `name` is its stamp. A root volume begins as `base_path`, the base image; others, without one, blank.
    Its last part is the artifact's name: which copy of it is in the pool is seen when the volume is made.
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
        return f"{self.kind.partition('-')[0]} volume"

    @property
    def sparse(self) -> bool:
        """Whether its file gets blocks as it is written to, not all of them at the start."""
        return not self.kind.startswith("data-")


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
    """Everything that should exist for a cluster; `owner_id` is its owner's (`Owner`). `leaving` are guests that are there and that the
    inventory no longer has. `service_cidr` is where Services get their addresses. `kubernetes` is its version (``v1.20.2``). `expires` is
    until when the cluster is needed, a moment: empty for one that nobody throws away. `endpoint` is the virtual address of its control
    planes, empty where there is none.
    """

    cluster: str
    owner_id: str
    pools: tuple[PoolSpec, ...]
    networks: tuple[NetworkSpec, ...]
    artifacts: tuple[Artifact, ...]
    groups: tuple[GroupSpec, ...]
    volumes: tuple[VolumeSpec, ...]
    seeds: tuple[SeedSpec, ...]
    guests: tuple[GuestSpec, ...]
    members: tuple[Member, ...]
    kubernetes: str
    leaving: tuple[Member, ...] = ()
    service_cidr: str = ""
    expires: str = ""
    endpoint: str = ""

    @property
    def base_image(self) -> Artifact:
        """What root volumes are made from."""
        return next(artifact for artifact in self.artifacts if artifact.kind == BASE_IMAGE)

    @property
    def bundle(self) -> Artifact:
        """The disk that new guests get."""
        return next(artifact for artifact in self.artifacts if artifact.kind == BUNDLE)

    def guest(self, node: str) -> GuestSpec:
        """The guest of a node."""
        return self._by_node[node]

    @property
    def control_planes(self) -> tuple[Member, ...]:
        """The members that run an API server, in the inventory's order."""
        return tuple(member for member in self.members if member.role == "control-plane")

    @functools.cached_property
    def _by_node(self) -> Mapping[str, GuestSpec]:
        return {guest.node: guest for guest in self.guests}


def domain_name(cluster: str, node: str) -> str:
    """`lab-cp1`: what virsh shows."""
    return f"{cluster}-{node}"
