"""Whether hosts are such that guests can be placed on them at all. Each fault in a sentence, without the host's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from provision.base.cpu_lists import cpu_list
from provision.base.errors import PlacementError
from provision.inventory import Host
from provision.placement.topology import Topology

GUESTS_ARCHITECTURE = "x86_64"
"""Of the base image, the bundle's programs and the domains' XML. Another one's guests need firmware, devices and programs of their own."""


def absent(host: Host, topology: Topology) -> tuple[str, ...]:
    """What the inventory says of a host's CPUs and NUMA nodes that the host does not have: nothing of it would have an effect."""
    online, cells = {cpu.id for cpu in topology.cpus}, [cell.id for cell in topology.cells]
    gone, near = set(host.reserved_cpus or ()) - online, host.pool.numa_node
    found = []
    if gone:
        found.append(
            f"reserved_cpus names {cpu_list(gone)}; the host has CPUs {cpu_list(online) or 'none'}, others are offline or not there"
        )
    if near is not None and near not in cells:
        found.append(f"pool.numa_node is {near}; the host has NUMA nodes {cpu_list(cells) or 'none'}")
    return tuple(found)


def foreign_architecture(host: Host, topology: Topology) -> str:
    """Why no guest of ours runs on the host's CPUs, empty when they do. libvirt's test driver has none, it only says i686."""
    if topology.architecture in ("", GUESTS_ARCHITECTURE) or not host.real:
        return ""
    return f"is {topology.architecture}; meshctl's guests are {GUESTS_ARCHITECTURE}"


def check_hosts(hosts: Sequence[Host], topologies: Mapping[str, Topology]) -> None:
    """Raises PlacementError with all hosts whose CPUs run no guest of ours, else with all that the inventory names in vain."""
    why = {host.name: foreign_architecture(host, topologies[host.name]) for host in hosts}
    if found := "; ".join(f"{name} {fault}" for name, fault in why.items() if fault):
        raise PlacementError(
            found, hint=f"take out of the inventory what is not {GUESTS_ARCHITECTURE}: docs/supported.md"
        )
    faults = [f"{host.name}: {fault}" for host in hosts for fault in absent(host, topologies[host.name])]
    if faults:
        raise PlacementError(
            "; ".join(faults),
            hint="name what `virsh capabilities` shows there, or bring the CPUs online: chcpu -e LIST",
        )


def one_machine(topologies: Mapping[str, Topology]) -> dict[str, str]:
    """Hosts that are another host too, by the machine's own uuid, each with the reason: what is given on one is given on both."""
    first: dict[str, str] = {}
    found: dict[str, str] = {}
    for name, topology in topologies.items():
        other = first.setdefault(topology.machine, name)
        if topology.machine and other != name:
            found[name] = (
                f"is the machine of {other} (host uuid {topology.machine}), whose CPUs and memory would be given twice"
            )
    return found


def check_machines(topologies: Mapping[str, Topology]) -> None:
    """Raises PlacementError for hosts that are one machine. Where somebody asks what would fit on several alike, nobody need call it."""
    if found := one_machine(topologies):
        raise PlacementError("; ".join(f"{name} {why}" for name, why in found.items()), hint=TWO_MACHINES)


TWO_MACHINES = (
    "keep one of the two in the inventory; where they are two, whose boards carry the same uuid, give one another: host_uuid in"
    " /etc/libvirt/libvirtd.conf (virtqemud.conf)"
)
