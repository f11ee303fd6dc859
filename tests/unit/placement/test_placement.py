"""Placement on machines of several kinds: who gets what, what is remembered, and what a refusal says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from provision.base.errors import PlacementError
from provision.inventory.model import Cluster
from provision.placement import Pinning, Placement, Tenant, place
from provision.placement.picture import as_map
from provision.placement.topology import Cell, Cpu, Topology
from tests.unit.placement.cases import cluster as several
from tests.unit.placement.test_topology import machine


def host(cells: int = 1, cores: int = 4, threads: int = 2, memory_mib: int = 16384) -> Topology:
    """CPUs numbered as two-socket machines do: core n of all cells first, then the second threads."""
    total = cells * cores
    found = []
    for cell in range(cells):
        ids = [core * cells + cell + thread * total for core in range(cores) for thread in range(threads)]
        cpus = tuple(
            Cpu(i, cell, 0, i % total, frozenset(range(i % total, total * threads, total))) for i in sorted(ids)
        )
        found.append(Cell(cell, memory_mib, cpus))
    return Topology(tuple(found))


def cluster(*nodes: dict[str, object], policy: str = "dedicated", **more: object) -> Cluster:
    first = {"role": "control-plane", "memory": "2GiB", "disk": "10GiB"}
    rest = {**first, "role": "worker"}
    return Cluster.model_validate(
        {
            "apiVersion": "meshctl/v1",
            "cluster": "t",
            "hosts": [{"name": "hv1", "uri": "qemu:///system", "cpu": {"policy": policy}, **more}],
            "network": {"cidr": "10.77.0.0/24"},
            "nodes": [{**(rest if number else first), **node} for number, node in enumerate(nodes)],
            "ssh": {"public_key": "ssh-ed25519 AAAA"},
            "kubernetes": {"version": "v1.20.2"},
        }
    )


def tenants(found: Placement) -> list[Tenant]:
    return [
        Tenant(p.host, p.node, p.node, tuple(frozenset({cpu}) for cpu in p.vcpu_pins), 2048) for p in found.pinnings
    ]


def node(name: str, vcpus: int, memory: str = "2GiB", **more: Any) -> dict[str, Any]:
    return {"name": name, "vcpus": vcpus, "memory": memory, **more}


def on(kind: str, *nodes: dict[str, Any], current: Sequence[Tenant] = (), **hv1: Any) -> Placement:
    """Placement on one host of a kind."""
    return place(several([{"name": "hv1", **hv1}], list(nodes)), {"hv1": machine(kind)}, current)


def pins(found: Placement) -> dict[str, tuple[int, ...]]:
    return {pinning.node: pinning.vcpu_pins for pinning in found.pinnings}


def test_dedicated_cpus_are_given_once_and_reserved_ones_never() -> None:
    found = place(cluster({"name": "a", "vcpus": 3}, {"name": "b", "vcpus": 3}), {"hv1": host()}, [])
    given = [cpu for pinning in found.pinnings for cpu in pinning.vcpu_pins]
    assert len(given) == len(set(given)) == 6
    assert not set(given) & {0, 4}
    assert {pinning.emulator_cpus for pinning in found.pinnings} == {(0, 4)}


@pytest.mark.parametrize(
    ("kind", "guest", "expected"),
    [
        # One socket without SMT: CPU 0 is the host's.
        ("one-socket-no-smt", node("a", 3), Pinning("a", "hv1", (0,), (1, 2, 3), (0,), (0,))),
        (
            "one-socket-no-smt",
            node("a", 2, cpu={"threads": "isolate", "emulator": "isolated"}),
            Pinning("a", "hv1", (0,), (1, 2), (3,), (3,)),
        ),
        # Two sockets with interleaved numbers: siblings are n and n + 32, socket 0 has the even ones.
        ("two-sockets-smt", node("a", 4), Pinning("a", "hv1", (0,), (2, 34, 4, 36), (0, 32), (0, 32), threads=2)),
        ("two-sockets-smt", node("a", 3), Pinning("a", "hv1", (0,), (2, 34, 4), (0, 32), (0, 32))),
        (
            "two-sockets-smt",
            node("a", 3, cpu={"threads": "isolate"}),
            Pinning("a", "hv1", (0,), (2, 4, 6), (0, 32), (0, 32)),
        ),
        (
            "two-sockets-smt",
            node("a", 2, "4GiB", hugepages="1GiB"),
            Pinning("a", "hv1", (0,), (2, 34), (0, 32), (0, 32), ((0, 1048576, 4),), threads=2),
        ),
        # Larger than a socket: split evenly, memory and huge pages too.
        (
            "two-sockets-smt",
            node("a", 4, "24GiB", hugepages="2MiB"),
            Pinning(
                "a", "hv1", (0, 1), (2, 34, 3, 35), (0, 1, 32, 33), (0, 1, 32, 33), ((0, 2048, 6144), (1, 2048, 6144)),
                threads=2,
            ),
        ),
        # EPYC: a guest larger than a cell goes to cells of one socket, those near each other.
        (
            "epyc-four-cells-per-socket",
            node("a", 4, "100GiB"),
            Pinning("a", "hv1", (0, 1), (1, 65, 9, 73), (0, 8, 64, 72), (0, 8, 64, 72), threads=2),
        ),
        ("epyc-four-cells-per-socket", node("a", 2, "60GiB"), Pinning("a", "hv1", (0,), (1, 65), (0, 64), (0, 64), threads=2)),
        # The second cell has no memory: nothing goes there.
        ("cell-without-memory", node("a", 3, "32GiB"), Pinning("a", "hv1", (0,), (1, 2, 3), (0,), (0,))),
        # Offline CPUs: 1 and 3 have no siblings any more, and go to whoever needs no sibling.
        ("offline-cpus", node("a", 1), Pinning("a", "hv1", (0,), (1,), (0, 8), (0, 8))),
        (
            "offline-cpus",
            node("a", 4, cpu={"threads": "require"}),
            Pinning("a", "hv1", (0,), (2, 10, 4, 12), (0, 8), (0, 8), threads=2),
        ),
    ],
)  # fmt: skip
def test_a_guest_alone_on_a_machine(kind: str, guest: dict[str, Any], expected: Pinning) -> None:
    assert on(kind, guest).pinnings == (expected,)


@pytest.mark.parametrize(
    ("kind", "guests", "reasons"),
    [
        ("one-socket-no-smt", [node("a", 8)], ["hv1 cell 0: 7 dedicated CPUs free, 8 needed"]),
        (
            "one-socket-no-smt",
            [node("a", 2, cpu={"threads": "require"})],
            ["hv1 cell 0: its cores have one thread each, threads: require wants two"],
        ),
        (
            "one-socket-no-smt",
            [node("a", 7, cpu={"emulator": "isolated"})],
            ["hv1 cell 0: 7 dedicated CPUs free, 7 needed and 1 for the emulator"],
        ),
        (
            "one-socket-no-smt",
            [node("a", 1, "40GiB")],
            ["hv1 cell 0: 32378 MiB free, 40960 needed"],
        ),
        (
            "one-socket-no-smt",
            [node("a", 1, hugepages="2MiB")],
            ["hv1 cell 0: 0 free huge pages of 2MiB, 1024 needed"],
        ),
        ("one-socket-no-smt", [node("a", 2, numa_cells=2)], ["hv1: 1 NUMA node, 2 needed"]),
        (
            "offline-cpus",
            [node("a", 8, cpu={"threads": "require"}), node("b", 4, cpu={"threads": "require"})],
            ["hv1 cell 0: 0 dedicated CPUs free, 4 needed; 2 more are free only as lone siblings, which threads: require forbids"],
        ),
        (
            "offline-cpus",
            [node("a", 3, cpu={"threads": "require"})],
            ["hv1 cell 0: 3 vCPUs do not fill cores of 2 threads evenly, which threads: require wants"],
        ),
        (
            "two-sockets-smt",
            [node("a", 29, numa_cells=1), node("b", 29, numa_cells=1), node("c", 1, cpu={"threads": "isolate"})],
            [
                "hv1 cell 0: 0 whole cores free, 1 needed; 1 more CPUs are free only beside busy siblings,"
                " which threads: isolate forbids",
                "hv1 cell 1: 0 whole cores free, 1 needed; 1 more CPUs are free only beside busy siblings,"
                " which threads: isolate forbids",
            ],
        ),
        (
            "two-sockets-smt",
            [node("a", 1, "150GiB")],
            [
                "hv1 cell 0: 146662 MiB free, 153600 needed (49152 MiB are set aside as huge pages)",
                "hv1 cell 1: 146662 MiB free, 153600 needed (49152 MiB are set aside as huge pages)",
                "hv1: even empty it could not hold the guest, whole or in equal parts",
            ],
        ),
        (
            "two-sockets-smt",
            [node("a", 60, numa_cells=2, cpu={"emulator": "isolated"})],
            [f"hv1 cell {n}: could take its part, but no NUMA node has a CPU for the emulator besides" for n in (0, 1)],
        ),
        (
            "cell-without-memory",
            [node("a", 3, numa_cells=1), node("b", 2)],
            ["hv1 cell 0: 0 dedicated CPUs free, 2 needed", "hv1 cell 1: has no memory of its own"],
        ),
        (
            "cell-without-memory",
            [node("a", 8, numa_cells=2)],
            ["hv1 cell 0: 3 dedicated CPUs free, 4 needed in each of 2 NUMA nodes", "hv1 cell 1: has no memory of its own"],
        ),
        (
            "two-sockets-smt",
            [node("a", 26, numa_cells=1, host="hv1"), node("b", 12, numa_cells=2)],
            [
                "hv1 cell 0: 4 dedicated CPUs free, 6 needed in each of 2 NUMA nodes",
                "hv1 cell 1: could take its part, but 2 NUMA nodes must",
            ],
        ),
    ],
)  # fmt: skip
def test_the_last_guest_is_refused_with_the_numbers(
    kind: str, guests: list[dict[str, Any]], reasons: list[str]
) -> None:
    (refusal,) = on(kind, *guests).refusals
    assert refusal.node == guests[-1]["name"]
    assert list(refusal.reasons) == reasons


def test_free_cpus_that_sharing_guests_need_are_not_said_to_be_too_few() -> None:
    former = Tenant("hv1", "t-gone", "gone", (*(frozenset({1, 2}),) * 6,), 2048)
    shared = {"policy": "shared", "ratio": 1.0}
    found = on("one-socket-no-smt", node("a", 1, cpu={"policy": "dedicated"}), current=[former], cpu=shared)
    (refusal,) = on(
        "one-socket-no-smt", node("a", 2, cpu={"policy": "dedicated"}), current=[former], cpu=shared
    ).refusals
    assert len(found.pinnings) == 1
    assert refusal.reasons == (
        "hv1 cell 0: 6 vCPUs share CPUs here at ratio 1: 1 of 5 free CPUs can be dedicated, 2 needed",
    )


def test_require_counts_what_whole_parts_of_cores_can_give() -> None:
    taken = Tenant("hv1", "x", None, (frozenset({8}), frozenset({11})), 0)
    four_threads = host(cells=1, cores=3, threads=4)  # cores 0+3+6+9, 1+4+7+10 and 2+5+8+11; the first is the host's
    found = place(cluster({"name": "a", "vcpus": 6, "cpu": {"threads": "require"}}), {"hv1": four_threads}, [taken])
    assert found.refusals[0].reasons == (
        "hv1 cell 0: 4 dedicated CPUs free, 6 needed; 2 more are free only as lone siblings, which threads: require forbids",
    )


def test_memory_that_does_not_divide_into_the_hosts_huge_pages_is_refused() -> None:
    (refusal,) = on("two-sockets-smt", node("a", 2, "3GiB", numa_cells=2), hugepages="1GiB").refusals
    assert refusal.reasons == ("hv1: 3072 MiB is not a whole number of huge pages of 1GiB on each of 2 NUMA nodes",)


def test_a_refusal_says_when_several_numa_nodes_together_have_room() -> None:
    (refusal,) = on("two-sockets-smt", node("a", 20), node("b", 20), node("c", 12)).refusals
    assert refusal.reasons == (
        "hv1 cell 0: 10 dedicated CPUs free, 12 needed",
        "hv1 cell 1: 10 dedicated CPUs free, 12 needed",
        "hv1: 2 NUMA nodes together have room; a guest that one can hold is split only when it says numa_cells: 2",
    )


def test_a_refusal_says_what_the_guest_needs() -> None:
    wishes = {"threads": "require", "emulator": "isolated"}
    (refusal,) = on("one-socket-no-smt", node("a", 2, cpu=wishes, hugepages="2MiB", host="hv1")).refusals
    assert refusal.needs == (
        "2 dedicated CPUs and 2048 MiB (threads: require, an emulator CPU of its own, huge pages of 2MiB) on hv1"
    )


def test_foreign_guests_keep_their_cpus_and_memory() -> None:
    theirs = [
        Tenant("hv1", "db", None, (frozenset({2}), frozenset({34})), 100 * 1024, memory_cells=(0,)),
        Tenant("hv1", "floating", None, (frozenset(range(64)),), 20 * 1024),
        Tenant("hv1", "pages", None, (frozenset(),), 32 * 1024, memory_cells=(1,), hugepage_kib=1048576),
    ]
    packed = {"placement": {"cells": "pack"}}
    inventory = several([{"name": "hv1"}], [node("a", 2, "4GiB"), node("b", 2, "40GiB")], **packed)
    found = place(inventory, {"hv1": machine("two-sockets-smt")}, theirs)
    # 146662 MiB less 100 GiB and half of 20 GiB: the first cell has no 40 GiB left.
    assert pins(found) == {"a": (4, 36), "b": (3, 35)}
    pages = on("two-sockets-smt", node("a", 2, "32GiB", hugepages="1GiB"), current=theirs)
    assert pages.pinnings[0].hugepages == ((0, 1048576, 32),)
    full = on("two-sockets-smt", node("a", 28, numa_cells=1), node("b", 30, numa_cells=1), current=theirs)
    assert pins(full).keys() == {"a", "b"}
    over = on("two-sockets-smt", node("a", 30, numa_cells=1), node("b", 30, numa_cells=1), current=theirs)
    assert over.refusals[0].reasons[0] == "hv1 cell 0: 28 dedicated CPUs free, 30 needed"


def test_a_foreign_pin_counts_though_one_of_its_cpus_is_offline() -> None:
    theirs = [Tenant("hv1", "db", None, (frozenset({2, 9}), frozenset({4, 11})), 1024)]
    assert not set(on("offline-cpus", node("a", 4), current=theirs).pinnings[0].vcpu_pins) & {2, 4}


def test_cpus_of_a_foreign_emulator_are_left_to_it_unless_it_may_use_the_whole_node() -> None:
    theirs = Tenant("hv1", "db", None, (frozenset({1}),), 1024, frozenset({2}), frozenset({3}))
    assert pins(on("one-socket-no-smt", node("a", 4), current=[theirs])) == {"a": (4, 5, 6, 7)}
    roaming = Tenant("hv1", "db", None, (frozenset({2}),), 1024, frozenset(range(0, 64, 2)))
    assert pins(on("two-sockets-smt", node("a", 2), current=[roaming], pool={"numa_node": 0})) == {"a": (4, 36)}
    shared = on("one-socket-no-smt", node("a", 8), current=[theirs], cpu={"policy": "shared", "ratio": 1.0}).refusals
    assert shared[0].reasons == ("hv1 cell 0: 6 vCPUs left at ratio 1, 8 needed",)


def test_pins_are_remembered_when_guests_come_and_go() -> None:
    before = place(cluster({"name": "a"}, {"name": "b"}, {"name": "c"}), {"hv1": host()}, [])
    after = place(
        cluster({"name": "a"}, {"name": "c"}, {"name": "d", "vcpus": 1}),
        {"hv1": host()},
        tenants(before)[:1] + tenants(before)[2:],
    )
    kept = {p.node: p.vcpu_pins for p in before.pinnings}
    assert {p.node: p.vcpu_pins for p in after.pinnings if p.node != "d"} == {"a": kept["a"], "c": kept["c"]}


def test_a_foreign_guest_that_came_upon_cpus_that_we_gave_moves_nobody() -> None:
    """It does where the pins are not known to be those that we gave, and where the guest asks for others anyway."""
    late = Tenant("hv1", "late", None, (frozenset({1}), frozenset({5})), 1024)
    given = Tenant("hv1", "t-a", "a", (frozenset({1}), frozenset({2})), 2048, placed=True)
    machine_ = "one-socket-no-smt"
    assert pins(on(machine_, node("a", 2), current=[late, given])) == {"a": (1, 2)}
    assert pins(on(machine_, node("a", 2), node("b", 2), current=[late, given])) == {"a": (1, 2), "b": (3, 4)}
    assert pins(on(machine_, node("a", 2), current=[late, replace(given, placed=False)])) == {"a": (2, 3)}
    assert pins(on(machine_, node("a", 3), current=[late, given])) == {"a": (2, 3, 4)}


def test_a_guest_that_should_go_still_holds_its_cpus() -> None:
    before = on("one-socket-no-smt", node("a", 4), node("b", 3))
    after = on("one-socket-no-smt", node("b", 3), node("c", 2), current=tenants(before))
    assert pins(after) == {"b": pins(before)["b"]}
    assert after.refusals[0].reasons == ("hv1 cell 0: 0 dedicated CPUs free, 2 needed",)


def test_pins_that_are_wrong_are_replaced() -> None:
    wrong = [
        Tenant("hv1", "t-a", "a", (frozenset({0}), frozenset({1})), 2048),  # on the host's CPU
        Tenant("hv1", "t-b", "b", (frozenset({2}), frozenset({2})), 2048),  # one CPU twice
        Tenant("hv1", "t-c", "c", (frozenset({3}), frozenset({3, 4})), 2048),  # floats
    ]
    found = on("one-socket-no-smt", node("a", 2), node("b", 2), node("c", 2), current=wrong)
    given = [cpu for cpus in pins(found).values() for cpu in cpus]
    assert sorted(given) == [1, 2, 3, 4, 5, 6]


def test_an_existing_guest_stays_on_its_host_even_if_it_must_be_refused_there() -> None:
    topologies = {"hv1": machine("one-socket-no-smt"), "hv2": machine("one-socket-no-smt")}
    there = [Tenant("hv2", "t-a", "a", (frozenset({1}), frozenset({2})), 2048)]
    hosts = [{"name": "hv1"}, {"name": "hv2"}]
    assert place(several(hosts, [node("a", 3)]), topologies, there).pinnings[0].host == "hv2"
    refusal = place(several(hosts, [node("a", 8)]), topologies, there).refusals[0]
    assert refusal.needs.endswith("on hv2, where its volumes are")
    assert refusal.reasons == ("hv2 cell 0: 7 dedicated CPUs free, 8 needed",)


def test_what_the_inventory_names_and_the_host_lacks_is_refused() -> None:
    wrong: dict[str, Any] = {"reserved_cpus": [0, 6, 9], "pool": {"numa_node": 3}}
    with pytest.raises(PlacementError) as refused:
        on("offline-cpus", node("a", 1), **wrong)
    assert refused.value.message == (
        "hv1: reserved_cpus names 6,9; the host has CPUs 0-5,7-8,10,12-13,15, others are offline or not there;"
        " hv1: pool.numa_node is 3; the host has NUMA nodes 0"
    )


def test_groups_keep_guests_apart_and_hosts_are_filled_as_asked() -> None:
    topologies = {name: machine("one-socket-no-smt") for name in ("hv1", "hv2", "hv3")}
    hosts = [{"name": name} for name in topologies]
    apart = place(several(hosts, [node(f"n{i}", 1, group="g") for i in range(3)]), topologies, [])
    assert {pin.host for pin in apart.pinnings} == set(topologies)
    too_many = place(several(hosts, [node(f"n{i}", 1, group="g") for i in range(4)]), topologies, [])
    assert too_many.refusals[0].reasons == tuple(f"hv{i + 1}: n{i} of group g is there" for i in range(3))
    nodes = [node(f"n{i}", 2) for i in range(3)]
    assert [p.host for p in place(several(hosts, nodes), topologies, []).pinnings] == ["hv1", "hv2", "hv3"]
    packed = place(several(hosts, nodes, placement={"hosts": "pack"}), topologies, [])
    assert [p.host for p in packed.pinnings] == ["hv1", "hv1", "hv1"]


def test_cells_are_spread_packed_or_chosen_for_the_pools_device() -> None:
    topologies = {"hv1": machine("two-sockets-smt")}
    nodes = [node("a", 2), node("b", 2)]
    spread = place(several([{"name": "hv1"}], nodes), topologies, [])
    assert [pin.cells for pin in spread.pinnings] == [(0,), (1,)]
    packed = place(several([{"name": "hv1"}], nodes, placement={"cells": "pack"}), topologies, [])
    assert [pin.cells for pin in packed.pinnings] == [(0,), (0,)]
    near = place(several([{"name": "hv1", "pool": {"numa_node": 1}}], nodes), topologies, [])
    assert [pin.cells for pin in near.pinnings] == [(1,), (1,)]


def test_shared_cpus_overlap_up_to_the_ratio_and_load_is_even() -> None:
    two_cpus = host(cores=2, threads=1)
    found = place(cluster({"name": "a"}, {"name": "b"}, policy="shared", reserved_cpus=[]), {"hv1": two_cpus}, [])
    assert [sorted(p.vcpu_pins) for p in found.pinnings] == [[0, 1], [0, 1]]
    assert [(p.emulator_cpus, p.exclusive) for p in found.pinnings] == [((0, 1), False)] * 2
    over = cluster({"name": "a", "vcpus": 9}, policy="shared", reserved_cpus=[])
    assert place(over, {"hv1": two_cpus}, []).refusals[0].reasons == ("hv1 cell 0: 8 vCPUs left at ratio 4, 9 needed",)


def test_a_shared_guest_that_should_go_counts_whole_until_it_is_gone() -> None:
    there = [Tenant("hv1", "t-a", name, (frozenset({1}),), 1024) for name in ("a", "gone")]
    shared: dict[str, Any] = {"cpu": {"policy": "shared", "ratio": 1.5}, "reserved_cpus": [0, *range(3, 8)]}
    (refusal,) = on("one-socket-no-smt", node("a", 1), node("b", 2), current=there, **shared).refusals
    assert refusal.reasons == ("hv1 cell 0: 1 vCPUs left at ratio 1.5, 2 needed",)


def test_dedicated_and_shared_guests_on_one_host_do_not_meet() -> None:
    found = on(
        "one-socket-no-smt",
        node("own", 3),
        node("mixed", 4, cpu={"policy": "shared"}),
        node("other", 4, cpu={"policy": "shared"}),
        cpu={"ratio": 2.0},
    )
    assert not found.refusals
    assert not set(pins(found)["own"]) & set(pins(found)["mixed"] + pins(found)["other"])
    # On a host of dedicated CPUs shared guests take as few as the ratio allows: the next dedicated guest finds some.
    assert len(set(pins(found)["mixed"] + pins(found)["other"])) == 4


def test_nothing_is_dedicated_where_emulators_run_everywhere() -> None:
    guest = node("a", 1, cpu={"policy": "dedicated"})
    (refusal,) = on("one-socket-no-smt", guest, cpu={"policy": "shared"}, reserved_cpus=[]).refusals
    assert "no CPU can be dedicated" in refusal.reasons[0]


def test_without_reserved_cpus_emulators_run_on_the_guests_own() -> None:
    (pinning,) = on("one-socket-no-smt", node("a", 2), reserved_cpus=[]).pinnings
    assert (pinning.vcpu_pins, pinning.emulator_cpus, pinning.iothread_cpus) == ((0, 1), (0, 1), (0, 1))


def test_reserved_cpus_of_another_cell_are_better_than_the_guests_own() -> None:
    found = on("two-sockets-smt", node("a", 2), reserved_cpus=[0, 32], pool={"numa_node": 1})
    assert (found.pinnings[0].cells, found.pinnings[0].emulator_cpus) == ((1,), (0, 32))


def test_an_isolated_emulator_is_remembered() -> None:
    wish = {"emulator": "isolated"}
    there = [Tenant("hv1", "t-a", "a", (frozenset({1}),), 2048, emulator_cpus=frozenset({6}))]
    (pinning,) = on("one-socket-no-smt", node("a", 1, cpu=wish), current=there).pinnings
    assert (pinning.vcpu_pins, pinning.emulator_cpus) == ((1,), (6,))


def test_first_come_would_fail_but_an_arrangement_is_found() -> None:
    """Nearest to its pool's device the guest that comes first would take what only the second one must have."""
    hosts = [{"name": "hv1", "reserved_cpus": [0], "pool": {"numa_node": 1}}]
    guests = [node("a", 3), node("b", 2, "18GiB")]
    topology = Topology((host().cells[0], Cell(1, 20480, tuple(Cpu(i, 1, 0, i, frozenset({i})) for i in (8, 9, 10)))))
    found = place(several(hosts, guests), {"hv1": topology}, [])
    assert [pin.cells for pin in found.pinnings] == [(0,), (1,)]


