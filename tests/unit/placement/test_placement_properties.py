"""Placement against an independent judge: nothing forbidden, nothing moved, no refusal where an arrangement exists."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from provision.inventory.model import NodeCpu
from provision.placement import Placement, place
from provision.placement.topology import Cell, Topology, replace_efficient
from tests.unit.placement.cases import (
    Case,
    cases,
    possible,
    random_case,
    tenants,
    violations,
)

thorough = settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


CHANGES: tuple[dict[str, Any], ...] = (
    {"vcpus": 4, "memory": 2**31, "numa_cells": "auto"},
    {"memory": 2**31},
    {"vcpus": 1, "numa_cells": "auto", "cpu": NodeCpu(threads="isolate")},
    {"cpu": NodeCpu(threads="isolate", policy="dedicated")},
    {"cpu": NodeCpu(emulator="isolated", policy="dedicated")},
    {"hugepages": "2MiB"},
)


def _holds(case: Case, placed: set[str]) -> Iterator[str]:
    """What a case exercises, by the guests that found a place."""
    for node in case.cluster.nodes:
        if node.name in placed:
            yield f"threads: {node.cpu.threads}"
            yield f"policy: {node.cpu.policy or 'of the host'}"
            yield f"emulator: {node.cpu.emulator}"
            yield f"NUMA nodes: {node.numa_cells}"
            yield f"huge pages: {node.hugepages or 'of the host'}"
            yield f"group: {node.group}"
            yield f"bound to a host: {node.host is not None}"
    yield from (f"foreign emulator: {bool(tenant.emulator_cpus)}" for tenant in case.foreign)
    yield from (f"foreign huge pages: {bool(tenant.hugepage_kib)}" for tenant in case.foreign)
    yield from (f"host: {host.cpu.policy}" for host in case.cluster.hosts)
    yield from (f"cells: {len(topology.cells)}" for topology in case.topologies.values())


def test_the_cases_hold_all_that_a_node_may_ask_and_a_host_may_have() -> None:
    seen: Counter[str] = Counter()
    for seed in range(2000):
        case = random_case(24, 1 + seed % 5, 1 + seed % 2, seed)
        placed = {pin.node for pin in place(case.cluster, case.topologies, case.foreign).pinnings}
        seen.update(set(_holds(case, placed)))
    print(*(f"{count:5} {what}" for what, count in sorted(seen.items())), sep="\n")
    assert min(seen.values()) >= 40, seen
    assert len(seen) == 24, seen


_SHORT = re.compile(
    r"(-?[0-9.]+) (?:dedicated CPUs free|whole cores free|vCPUs left at ratio \S+|MiB free|free huge pages of \S+"
    r"|of [0-9]+ free CPUs can be dedicated), (\d+) needed( and 1 for the emulator)?"
)


def untrue(found: Placement) -> Iterator[str]:
    """Reasons whose own numbers say that there is enough."""
    for refusal in found.refusals:
        for reason in refusal.reasons:
            short = _SHORT.search(reason)
            if short and float(short[1]) >= int(short[2]) + bool(short[3]):
                yield f"{refusal.node}, {refusal.needs}: {reason}"


@thorough
@given(cases(most_cpus=24, most_guests=6))
def test_no_rule_is_broken_and_every_guest_is_placed_or_refused(case: Case) -> None:
    found = place(case.cluster, case.topologies, case.foreign)
    assert list(violations(found, case)) == []
    names = [pin.node for pin in found.pinnings] + [refusal.node for refusal in found.refusals]
    assert sorted(names) == [node.name for node in case.cluster.nodes]
    assert all(refusal.reasons and all(refusal.reasons) for refusal in found.refusals)
    assert list(untrue(found)) == []
    assert place(case.cluster, case.topologies, case.foreign) == found
    event(f"{len(found.refusals)} refused")


@thorough
@given(cases(most_cpus=24, most_guests=5), st.data())
def test_adding_removing_and_resizing_moves_nobody_else(case: Case, data: st.DataObject) -> None:
    found = place(case.cluster, case.topologies, case.foreign)
    placed = {pin.node: pin for pin in found.pinnings}
    there = tenants(found, case)
    again = place(case.cluster, case.topologies, (*case.foreign, *there))
    assert {pin.node: pin for pin in again.pinnings if pin.node in placed} == placed
    if not placed:
        return
    victim = data.draw(st.sampled_from(sorted(placed)))
    others = {name: pin for name, pin in placed.items() if name != victim}
    fewer = [node for node in case.cluster.nodes if node.name != victim]
    removed = place(case.cluster.model_copy(update={"nodes": tuple(fewer)}), case.topologies, (*case.foreign, *there))
    assert {pin.node: pin for pin in removed.pinnings if pin.node in others} == others
    other_size = case.cluster.node(victim).model_copy(update=data.draw(st.sampled_from(CHANGES)))
    resized = tuple(other_size if node.name == victim else node for node in case.cluster.nodes)
    changed = replace(case, cluster=case.cluster.model_copy(update={"nodes": resized}))
    after = place(changed.cluster, case.topologies, (*case.foreign, *there))
    assert {pin.node: pin for pin in after.pinnings if pin.node in others} == others
    assert list(violations(after, changed)) == []
    assert all(pin.host == placed[victim].host for pin in after.pinnings if pin.node == victim)


@thorough
@given(cases(most_cpus=16, most_guests=4))
def test_a_refusal_is_given_only_when_no_arrangement_exists(case: Case) -> None:
    found = place(case.cluster, case.topologies, case.foreign)
    event("refused" if found.refusals else "placed")
    assert bool(found.refusals) != possible(case)


@thorough
@given(cases(most_cpus=16, most_guests=4), st.integers(0, 2**48))
def test_cores_of_two_kinds_are_mixed_in_no_guest(case: Case, seed: int) -> None:
    chance = Random(seed)
    topologies = {}
    for name, topology in case.topologies.items():
        cores = {cpu.siblings for cpu in topology.cpus}
        some = chance.sample(sorted(cores, key=min), chance.randint(0, len(cores)))
        topologies[name] = replace_efficient(topology, frozenset[int]().union(*some))
    case = replace(case, topologies=topologies)
    found = place(case.cluster, topologies, case.foreign)
    assert list(violations(found, case)) == []
    assert list(untrue(found)) == []
    for pin in found.pinnings:
        slow = topologies[pin.host].efficient
        assert len({cpu in slow for cpu in pin.vcpu_pins}) == 1
    event(f"hybrid: {any(topology.efficient for topology in topologies.values())}, {len(found.refusals)} refused")


def lying(seed: int, case: Case) -> Case:
    """The case on hosts whose firmware lies: CPUs named by several cells, or by none but in the siblings; cells that are empty."""
    chance = Random(seed)
    return replace(case, topologies={name: _lying(chance, one.cells) for name, one in case.topologies.items()})


def _lying(chance: Random, cells: Sequence[Cell]) -> Topology:
    everyone = [cpu for cell in cells for cpu in cell.cpus]
    ids = [cpu.id for cpu in everyone]
    found = []
    for cell in (*cells, Cell(len(cells), 8192, ()), Cell(len(cells) + 1, 8192, ())):
        cpus = [*cell.cpus, *chance.sample(everyone, chance.choice((0, 0, 1, len(everyone) // 2, len(everyone))))]
        if chance.random() < 0.2:
            cpus = []
        chance.shuffle(cpus)
        strange = (cpu.siblings | set(chance.sample(ids, chance.choice((0, 0, 0, 1)))) for cpu in cpus)
        found.append(replace(cell, cpus=tuple(replace(c, siblings=s) for c, s in zip(cpus, strange, strict=True))))
    return Topology(tuple(found))


@thorough
@given(cases(most_cpus=12, most_guests=4), st.integers(0, 2**48))
def test_no_cpu_has_two_dedicated_owners_whatever_the_firmware_says(case: Case, seed: int) -> None:
    case = lying(seed, case)
    hosts = tuple(
        host.model_copy(update={"reserved_cpus": None, "pool": host.pool.model_copy(update={"numa_node": None})})
        for host in case.cluster.hosts
    )
    cluster = case.cluster.model_copy(update={"hosts": hosts})
    found = place(cluster, case.topologies, case.foreign)
    for host in hosts:
        pins = [(pin, cluster.node(pin.node)) for pin in found.pinnings if pin.host == host.name]
        alone = [cpu for pin, _ in pins if pin.exclusive for cpu in pin.vcpu_pins]
        alone += [cpu for pin, node in pins if node.cpu.emulator == "isolated" for cpu in pin.emulator_cpus]
        shared = {cpu for pin, _ in pins if not pin.exclusive for cpu in pin.vcpu_pins}
        assert len(alone) == len(set(alone))
        assert not shared & set(alone)
    assert list(violations(found, replace(case, cluster=cluster))) == []
    event("strayed" if any(topology.strayed for topology in case.topologies.values()) else "textbook")
