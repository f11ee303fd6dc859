"""Placement: pins are exclusive, remembered, and a refusal says which number is short."""

from __future__ import annotations

from provision.inventory import Cluster
from provision.placement import Placement, Tenant, place
from provision.topology import Cell, Cpu, Topology, parse_capabilities


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


def test_dedicated_cpus_are_given_once_and_reserved_ones_never() -> None:
    found = place(cluster({"name": "a", "vcpus": 3}, {"name": "b", "vcpus": 3}), {"hv1": host()}, [])
    pins = [cpu for pinning in found.pinnings for cpu in pinning.vcpu_pins]
    assert len(pins) == len(set(pins)) == 6
    assert not set(pins) & {0, 4}
    assert {pinning.emulator_cpus for pinning in found.pinnings} == {(0, 4)}


def test_a_refusal_names_the_numbers_per_cell() -> None:
    found = place(cluster({"name": "a", "vcpus": 8, "numa_cells": 1}), {"hv1": host(cells=2)}, [])
    assert found.pinnings == ()
    assert str(found.refusals[0]) == (
        "a needs 8 dedicated CPUs and 2048 MiB (1 NUMA node):"
        " hv1 cell 0: 6 dedicated CPUs free, 8 needed; hv1 cell 1: 6 dedicated CPUs free, 8 needed"
    )


def test_memory_is_counted_per_cell() -> None:
    found = place(cluster({"name": "a", "memory": "32GiB"}), {"hv1": host()}, [])
    assert found.refusals[0].reasons == ("hv1 cell 0: 15360 MiB free, 32768 needed",)


def test_a_guest_stays_within_one_cell() -> None:
    topology = host(cells=2)
    found = place(cluster(*({"name": f"n{i}", "vcpus": 2} for i in range(6))), {"hv1": topology}, [])
    cells = [{cpu.id for cpu in cell.cpus} for cell in topology.cells]
    assert not found.refusals
    assert all(any(set(p.vcpu_pins) <= cell for cell in cells) for p in found.pinnings)


def test_foreign_pins_are_respected_and_floating_guests_claim_none() -> None:
    everything = frozenset(range(8))
    theirs = [
        Tenant("hv1", "x", None, (frozenset({1}), frozenset({5})), 1024),
        Tenant("hv1", "y", None, (everything,), 1024),
    ]
    found = place(cluster({"name": "a", "vcpus": 4}), {"hv1": host()}, theirs)
    assert set(found.pinnings[0].vcpu_pins) == {2, 3, 6, 7}


def test_pins_are_remembered_when_guests_come_and_go() -> None:
    before = place(cluster({"name": "a"}, {"name": "b"}, {"name": "c"}), {"hv1": host()}, [])
    after = place(
        cluster({"name": "a"}, {"name": "c"}, {"name": "d", "vcpus": 1}),
        {"hv1": host()},
        tenants(before)[:1] + tenants(before)[2:],
    )
    kept = {p.node: p.vcpu_pins for p in before.pinnings}
    assert {p.node: p.vcpu_pins for p in after.pinnings if p.node != "d"} == {"a": kept["a"], "c": kept["c"]}


def test_shared_cpus_overlap_up_to_the_ratio_and_load_is_even() -> None:
    two_cpus = host(cores=2, threads=1)
    found = place(cluster({"name": "a"}, {"name": "b"}, policy="shared", reserved_cpus=[]), {"hv1": two_cpus}, [])
    assert [sorted(p.vcpu_pins) for p in found.pinnings] == [[0, 1], [0, 1]]
    over = cluster({"name": "a", "vcpus": 9}, policy="shared", reserved_cpus=[])
    assert place(over, {"hv1": two_cpus}, []).refusals[0].reasons == ("hv1 cell 0: 8 vCPUs left at ratio 4, 9 needed",)


def test_capabilities_give_cells_siblings_and_leave_offline_cpus_out() -> None:
    xml = """<capabilities><host><topology><cells num='1'><cell id='0'><memory unit='KiB'>2097152</memory>
    <pages unit='KiB' size='4'>1</pages><pages unit='KiB' size='2048'>7</pages>
    <cpus num='3'><cpu id='0' socket_id='0' die_id='0' core_id='0' siblings='0,2'/><cpu id='1'/>
    <cpu id='2' socket_id='0' die_id='0' core_id='0' siblings='0,2'/></cpus></cell></cells></topology></host></capabilities>"""
    (cell,) = parse_capabilities(xml).cells
    assert [cpu.id for cpu in cell.cpus] == [0, 2]
    assert cell.cpus[0].siblings == {0, 2}
    assert (cell.memory_mib, cell.hugepages) == (2048, ((2048, 7),))


def test_a_driver_without_cells_has_one() -> None:
    xml = "<capabilities><host><topology><cells num='0'/></topology></host></capabilities>"
    (cell,) = parse_capabilities(xml, cpus=4, memory_mib=1024).cells
    assert [cpu.id for cpu in cell.cpus] == [0, 1, 2, 3]