def test_data_has_the_documented_form() -> None:
    found = on("two-sockets-smt", node("a", 2, "2GiB", hugepages="1GiB"), node("b", 99))
    data = found.as_data()
    assert data["placements"] == [
        {
            "node": "a",
            "host": "hv1",
            "cells": [0],
            "vcpu_pins": [2, 34],
            "emulator_cpus": [0, 32],
            "iothread_cpus": [0, 32],
            "hugepages": [{"cell": 0, "size_kib": 1048576, "count": 2}],
        }
    ]
    assert [sorted(refusal) for refusal in data["refusals"]] == [["needs", "node", "reasons"]]


def test_the_map_shows_who_is_where() -> None:
    inventory = several(
        [{"name": "hv1"}], [node("a", 2), node("b", 1, cpu={"threads": "isolate", "emulator": "isolated"})]
    )
    foreign = [Tenant("hv1", "db", None, (frozenset({7}),), 1024)]
    topologies = {"hv1": host()}
    text = as_map(place(inventory, topologies, foreign), inventory, topologies, foreign)
    assert text == "hv1 cell 0: host 0+4 | (db) 7 | a 2+6 | b 1 | b's emulator 3 | idle for b 5"


def test_the_map_shows_foreign_emulators_and_guests_that_are_to_go() -> None:
    inventory = several([{"name": "hv1"}], [node("a", 2)])
    topologies = {"hv1": machine("one-socket-no-smt")}
    there = [
        Tenant("hv1", "db", None, (frozenset({7}),), 1024, frozenset({0, 6})),
        Tenant("hv1", "t-gone", "gone", (frozenset({5}),), 1024, frozenset({0})),
    ]
    text = as_map(place(inventory, topologies, there), inventory, topologies, there)
    assert text == "hv1 cell 0: host 0 | (db) 6 7 | (t-gone) 5 | a 1 2 | free 3 4"


