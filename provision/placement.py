"""Which CPUs of which host each guest gets. Pure, deterministic, and it remembers: pins that are still right stay.

`dedicated`: a CPU serves one vCPU, foreign domains' pins are respected, reserved CPUs carry emulator and iothreads.
`shared`: pins may overlap, up to the host's ratio, the least loaded CPUs first. A guest stays within one NUMA node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from provision.inventory import Cluster, Host, Node
from provision.topology import Cell, Topology
from provision.units import MIB


@dataclass(frozen=True)
class Tenant:
    """A guest that a host already has. `node` is its name in our inventory, None for a foreign one; `vcpu_cpus` is one
    CPU set per vCPU (all CPUs for one that floats).
    """

    host: str
    name: str
    node: str | None
    vcpu_cpus: tuple[frozenset[int], ...]
    memory_mib: int


@dataclass(frozen=True)
class Pinning:
    """Where a guest runs. `vcpu_pins` is one CPU per vCPU; `hugepages` are (cell, page size in KiB, count)."""

    node: str
    host: str
    cells: tuple[int, ...]
    vcpu_pins: tuple[int, ...]
    emulator_cpus: tuple[int, ...]
    iothread_cpus: tuple[int, ...]
    hugepages: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A guest that fits nowhere: what it needs, and per host and cell what is left and which constraint fails."""

    node: str
    needs: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.node} needs {self.needs}: {'; '.join(self.reasons)}"


@dataclass(frozen=True)
class Placement:
    """Pins of the guests that fit, and the refusals of those that do not."""

    pinnings: tuple[Pinning, ...]
    refusals: tuple[Refusal, ...]


@dataclass
class _Ledger:
    """What is taken on one host, while guests are placed one after the other."""

    host: Host
    topology: Topology
    reserved: frozenset[int]
    load: Counter[int] = field(default_factory=Counter)
    memory_mib: Counter[int] = field(default_factory=Counter)

    @property
    def dedicated(self) -> bool:
        return self.host.cpu.policy == "dedicated"

    def usable(self, cell: Cell) -> list[int]:
        """CPUs that a vCPU may get, the least loaded first."""
        cpus = [cpu.id for cpu in cell.cpus if cpu.id not in self.reserved]
        if self.dedicated:
            return [cpu for cpu in cpus if not self.load[cpu]]
        return sorted(cpus, key=lambda cpu: (self.load[cpu], cpu))

    def free_memory_mib(self, cell: Cell) -> int:
        kept_back = self.host.reserved_memory // MIB // max(1, len(self.topology.cells))
        return cell.memory_mib - kept_back - self.memory_mib[cell.id]

    def take(self, cell: int, cpus: Iterable[int], memory_mib: int) -> None:
        self.load.update(cpus)
        self.memory_mib[cell] += memory_mib


def place(cluster: Cluster, topologies: Mapping[str, Topology], current: Sequence[Tenant]) -> Placement:
    """Pins for every node of the inventory, or its refusal. `current` are the guests that the hosts have now."""
    ledgers = {host.name: _ledger(host, topologies[host.name]) for host in cluster.hosts}
    ours = {tenant.node: tenant for tenant in current if tenant.node is not None}
    for tenant in current:
        if tenant.node is None and tenant.host in ledgers:
            _admit_foreign(ledgers[tenant.host], tenant)
    found: dict[str, Pinning] = {}
    for node in cluster.nodes:
        kept = _keep(node, ours.get(node.name), ledgers)
        if kept is not None:
            found[node.name] = kept
    refusals = []
    for node in cluster.nodes:
        if node.name not in found:
            answer = _place_new(node, ours.get(node.name), ledgers)
            if isinstance(answer, Refusal):
                refusals.append(answer)
            else:
                found[node.name] = answer
    return Placement(tuple(found[node.name] for node in cluster.nodes if node.name in found), tuple(refusals))


def _ledger(host: Host, topology: Topology) -> _Ledger:
    return _Ledger(host, topology, frozenset(_reserved(host, topology)))


def _reserved(host: Host, topology: Topology) -> Iterable[int]:
    """The inventory's, else the first core of each NUMA node with its siblings, as Nova's documentation advises."""
    if host.reserved_cpus is not None:
        return host.reserved_cpus
    firsts = (min(cell.cpus, key=lambda cpu: cpu.id) for cell in topology.cells if cell.cpus)
    return {sibling for first in firsts for sibling in first.siblings}


