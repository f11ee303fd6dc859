"""Guests that a host has, from libvirt's description to what placement wants to know of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from provision.base.cpu_lists import parse_cpu_list
from provision.libvirt_xml import DomainSeen, MemoryPart
from provision.placement.model import MemoryHeld, Tenant


def tenants(cluster: str, host: str, domains: Iterable[DomainSeen]) -> list[Tenant]:
    """Others' guests without a node, with the CPUs that they have; ours by node, with those that we gave them.

    What somebody made of our guests' pins since is no wish of the inventory's: it is drift, and `provision` puts it back.
    """
    return [_ours(cluster, host, domain) or _tenant(host, domain) for domain in domains]


def _tenant(host: str, domain: DomainSeen) -> Tenant:
    return Tenant(
        host=host,
        name=domain.name,
        node=None,
        vcpu_cpus=tuple(parse_cpu_list(cpus) for cpus in domain.vcpu_cpus),
        memory_mib=domain.memory_mib,
        emulator_cpus=parse_cpu_list(domain.emulator_cpus),
        iothread_cpus=frozenset(cpu for cpus in domain.iothread_cpus for cpu in parse_cpu_list(cpus)),
        memory_cells=tuple(sorted(parse_cpu_list(domain.memory_nodes))),
        hugepage_kib=domain.hugepage_kib,
        memory=tuple(map(_held, domain.memory_parts)),
    )


def _held(part: MemoryPart) -> MemoryHeld:
    nodes = tuple(sorted(parse_cpu_list(part.nodes)))
    return MemoryHeld(part.memory_mib, nodes, part.page_kib, parse_cpu_list(part.vcpus))


def _ours(cluster: str, host: str, domain: DomainSeen) -> Tenant | None:
    """One of ours as its definition has it, on the pins in its stamp. An older stamp has none: then the definition's."""
    stamp = domain.definition.stamp or domain.stamp
    if stamp is None or stamp.cluster != cluster:
        return None
    found = replace(_tenant(host, domain.definition), node=stamp.node)
    if not stamp.vcpu_pins:
        return found
    return replace(
        found,
        vcpu_cpus=tuple(parse_cpu_list(cpu) for cpu in stamp.vcpu_pins.split(",")),
        emulator_cpus=parse_cpu_list(stamp.emulator_cpus),
        iothread_cpus=parse_cpu_list(stamp.iothread_cpus),
        placed=True,
    )