def sized(*cells: tuple[int, str]) -> Topology:
    """Cells of so many MiB with these CPUs, one after the other."""
    return Topology(
        tuple(
            Cell(number, mib, tuple(Cpu(int(i), 0, 0, int(i), frozenset({int(i)})) for i in cpus.split()))
            for number, (mib, cpus) in enumerate(cells)
        )
    )


@pytest.mark.parametrize(
    ("cells", "left"),
    [
        (((8192, "0 1"), (8192, "2 3")), (6144, 6144)),
        (((8192, "0 1"), (8192, "")), (4096, None)),  # the host's programs run where CPUs are
        (((1024, "0 1"), (8192, "2 3")), (0, 5120)),  # what a small node cannot give, the other does
        (((2048, "0 1"), (8192, "")), (0, None)),
    ],
)
def test_the_hosts_reserve_is_kept_where_its_cpus_and_its_memory_are(
    cells: tuple[tuple[int, str], ...], left: tuple[int | None, ...]
) -> None:
    inventory = cluster(node("a", 1, "100GiB"), reserved_memory="4GiB")
    (refusal,) = place(inventory, {"hv1": sized(*cells)}, []).refusals
    assert refusal.reasons[: len(left)] == tuple(
        f"hv1 cell {number}: {'has no CPUs' if mib is None else f'{mib} MiB free, 102400 needed'}"
        for number, mib in enumerate(left)
    )


