"""Capabilities of real kinds of machines, as `virsh capabilities` says them."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.placement.topology import Topology, parse_capabilities, replace_efficient

FOLDER = Path(__file__).parents[2] / "data" / "capabilities"


def machine(name: str) -> Topology:
    return parse_capabilities((FOLDER / f"{name}.xml").read_text())


@pytest.mark.parametrize(
    ("name", "cells", "cpus", "threads", "memory_mib"),
    [
        ("one-socket-no-smt", 1, 8, 1, [32378]),
        ("two-sockets-smt", 2, 64, 2, [195814, 195814]),
        ("epyc-four-cells-per-socket", 8, 128, 2, [65339] * 8),
        ("cell-without-memory", 2, 8, 1, [65125, 0]),
        ("offline-cpus", 1, 12, 2, [98096]),
    ],
)
def test_cells_cpus_threads_and_memory(name: str, cells: int, cpus: int, threads: int, memory_mib: list[int]) -> None:
    found = machine(name)
    assert (len(found.cells), len(found.cpus)) == (cells, cpus)
    assert max(len(cpu.siblings) for cpu in found.cpus) == threads
    assert [cell.memory_mib for cell in found.cells] == memory_mib


def test_siblings_may_be_far_apart_and_sockets_interleaved() -> None:
    found = machine("two-sockets-smt")
    assert [cpu.siblings for cpu in found.cpus[:3]] == [{0, 32}, {1, 33}, {2, 34}]
    assert [cpu.id for cpu in found.cells[1].cpus[:3]] == [1, 3, 5]
    assert found.cells[0].hugepages == ((2048, 8192), (1048576, 32))
    assert found.cells[1].distances == ((0, 21), (1, 10))


def test_a_socket_of_epyc_has_four_cells_near_each_other() -> None:
    found = machine("epyc-four-cells-per-socket")
    assert [value for _, value in found.cells[0].distances] == [10, 16, 16, 16, 32, 32, 32, 32]
    assert {cpu.socket for cpu in found.cells[3].cpus} == {0}
    assert {cpu.socket for cpu in found.cells[4].cpus} == {1}


def test_offline_cpus_are_left_out_and_their_siblings_are_alone() -> None:
    found = machine("offline-cpus")
    assert {cpu.id for cpu in found.cpus} == set(range(16)) - {6, 9, 11, 14}
    assert {cpu.id for cpu in found.cpus if len(cpu.siblings) == 1} == {1, 3}


def test_a_cell_without_memory_keeps_its_cpus() -> None:
    empty = machine("cell-without-memory").cells[1]
    assert ([cpu.id for cpu in empty.cpus], empty.memory_mib, empty.hugepages) == ([4, 5, 6, 7], 0, ())


def test_a_driver_without_cells_has_one() -> None:
    xml = "<capabilities><host><topology><cells num='0'/></topology></host></capabilities>"
    (cell,) = parse_capabilities(xml, cpus=4, memory_mib=1024).cells
    assert [cpu.id for cpu in cell.cpus] == [0, 1, 2, 3]
    assert cell.memory_mib == 1024


def test_the_ordinary_page_is_the_smallest_on_any_machine() -> None:
    xml = """<capabilities><host><topology><cells num='1'><cell id='0'><memory unit='KiB'>4194304</memory>
    <pages unit='KiB' size='64'>65536</pages><pages unit='KiB' size='2048'>7</pages><cpus num='0'/></cell></cells></topology>
    </host></capabilities>"""
    assert parse_capabilities(xml).cells[0].hugepages == ((2048, 7),)


@pytest.mark.parametrize(("text", "message"), [("", "not XML"), ("a: b", "not XML"), ("<domain/>", "<domain> are not")])
def test_what_is_no_capabilities_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_capabilities(text)


def cells(*named: tuple[str, str]) -> str:
    """Capabilities with cells of these CPUs, each `NUMBER:SIBLINGS`."""
    text = "".join(
        f"<cell id='{cell}'><memory unit='GiB'>4</memory><cpus>{''.join(map(cpu, cpus.split()))}</cpus></cell>"
        for cell, cpus in named
    )
    return f"<capabilities><host><topology><cells>{text}</cells></topology></host></capabilities>"


def cpu(said: str) -> str:
    number, _, siblings = said.partition(":")
    return f"<cpu id='{number}' core_id='{number}' siblings='{siblings or number}'/>"


@pytest.mark.parametrize(
    ("named", "found", "strayed"),
    [
        ((("0", "0 1"), ("1", "0 1")), {0: [{0}, {1}], 1: []}, {0, 1}),
        ((("0", "0 1"), ("1", "1 2")), {0: [{0}, {1}], 1: [{2}]}, {1}),
        ((("0", "0:0,2 1:1,3"), ("1", "2:0,2 3:1,3")), {0: [{0, 2}, {1, 3}], 1: []}, {2, 3}),
        ((("0", "0:0-1 0:0-1 1:0-1"),), {0: [{0, 1}]}, set()),
        ((("0", "0:0-1 1:1-2 2"),), {0: [{0, 1, 2}]}, set()),
        ((("0", "0:1 1:7"),), {0: [{0, 1}]}, set()),
        ((("0", "0"), ("0", "1")), {0: [{0}]}, set()),
        ((("0", ""), ("1", "0")), {0: [], 1: [{0}]}, set()),
    ],
)
def test_a_cpu_stands_in_one_cell_and_a_core_is_whole(
    named: tuple[tuple[str, str], ...], found: dict[int, list[set[int]]], strayed: set[int]
) -> None:
    topology = parse_capabilities(cells(*named))
    cores = {cell.id: sorted({one.siblings for one in cell.cpus}, key=min) for cell in topology.cells}
    assert cores == found
    assert topology.strayed == strayed
    assert bool(topology.stray_note) == bool(strayed)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("id='0'>", ">", "a <cell> has id='', which is no number"),
        ("core_id='1'", "core_id='x'", "a <cpu> has core_id='x', which is no number"),
    ],
)
def test_numbers_that_are_none_are_named(before: str, after: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_capabilities(cells(("0", "0 1")).replace(before, after))


@pytest.mark.parametrize(
    ("cpus", "vendor", "efficient"),
    [
        ("0:0-1 1:0-1 2:2-3 3:2-3 4 5 6 7", "Intel", {4, 5, 6, 7}),
        ("0:0-1 1:0-1 2:2-3 3:2-3 4 5 6 7", "AMD", set()),
        ("0:0-1 1:0-1 2:2-3 3:2-3 4", "Intel", set()),  # 5 may be its sibling, and offline
        ("0:0-1 1:0-1 2 4:4-5 5:4-5 6", "Intel", set()),  # 3 and 7 are offline
        ("0:0,4 1:1,5 2 3 4:0,4 5:1,5", "Intel", set()),
        ("0 1 2 3", "Intel", set()),
    ],
)
def test_efficient_cores_are_told_by_their_threads_where_that_is_sure(
    cpus: str, vendor: str, efficient: set[int]
) -> None:
    xml = cells(("0", cpus)).replace("<host>", f"<host><cpu><arch>x86_64</arch><vendor>{vendor}</vendor></cpu>")
    assert parse_capabilities(xml).efficient == efficient


def test_where_all_cores_are_of_one_kind_none_is_the_slower() -> None:
    topology = parse_capabilities(cells(("0", "0 1 2 3")))
    assert replace_efficient(topology, frozenset({2, 3, 9})).efficient == {2, 3}
    assert replace_efficient(topology, frozenset({0, 1, 2, 3})).efficient == frozenset()
