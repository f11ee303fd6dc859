"""The world as it was seen: what the plan, removals and drift compare with. Data only."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from provision.base.units import MIB
from provision.libvirt_xml import DomainSeen, Holder, NetworkSeen, PoolSeen, VolumeSeen
from provision.storage import Obstacle, StorageSeen


@dataclass(frozen=True)
class HostSeen:
    """One host, observed. `volumes` are the files of the inventory's pool there, `storage` is what a look below it gave.

    `abandoned` are uploads in that pool that nobody goes on with; `holders` are looked for only before something is removed.
    `kvm_fault` says why `virtualization` is not kvm, where that was tried out.
    """

    domains: tuple[DomainSeen, ...]
    networks: tuple[NetworkSeen, ...]
    pools: tuple[PoolSeen, ...]
    volumes: tuple[VolumeSeen, ...]
    virtualization: str = "qemu"
    storage: StorageSeen = field(default_factory=StorageSeen)
    abandoned: frozenset[str] = frozenset()
    holders: tuple[Holder, ...] = ()
    kvm_fault: str = ""

    def domain(self, name: str) -> DomainSeen | None:
        """The domain called `name`, if there is one."""
        return self._by_name.get(name)

    @functools.cached_property
    def _by_name(self) -> Mapping[str, DomainSeen]:
        return {domain.name: domain for domain in self.domains}

    @functools.cached_property
    def sizes_mib(self) -> Mapping[str, int]:
        """The sizes of the disks in the pool's files, of those that were asked for."""
        return {volume.name: volume.capacity // MIB for volume in self.volumes if volume.capacity}

    def uses(self, folder: str) -> bool:
        """Whether any domain has a disk in a folder."""
        return any(disk.startswith(f"{folder}/") for domain in self.domains for disk in domain.disks)


@dataclass(frozen=True)
class NodeSeen:
    """One guest, observed from inside. Empty tuples and strings mean «nothing to do».

    `unreachable` says why there is no answer; `unsettled` what of the first boot or of sysctl is not as it must be;
    `unprepared` what differs in the node's software; `member` whether kubeadm has made it a member; `drained` whether a run of ours
    has emptied it and was ended before it took that back. `role` is what kubeadm made of it, `service_cidr` the Services' addresses that
    its API server gives; both empty where there is none. `strays` are addresses that it has routes to and that no guest has.
    `login` is what is to be changed of who may log in, `refused` whether neither the wanted login nor a former one is let in.
    `led` is the address that its mesh's ports are led to while its router is replaced.
    `open`: its base image is older than the firewall that it should have.
    `version` is the Kubernetes that a member was prepared for last; `bundle_wanted`: something of the bundle is to be installed or loaded.
    """

    unreachable: str = ""
    unsettled: tuple[str, ...] = ()
    unprepared: tuple[str, ...] = ()
    member: bool = False
    drained: bool = False
    role: str = ""
    service_cidr: str = ""
    strays: tuple[str, ...] = ()
    login: str = ""
    refused: bool = False
    version: str = ""
    bundle_wanted: bool = False
    led: str = ""
    open: bool = False


@dataclass(frozen=True)
class Observed:
    """Everything that the plan compares with. `mesh` says what is stale in the mesh: None when nobody could ask.

    `wipes` are, by host, the devices that hold what the inventory and the command allow to be lost; `known` the nodes that
    Kubernetes knows, and whether it calls each Ready: asked for only where a member may have no guest.
    """

    hosts: Mapping[str, HostSeen]
    nodes: Mapping[str, NodeSeen] = field(default_factory=dict)
    mesh: tuple[str, ...] | None = None
    wipes: Mapping[str, tuple[Obstacle, ...]] = field(default_factory=dict)
    answering: Mapping[str, str] = field(default_factory=dict)
    """Addresses that were to be given and are in use on the wire: by whom, as far as the host can tell."""
    known: Mapping[str, bool] = field(default_factory=dict)

    def without(self, cluster: str, nodes: Collection[str]) -> Observed:
        """The same as if these nodes had no guests."""
        if not nodes:
            return self
        there = {id(domain) for _, domain in self.stamped(cluster) if domain.stamp and domain.stamp.node in nodes}
        hosts = {
            host: replace(seen, domains=tuple(domain for domain in seen.domains if id(domain) not in there))
            for host, seen in self.hosts.items()
        }
        return replace(self, hosts=hosts, nodes={name: seen for name, seen in self.nodes.items() if name not in nodes})

    def guestless(self, cluster: str) -> frozenset[str]:
        """The nodes that Kubernetes knows and that have no guest on any host."""
        there = {domain.stamp.node for _, domain in self.stamped(cluster) if domain.stamp is not None}
        return frozenset(self.known) - there

    def first_member(self, names: Iterable[str]) -> str:
        """The first of these nodes that is a member of the cluster, "" when none is."""
        return next((name for name in names if self.nodes.get(name, NodeSeen()).member), "")

    def stamped(self, cluster: str) -> Iterator[tuple[str, DomainSeen]]:
        """Our domains: host and domain."""
        for host, seen in self.hosts.items():
            for domain in seen.domains:
                if domain.stamp is not None and domain.stamp.cluster == cluster:
                    yield host, domain
