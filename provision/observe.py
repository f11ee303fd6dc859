"""Reads the world: hosts in bulk over libvirt, all at once; guests over SSH, all at once."""

from __future__ import annotations

from collections.abc import Mapping

from provision.desired import PoolSpec
from provision.hypervisor import Hypervisor
from provision.inventory import Cluster, Host
from provision.parallel import for_each
from provision.plan import HostSeen
from provision.topology import Topology, parse_capabilities


def observe_hosts(cluster: Cluster, hypervisors: Mapping[str, Hypervisor], *, probe: bool = True) -> dict[str, HostSeen]:
    """Every host as it is now. With `probe`, where no guest of ours shows whether KVM works, it is tried out."""
    seen = for_each(cluster.hosts, lambda host: _observe_host(cluster.cluster, host, hypervisors[host.name], probe))
    return {host.name: one for host, one in zip(cluster.hosts, seen, strict=True)}


def _observe_host(cluster: str, host: Host, hypervisor: Hypervisor, probe: bool) -> HostSeen:
    domains = hypervisor.domains()
    ours = next((d for d in domains if d.stamp is not None and d.stamp.cluster == cluster), None)
    kvm = ours.type == "kvm" if ours is not None else probe and hypervisor.kvm_works()
    return HostSeen(
        domains=domains,
        networks=hypervisor.networks(),
        pools=hypervisor.pools(),
        volumes=hypervisor.volumes(host.pool.name),
        virtualization="kvm" if kvm else "qemu",
    )


def observe_topologies(cluster: Cluster, hypervisors: Mapping[str, Hypervisor]) -> dict[str, Topology]:
    """CPUs and memory of every host."""
    texts = for_each(cluster.hosts, lambda host: (hypervisors[host.name].capabilities(), hypervisors[host.name].node_cpus()))
    return {
        host.name: parse_capabilities(xml, cpus=cpus) for host, (xml, cpus) in zip(cluster.hosts, texts, strict=True)
    }


def remembered_addresses(cluster: Cluster, hosts: Mapping[str, HostSeen]) -> dict[str, str]:
    """Addresses that our guests have, from their stamps: a node keeps its address whatever happens to others."""
    stamps = (domain.stamp for seen in hosts.values() for domain in seen.domains)
    return {stamp.node: stamp.address for stamp in stamps if stamp is not None and stamp.cluster == cluster.cluster and stamp.node}


def pool_specs(cluster: Cluster) -> dict[str, PoolSpec]:
    """The inventory's pool on each host."""
    return {host.name: PoolSpec(host.name, host.pool.name, host.pool.type, host.pool.path) for host in cluster.hosts}