PAGED = Topology(
    tuple(replace(cell, hugepages=((2048, count),)) for cell, count in zip(host(2).cells, (0, 4096), strict=True))
)


@pytest.mark.parametrize(
    ("tenant", "free"),
    [
        (Tenant("hv1", "x", None, (frozenset(range(16)),), 4096, hugepage_kib=2048), 2048),
        (Tenant("hv1", "x", None, (frozenset(range(16)),), 4096, hugepage_kib=2048, memory_cells=(0, 1)), 2048),
        (Tenant("hv1", "x", None, (frozenset(range(16)),), 4096, hugepage_kib=2048, memory_cells=(0,)), 4096),
    ],
)
def test_huge_pages_of_others_are_where_there_are_some(tenant: Tenant, free: int) -> None:
    found = place(cluster(node("a", 1, "20GiB", hugepages="2MiB")), {"hv1": PAGED}, [tenant])
    assert found.refusals[0].reasons[1] == f"hv1 cell 1: {free} free huge pages of 2MiB, 10240 needed"


def hybrid(performance: int = 4, efficient: int = 8) -> Topology:
    """As Intel's: P cores with two threads, numbered one after the other, then E cores with one."""
    pairs = [(n, frozenset({n - n % 2, n - n % 2 + 1})) for n in range(2 * performance)]
    lone = [(n, frozenset({n})) for n in range(2 * performance, 2 * performance + efficient)]
    cpus = tuple(Cpu(number, 0, 0, min(siblings), siblings) for number, siblings in (*pairs, *lone))
    return Topology((Cell(0, 32768, cpus),), "Intel", efficient=frozenset(number for number, _ in lone))


