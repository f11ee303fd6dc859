"""Which guests keep the pins they have, so that adding, resizing or removing one never moves another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from provision.inventory import Cluster, Node
from provision.placement.keep import kept, occupy, occupy_spared
from provision.placement.model import Tenant
from provision.placement.need import Need, need_of
from provision.placement.room import HostRoom
from provision.placement.search import Seated, sit


@dataclass(frozen=True)
class _Present:
    """A node whose guest is there, on a host where it may stay."""

    node: Node
    tenant: Tenant
    host: HostRoom
    need: Need

    @property
    def asks_more(self) -> bool:
        """Whether it wants memory that it does not have yet."""
        return self.need.memory_mib > self.tenant.memory_mib or self.need.page_kib != self.tenant.hugepage_kib

    @property
    def cpus(self) -> list[int]:
        """CPUs that it has: one for each pinned vCPU, and an emulator's own."""
        sets = (*self.tenant.vcpu_cpus, self.tenant.emulator_cpus)
        return [next(iter(cpus)) for cpus in sets if len(cpus) == 1]

    @property
    def given(self) -> frozenset[int]:
        """CPUs that it was given for itself alone, whoever came upon them later."""
        if not self.tenant.placed:
            return frozenset()
        vcpus = self.tenant.vcpu_cpus if self.need.dedicated else ()
        emulator = (self.tenant.emulator_cpus,) if self.need.isolated else ()
        return frozenset(cpu for cpus in (*vcpus, *emulator, self.siblings) for cpu in cpus)

    @property
    def siblings(self) -> set[int]:
        """CPUs that its policy keeps idle beside its own."""
        if not self.need.dedicated or self.need.threads != "isolate":
            return set()
        found: set[int] = set()
        for cpu in self.cpus:
            cell = self.host.layout.cell_of.get(cpu)
            if cell is not None:
                layout = self.host.layout.cells[cell]
                found.update(layout.cores[layout.core_of[cpu]])
        return found - set(self.cpus)


def staying(cluster: Cluster, hosts: Container[str], current: Sequence[Tenant]) -> dict[str, Tenant]:
    """The guest of each node where its pins could stay; none that belongs to a former node, or runs on a former host."""
    nodes = {node.name: node for node in cluster.nodes}
    found: dict[str, Tenant] = {}
    for tenant in current:
        node = nodes.get(tenant.node or "")
        if node is not None and tenant.host in hosts and node.host in (None, tenant.host):
            found.setdefault(node.name, tenant)
    return found


def remember(
    cluster: Cluster, hosts: Mapping[str, HostRoom], current: Sequence[Tenant], ours: Mapping[str, Tenant]
) -> dict[str, Seated]:
    """Takes off what the guests that are there hold, and gives the seats of those that stay as they are.

    Foreign guests come first: their pins are respected, but for those on CPUs that a guest of ours was given for itself
    before. Guests that we made and that should go hold what nobody keeps.
    """
    others = [tenant for tenant in current if tenant.host in hosts and ours.get(tenant.node or "") is not tenant]
    foreign = [tenant for tenant in others if tenant.node is None]
    present = [_present(node, ours[node.name], hosts) for node in cluster.nodes if node.name in ours]
    spared = _given(present)
    for tenant in foreign:
        occupy(hosts[tenant.host], tenant, spared[tenant.host])
    found = _keep(present)
    stayed = _given(one for one in present if one.node.name in found)
    for tenant in foreign:
        occupy_spared(hosts[tenant.host], tenant, spared[tenant.host] - stayed[tenant.host])
    for tenant in others:
        if tenant.node is not None:
            occupy(hosts[tenant.host], tenant)
    return found


def _given(present: Iterable[_Present]) -> defaultdict[str, frozenset[int]]:
    """CPUs that guests of ours were given for themselves, by host."""
    found: defaultdict[str, frozenset[int]] = defaultdict(frozenset)
    for one in present:
        found[one.host.host.name] |= one.given
    return found


def _keep(present: Sequence[_Present]) -> dict[str, Seated]:
    """Whoever asks for more than it has (memory, idle siblings, a CPU of its own) must not take what the others hold."""
    held, idle = _held(present)
    found: dict[str, Seated] = {}
    # On shared CPUs a guest that is to have some for itself leaves less to share: it comes after those that share.
    for one in sorted(present, key=lambda one: (one.asks_more, one.need.dedicated or one.need.isolated)):
        name = one.host.host.name
        held[name].subtract([*one.cpus, *idle[one.node.name]])
        if one.node.group is not None and one.node.group in one.host.groups:
            continue
        seats = kept(one.host, one.tenant, one.need, held[name])
        if seats is not None:
            sit(one.node, one.host, seats)
            found[one.node.name] = (one.host, seats)
    return found


def _present(node: Node, tenant: Tenant, hosts: Mapping[str, HostRoom]) -> _Present:
    host = hosts[tenant.host]
    return _Present(node, tenant, host, need_of(node, host.host))


def _held(present: Sequence[_Present]) -> tuple[dict[str, Counter[int]], dict[str, set[int]]]:
    """How many guests hold each CPU of each host, and the idle siblings that each guest really has: nobody is on them."""
    held: dict[str, Counter[int]] = defaultdict(Counter)
    for one in present:
        held[one.host.host.name].update(one.cpus)
    idle = {one.node.name: {cpu for cpu in one.siblings if not held[one.host.host.name][cpu]} for one in present}
    for one in present:
        held[one.host.host.name].update(idle[one.node.name])
    return held, idle
