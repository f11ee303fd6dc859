"""Guests that a host has, from libvirt's description to what placement wants to know of them."""

from __future__ import annotations

from collections.abc import Iterable

from provision.cpu_lists import parse_cpu_list
from provision.domain_xml import DomainSeen
from provision.placement import Tenant


def tenants(cluster: str, host: str, domains: Iterable[DomainSeen]) -> list[Tenant]:
    """Ours by node, others without; with the CPUs that each vCPU may use."""
    return [
        Tenant(
            host=host,
            name=domain.name,
            node=domain.stamp.node if domain.stamp is not None and domain.stamp.cluster == cluster else None,
            vcpu_cpus=tuple(parse_cpu_list(cpus) for cpus in domain.vcpu_cpus),
            memory_mib=domain.memory_mib,
            emulator_cpus=parse_cpu_list(domain.emulator_cpus),
            iothread_cpus=frozenset(cpu for cpus in domain.iothread_cpus for cpu in parse_cpu_list(cpus)),
            memory_cells=tuple(sorted(parse_cpu_list(domain.memory_nodes))),
            hugepage_kib=domain.hugepage_kib,
        )
        for domain in domains
    ]