def _admit_foreign(ledger: _Ledger, tenant: Tenant) -> None:
    """A foreign guest keeps the CPUs that it is pinned to; one that floats over all CPUs claims none."""
    everything = {cpu.id for cpu in ledger.topology.cpus}
    pinned = [cpu for cpus in tenant.vcpu_cpus if cpus < everything for cpu in cpus]
    cell = _cell_of(ledger, pinned)
    ledger.take(cell.id if cell else -1, pinned, tenant.memory_mib)


def _cell_of(ledger: _Ledger, cpus: Iterable[int]) -> Cell | None:
    wanted = set(cpus)
    return next((cell for cell in ledger.topology.cells if wanted and wanted <= {cpu.id for cpu in cell.cpus}), None)


def _keep(node: Node, tenant: Tenant | None, ledgers: Mapping[str, _Ledger]) -> Pinning | None:
    """The pins that a guest has, when they are still right: one allowed CPU per vCPU, all in one cell."""
    if tenant is None or tenant.host not in ledgers or node.host not in (None, tenant.host):
        return None
    if len(tenant.vcpu_cpus) != node.vcpus or any(len(cpus) != 1 for cpus in tenant.vcpu_cpus):
        return None
    ledger = ledgers[tenant.host]
    pins = tuple(cpu for cpus in tenant.vcpu_cpus for cpu in cpus)
    cell = _cell_of(ledger, pins)
    if cell is None or not set(pins) <= set(ledger.usable(cell)) or (ledger.dedicated and len(set(pins)) < len(pins)):
        return None
    ledger.take(cell.id, pins, node.memory_mib)
    return _pinning(node, ledger, cell, pins)


def _place_new(node: Node, tenant: Tenant | None, ledgers: Mapping[str, _Ledger]) -> Pinning | Refusal:
    """A guest stays on the host where its volumes are; a new one goes where most CPUs are free."""
    wanted = node.host or (tenant.host if tenant is not None else None)
    candidates = [ledger for name, ledger in ledgers.items() if wanted in (None, name)]
    choices = [
        (ledger, cell) for ledger in candidates for cell in ledger.topology.cells if not _obstacle(node, ledger, cell)
    ]
    if not choices:
        reasons = tuple(
            f"{one.host.name} cell {c.id}: {_obstacle(node, one, c)}" for one in candidates for c in one.topology.cells
        )
        return Refusal(
            node.name, f"{node.vcpus} CPUs and {node.memory_mib} MiB", reasons or (f"there is no host {wanted}",)
        )
    ledger, cell = max(choices, key=lambda choice: (_room(*choice), choice[0].free_memory_mib(choice[1])))
    usable = ledger.usable(cell)
    pins = tuple(usable[vcpu % len(usable)] for vcpu in range(node.vcpus))
    ledger.take(cell.id, pins, node.memory_mib)
    return _pinning(node, ledger, cell, pins)


def _room(ledger: _Ledger, cell: Cell) -> float:
    usable = ledger.usable(cell)
    return (
        len(usable)
        if ledger.dedicated
        else len(usable) * ledger.host.cpu.ratio - sum(ledger.load[cpu] for cpu in usable)
    )


def _obstacle(node: Node, ledger: _Ledger, cell: Cell) -> str:
    """Why the guest does not fit this cell, empty when it does."""
    kind = "dedicated CPUs free" if ledger.dedicated else f"vCPUs left at ratio {ledger.host.cpu.ratio:g}"
    room = _room(ledger, cell)
    if room < node.vcpus:
        return f"{room:g} {kind}, {node.vcpus} needed"
    free = ledger.free_memory_mib(cell)
    return f"{free} MiB free, {node.memory_mib} needed" if free < node.memory_mib else ""


def _pinning(node: Node, ledger: _Ledger, cell: Cell, pins: tuple[int, ...]) -> Pinning:
    """Emulator and iothread go to the cell's reserved CPUs; without such to the guest's own (dedicated) or the cell's."""
    reserved = tuple(sorted(cpu.id for cpu in cell.cpus if cpu.id in ledger.reserved))
    own = tuple(sorted(set(pins))) if ledger.dedicated else tuple(sorted(cpu.id for cpu in cell.cpus))
    housekeeping = reserved or own
    return Pinning(node.name, ledger.host.name, (cell.id,), pins, housekeeping, housekeeping)