@pytest.mark.parametrize(
    ("guests", "expected"),
    [
        ([(6, {})], [(2, 3, 4, 5, 6, 7)]),
        ([(7, {})], [(8, 9, 10, 11, 12, 13, 14)]),  # more than P cores have: E cores alone, not mixed
        ([(4, {}), (4, {})], [(2, 3, 4, 5), (8, 9, 10, 11)]),
        ([(2, {"cores": "efficient"})], [(8, 9)]),
        ([(2, {"threads": "isolate"}), (2, {"threads": "isolate"})], [(2, 4), (8, 9)]),
        ([(4, {"threads": "isolate", "cores": "any"})], [(2, 4, 6, 8)]),
        ([(10, {"cores": "any"})], [(2, 3, 4, 5, 6, 7, 8, 9, 10, 11)]),
        ([(2, {"threads": "require"})], [(2, 3)]),
        ([(5, {"emulator": "isolated"})], [(2, 3, 4, 5, 6)]),
        ([(3, {"policy": "shared"}), (26, {"policy": "shared"})], [(2, 2, 2), (8, 9, 10, 11, 12, 13, 14) * 3 + (8, 9, 10, 11, 12)]),
    ],
)  # fmt: skip
def test_a_guest_has_cores_of_one_kind_unless_it_asks(
    guests: list[tuple[int, dict[str, Any]]], expected: list[tuple[int, ...]]
) -> None:
    nodes = [node(f"n{number}", vcpus, "1GiB", cpu=cpu) for number, (vcpus, cpu) in enumerate(guests)]
    found = place(cluster(*nodes), {"hv1": hybrid()}, [])
    assert [tuple(sorted(one.vcpu_pins)) for one in found.pinnings] == [tuple(sorted(one)) for one in expected]


def test_a_refusal_says_what_each_kind_of_cores_has() -> None:
    (refusal,) = place(cluster(node("a", 9)), {"hv1": hybrid()}, []).refusals
    assert refusal.reasons == (
        "hv1 cell 0, performance cores: 6 dedicated CPUs free, 9 needed",
        "hv1 cell 0, efficient cores: 8 dedicated CPUs free, 9 needed",
    )
    (refusal,) = place(cluster(node("a", 9, cpu={"cores": "performance"})), {"hv1": hybrid()}, []).refusals
    assert refusal.needs == "9 dedicated CPUs and 2048 MiB (performance cores)"
    assert len(refusal.reasons) == 1


def test_a_guest_that_is_there_stays_though_its_cores_differ() -> None:
    there = Tenant("hv1", "t-a", "a", (frozenset({7}), frozenset({8})), 2048)
    inventory = cluster(node("a", 2))
    found = place(inventory, {"hv1": hybrid()}, [there])
    assert pins(found) == {"a": (7, 8)}
    assert as_map(found, inventory, {"hv1": hybrid()}) == (
        "hv1 cell 0 (efficient cores 8-15): host 0+1 | a 7 8 | free on 10 cores"
    )
