"""Which CPUs of a host the experiment is about: where guests float, and where their neighbour is. Pure.

The experiment has CPUs of its own and leaves all others alone. With pins the neighbour is where placement would have put one: on CPUs that
the measured guests do not have. Without pins everybody may run everywhere on these CPUs, as a scheduler has it that nobody told anything.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from provision.base.cpu_lists import cpu_list, parse_cpu_list
from provision.bench.cells import FLOATING
from provision.libvirt_xml import DomainSeen
from provision.placement import Topology
from provision.specs import Owner

Cpus = frozenset[int]


@dataclass(frozen=True)
class Pins:
    """The CPUs of a guest's threads: of each vCPU, of the emulator, and of its iothread."""

    vcpus: tuple[Cpus, ...]
    emulator: Cpus
    iothread: Cpus

    @property
    def cpus(self) -> Cpus:
        """Those of all vCPUs."""
        return frozenset().union(*self.vcpus)

    def strays(self, given: Pins) -> bool:
        """Whether these, of a running guest, are not those that it was given. libvirt may keep nothing of threads that are free."""
        beside = ((self.emulator, given.emulator), (self.iothread, given.iothread))
        return self.vcpus != given.vcpus or any(one and one != other for one, other in beside)

    def widened(self, to: Cpus) -> Pins:
        """Free on `to`; emulator and iothread on their own CPUs too."""
        return Pins(tuple(to for _ in self.vcpus), self.emulator | to, self.iothread | to)


def given(domain: DomainSeen) -> Pins:
    """The pins that we gave a guest, by its stamp; where that is from before stamps had them, by its definition."""
    stamp, kept = domain.stamp, domain.definition
    if stamp is not None and stamp.vcpu_pins:
        vcpus = tuple(parse_cpu_list(cpu) for cpu in stamp.vcpu_pins.split(","))
        return Pins(vcpus, parse_cpu_list(stamp.emulator_cpus), parse_cpu_list(stamp.iothread_cpus))
    return _seen(kept)


def live(domain: DomainSeen) -> Pins:
    """The pins that a running guest has now."""
    return _seen(domain)


def _seen(domain: DomainSeen) -> Pins:
    iothreads = domain.iothread_cpus[:1] or ("",)
    return Pins(
        tuple(map(parse_cpu_list, domain.vcpu_cpus)), parse_cpu_list(domain.emulator_cpus), parse_cpu_list(iothreads[0])
    )


@dataclass(frozen=True)
class Ground:
    """A host's CPUs: `online` all; `measured` those of the guests that are measured; `others` those of the cluster's other guests;
    `reserved` the host's; `strangers` those that anybody else's guests may be on.
    """

    host: str
    online: Cpus
    measured: Cpus
    others: Cpus = frozenset()
    reserved: Cpus = frozenset()
    strangers: Cpus = frozenset()
    siblings: Cpus = frozenset()
    """All CPUs of the cores that measured guests have a thread of."""

    @property
    def beside(self) -> Cpus:
        """Where the neighbour is while pins are kept: on other guests' CPUs of the same cluster, else on as many free ones as the
        measured guests have, of other cores if there are any. Empty where there is no such CPU: nothing keeps a neighbour off then.
        """
        free = self.online - self.measured - self.others - self.reserved - self.strangers
        apart = free - self.siblings or free
        return (self.others - self.measured) or frozenset(sorted(apart)[: len(self.measured)])

    @property
    def floating(self) -> Cpus:
        """Where guests may run without pins: the CPUs of the whole experiment."""
        return self.measured | self.beside

    @property
    def loops(self) -> int:
        """How many busy loops the neighbour has, with pins and without: one for each CPU of the experiment."""
        return len(self.floating)

    def neighbour(self, pins: str) -> Cpus:
        """The CPUs that the neighbour's loops may run on."""
        return self.floating if pins == FLOATING else self.beside or self.measured

    def in_words(self) -> str:
        """For who is asked, and for the result."""
        said = f"{self.host}: the measured guests have CPUs {cpu_list(self.measured)}; floating they may run on {cpu_list(self.floating)}"
        if not self.beside:
            return f"{said}; no other CPU is left for a neighbour, so that it is on theirs, pinned or not: pins keep nobody off here"
        return f"{said}; a neighbour of {self.loops} busy loops is on {cpu_list(self.beside)} while they are pinned, else on all of these"


def ground(
    host: str, topology: Topology, reserved: Cpus, domains: Sequence[DomainSeen], owner: Owner, nodes: Collection[str]
) -> Ground:
    """The ground of a host by the domains that run there; `nodes` are those of the owner's that are measured."""
    everything = frozenset(cpu.id for cpu in topology.cpus)
    running = [one for one in domains if one.active]
    ours = [(one.stamp.node, given(one).cpus) for one in running if one.stamp is not None and owner.owns(one.stamp)]
    # A vCPU of somebody's without a pin may be anywhere.
    foreign = [
        parse_cpu_list(cpus) or everything for one in running if not owner.owns(one.stamp) for cpus in one.vcpu_cpus
    ]
    none: Cpus = frozenset()
    measured = none.union(*(cpus for node, cpus in ours if node in nodes))
    return Ground(
        host,
        everything,
        measured,
        others=none.union(*(cpus for node, cpus in ours if node not in nodes)),
        reserved=reserved,
        strangers=none.union(*foreign),
        siblings=none.union(*(cpu.siblings for cpu in topology.cpus if cpu.id in measured)),
    )
