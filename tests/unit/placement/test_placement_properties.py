"""Placement against an independent judge: nothing forbidden, nothing moved, no refusal where an arrangement exists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from provision.inventory.model import NodeCpu
from provision.placement import place
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


@thorough
@given(cases(most_cpus=24, most_guests=6))
def test_no_rule_is_broken_and_every_guest_is_placed_or_refused(case: Case) -> None:
    found = place(case.cluster, case.topologies, case.foreign)
    assert list(violations(found, case)) == []
    names = [pin.node for pin in found.pinnings] + [refusal.node for refusal in found.refusals]
    assert sorted(names) == [node.name for node in case.cluster.nodes]
    assert all(refusal.reasons and all(refusal.reasons) for refusal in found.refusals)
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
