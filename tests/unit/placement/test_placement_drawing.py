"""The picture of a placement: complete, told apart without colours, and readable on both backgrounds."""

from __future__ import annotations

import re
from typing import Any

import pytest
from lxml import etree

from provision.placement import Tenant, place
from provision.placement.drawing import NAMESPACE, draw
from provision.placement.palette import DARK, HUES, LIGHT, TINT, _mixed
from provision.placement.picture import Stock, Who, cell_maps
from provision.placement.topology import Topology
from tests.unit.placement.cases import cluster
from tests.unit.placement.test_placement import node
from tests.unit.placement.test_topology import machine

NODES = [
    node("a", 4, "4GiB", hugepages="2MiB"),
    node("b", 2, "2GiB", cpu={"threads": "isolate", "emulator": "isolated"}),
    node("worker-with-a-long-name-12", 2, "8GiB", numa_cells=2),
    node("huge", 2, "999GiB"),
]
FOREIGN = Tenant("hv1", "<db> & co", None, (frozenset({2}), frozenset({34})), 3072, frozenset({4}), memory_cells=(0,))


def drawn(kind: str, *nodes: dict[str, Any], current: tuple[Tenant, ...] = (), **hv1: Any) -> Any:
    inventory = cluster([{"name": "hv1", **hv1}], list(nodes))
    topologies = {"hv1": machine(kind)}
    found = place(inventory, topologies, current)
    return etree.fromstring(draw(found, inventory, topologies, current).encode())


def texts(picture: Any, tag: str) -> list[str]:
    return [str(element.text) for element in picture.iter(f"{{{NAMESPACE}}}{tag}")]


@pytest.mark.parametrize(
    "kind",
    ["one-socket-no-smt", "two-sockets-smt", "epyc-four-cells-per-socket", "cell-without-memory", "offline-cpus"],
)
def test_every_cpu_is_drawn_once_and_says_whose_it_is(kind: str) -> None:
    titles = texts(drawn(kind, *NODES, current=(FOREIGN,)), "title")
    cpus = [int(match[1]) for title in titles if (match := re.match(r"CPU (\d+): .", title))]
    assert sorted(cpus) == [cpu.id for cpu in machine(kind).cpus]


def test_what_is_drawn_is_what_the_map_says() -> None:
    picture = drawn("two-sockets-smt", *NODES, current=(FOREIGN,))
    titles = texts(picture, "title")
    assert "CPU 0: host" in titles
    assert {"CPU 2: (<db> & co)", "CPU 4: (<db> & co)"} <= set(titles)
    assert sum(title.endswith(": idle for b") for title in titles) == 2
    assert sum(title.endswith(": b's emulator") for title in titles) == 1
    assert "a: 2048 pages" in titles
    assert titles[0] == "Placement of t: 3 guests on 1 host"
    said = texts(picture, "desc")[0]
    assert "hv1 cell 0: host 0+32 | (<db> & co) 2+34 4 | " in said
    assert "huge needs 2 dedicated CPUs and 1022976 MiB" in said
    assert any(text.startswith("huge fits nowhere: it needs 2 dedicated CPUs") for text in texts(picture, "text"))
    assert picture.get("role") == "img"
    assert picture.get("aria-labelledby") == "title desc"


def test_a_shared_cpu_shows_all_who_are_on_it() -> None:
    guests = [node("a", 2), node("b", 2)]
    titles = texts(drawn("one-socket-no-smt", *guests, cpu={"policy": "shared"}, reserved_cpus=range(2, 8)), "title")
    assert {"CPU 0: a, b", "CPU 1: a, b"} <= set(titles)


def test_nothing_stands_outside_the_picture() -> None:
    for kind in ("one-socket-no-smt", "two-sockets-smt", "epyc-four-cells-per-socket"):
        picture = drawn(kind, *NODES, current=(FOREIGN,))
        width, height = (float(picture.get(side)) for side in ("width", "height"))
        for box in picture.iter(f"{{{NAMESPACE}}}rect"):
            x, y = float(box.get("x")), float(box.get("y"))
            for group in box.iterancestors(f"{{{NAMESPACE}}}g"):
                moved = re.fullmatch(r"translate\((\S+) (\S+)\)", group.get("transform", "translate(0 0)"))
                assert moved
                x, y = x + float(moved[1]), y + float(moved[2])
            assert x + float(box.get("width")) <= width + 0.01
            assert y + float(box.get("height")) <= height + 0.01


def test_a_machine_without_cpus_or_memory_is_drawn_too() -> None:
    inventory = cluster([{"name": "hv1"}], NODES)
    nothing = {"hv1": Topology(())}
    etree.fromstring(draw(place(inventory, nothing, ()), inventory, nothing).encode())


def _contrast(one: str, other: str) -> float:
    """WCAG 2.1's ratio of two colours."""

    def light(colour: str) -> float:
        parts = (part / 255 for part in bytes.fromhex(colour[1:]))
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("tone", "tint"), [(LIGHT, TINT["light"]), (DARK, TINT["dark"])])
def test_text_is_legible_on_both_backgrounds(tone: dict[str, str], tint: float) -> None:
    fills = [tone["paper"], tone["plain"], *(_mixed(hue, tone["paper"], tint) for hue in HUES)]
    assert min(_contrast(tone["ink"], fill) for fill in fills) > 4.5
    assert min(_contrast(tone["faint"], tone[ground]) for ground in ("paper", "plain")) > 4.5


def test_memory_of_a_cell_is_split_among_its_owners() -> None:
    inventory = cluster([{"name": "hv1", "reserved_memory": "4GiB"}], NODES[:3])
    topologies = {"hv1": machine("two-sockets-smt")}
    paged = Tenant("hv1", "paged", None, (frozenset(range(64)),), 4096, memory_cells=(1,), hugepage_kib=1048576)
    current = (FOREIGN, paged)
    first, second = cell_maps(place(inventory, topologies, current), inventory, topologies, current)
    ordinary, small, large = first.stocks
    assert ordinary.held[:3] == ((Who("host"), 2048), (Who("pages"), 49152), (Who("foreign", "<db> & co"), 3072))
    assert ordinary.free == 195814 - sum(mib for _, mib in ordinary.held)
    assert {who.of for who, _ in ordinary.held} >= {"worker-with-a-long-name-12"}
    assert [stock.held for stock in (small, second.stocks[1])].count(((Who("guest", "a"), 2048),)) == 1
    assert (large, second.stocks[2]) == (Stock(1048576, 32, ()), Stock(1048576, 32, ((Who("foreign", "paged"), 4),)))
