"""Placement as a picture (SVG): hosts, NUMA nodes, cores with their sibling threads, and who is on each CPU; memory below.

The text version of the same stands in `desc`, for those who hear pictures. Units of all measures: pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from lxml import etree
from lxml.builder import ElementMaker

from provision.base.cpu_lists import cpu_list
from provision.base.units import KIB
from provision.inventory import Cluster, Node
from provision.placement.model import Pinning, Placement, Tenant
from provision.placement.need import page_name
from provision.placement.palette import HUES, style
from provision.placement.picture import FREE, CellMap, Stock, Who, cell_maps
from provision.placement.topology import Cell, Topology

NAMESPACE = "http://www.w3.org/2000/svg"
SVG = ElementMaker(namespace=NAMESPACE, nsmap={None: NAMESPACE})

WIDTH = 1040
EDGE, GAP = 20, 12
CPU_WIDTH, CPU_HEIGHT, CORE_EDGE, CORE_GAP = 43, 28, 3, 4
CORE_WIDTH = CPU_WIDTH + 2 * CORE_EDGE
BAR_HEIGHT, LINE, HEAD = 16, 16, 30
LETTER = 5.6
"""Width of a letter at 9 px, of a wide font."""

MOST_ABREAST = 4
"""NUMA nodes side by side: four show eight cores each in two rows."""

LEGEND_COLUMNS, ROW = 2, LINE + 4


@dataclass(frozen=True)
class _Block:
    """Something drawn, and how high it is."""

    drawn: Any
    height: float


def draw(
    placement: Placement, cluster: Cluster, topologies: Mapping[str, Topology], current: Sequence[Tenant] = ()
) -> str:
    """The picture of all hosts, as the text of an SVG file."""
    maps = cell_maps(placement, cluster, topologies, current)
    hues = {node.name: f"g{number % len(HUES)}" for number, node in enumerate(cluster.nodes)}
    of_host = {name: list(of_one) for name, of_one in groupby(maps, key=lambda one: one.host)}
    blocks = [_host(host.name, topologies[host.name], of_host.get(host.name, []), hues) for host in cluster.hosts]
    blocks.append(_legend(placement, cluster, maps, hues))
    height = EDGE + sum(block.height + GAP for block in blocks) + EDGE - GAP
    counts = _counted((len(placement.pinnings), "guest")), _counted((len(cluster.hosts), "host"))
    title = f"Placement of {cluster.cluster}: {' on '.join(counts)}"
    said = "\n".join([*map(str, maps), *map(str, placement.refusals)])
    picture = SVG.svg(
        SVG.title(title, id="title"),
        SVG.desc(said, id="desc"),
        SVG.style(style()),
        SVG.defs(_hatch(), _dots()),
        _rect(0, 0, WIDTH, height, "paper"),
        *_stacked(blocks, EDGE),
        {
            "viewBox": f"0 0 {WIDTH} {height:g}",
            "width": f"{WIDTH}",
            "height": f"{height:g}",
            "role": "img",
            "aria-labelledby": "title desc",
        },
    )
    return etree.tostring(picture, pretty_print=True, encoding="unicode")


def _stacked(blocks: Sequence[_Block], top: float) -> Iterator[Any]:
    for block in blocks:
        yield _moved(block.drawn, EDGE, top)
        top += block.height + GAP


def _moved(drawn: Any, x: float, y: float) -> Any:
    return SVG.g(drawn, transform=f"translate({x:g} {y:g})")


def _rect(x: float, y: float, width: float, height: float, kind: str, **more: str) -> Any:
    place = {"x": x, "y": y, "width": width, "height": height}
    return SVG.rect({name: f"{value:g}" for name, value in place.items()}, {"class": kind, **more})


def _text(x: float, y: float, said: str, kind: str = "") -> Any:
    return SVG.text(said, {"x": f"{x:g}", "y": f"{y:g}", **({"class": kind} if kind else {})})


def _hatch() -> Any:
    line = SVG.path({"class": "hatch", "d": "M-1 1l2-2M0 6l6-6M5 7l2-2"})
    return SVG.pattern(
        _rect(0, 0, 6, 6, "hatch"), line, id="hatch", width="6", height="6", patternUnits="userSpaceOnUse"
    )


def _dots() -> Any:
    dot = SVG.circle({"class": "dots"}, cx="3", cy="3", r="1")
    return SVG.pattern(_rect(0, 0, 6, 6, "dots"), dot, id="dots", width="6", height="6", patternUnits="userSpaceOnUse")


# ── a host and its NUMA nodes ────────────────────────────────────────────────────────────────────────────────────


def _host(name: str, topology: Topology, maps: Sequence[CellMap], hues: Mapping[str, str]) -> _Block:
    abreast = _abreast(topology)
    inner = WIDTH - 2 * EDGE - 2 * GAP
    width = (inner - (abreast - 1) * GAP) / abreast
    blocks = [_cell(cell, one, width, hues) for cell, one in zip(topology.cells, maps, strict=True)]
    drawn, top = [_text(GAP, 21, name, "head"), _text(GAP + 11 * len(name) + GAP, 21, _about(topology), "faint")], HEAD
    for start in range(0, len(blocks), abreast):
        row = blocks[start : start + abreast]
        drawn += [_moved(block.drawn, GAP + n * (width + GAP), top) for n, block in enumerate(row)]
        top += int(max(block.height for block in row)) + GAP
    frame = _rect(0, 0, WIDTH - 2 * EDGE, top, "frame", rx="8")
    return _Block(SVG.g(frame, *drawn), top)


def _abreast(topology: Topology) -> int:
    """How many NUMA nodes stand side by side: those of one socket, or two."""
    sockets = [cell.cpus[0].socket for cell in topology.cells if cell.cpus]
    together = max((sockets.count(socket) for socket in sockets), default=1)
    return max(1, min(MOST_ABREAST, len(topology.cells), max(2, together)))


def _about(topology: Topology) -> str:
    sockets = len({cpu.socket for cpu in topology.cpus})
    cores = {cpu.siblings for cpu in topology.cpus}
    threads = max(map(len, cores), default=1)
    parts = ((sockets, "socket"), (len(topology.cells), "NUMA node"), (len(cores), "core"))
    return _counted(*parts) + (f" of {threads} threads" if threads > 1 else "")


def _counted(*parts: tuple[int, str]) -> str:
    return ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in parts)


def _cell(cell: Cell, one: CellMap, width: float, hues: Mapping[str, str]) -> _Block:
    owners = _by_cpu(one)
    ids = {cpu.id for cpu in cell.cpus}
    cores = sorted({tuple(sorted(cpu.siblings & ids)) for cpu in cell.cpus})
    fitting = max(1, int((width - 2 * GAP + CORE_GAP) // (CORE_WIDTH + CORE_GAP)))
    per_row = -(-len(cores) // max(1, -(-len(cores) // fitting))) or 1
    threads = max((len(core) for core in cores), default=0)
    core_height = threads * CPU_HEIGHT + 2 * CORE_EDGE
    socket = f"socket {cell.cpus[0].socket}" if cell.cpus else "no CPUs"
    drawn = [_text(GAP, 18, f"NUMA node {cell.id}, {socket}", "sub")]
    top = float(HEAD - 4)
    for number, core in enumerate(cores):
        x = GAP + number % per_row * (CORE_WIDTH + CORE_GAP)
        drawn.append(_moved(_core(core, owners, hues), x, top + number // per_row * (core_height + CORE_GAP)))
    top += -(-len(cores) // per_row) * (core_height + CORE_GAP)
    for stock in one.stocks:
        drawn.append(_moved(_stock(stock, width - 2 * GAP, hues), GAP, top))
        top += LINE + BAR_HEIGHT + 4
    top += GAP - 4
    return _Block(SVG.g(_rect(0, 0, width, top, "node", rx="6"), *drawn), top)


def _by_cpu(one: CellMap) -> dict[int, list[Who]]:
    found: dict[int, list[Who]] = {}
    for owner in one.owners:
        for core in owner.cores:
            for cpu in core:
                found.setdefault(cpu, []).append(owner.who)
    return found


def _core(core: Sequence[int], owners: Mapping[int, Sequence[Who]], hues: Mapping[str, str]) -> Any:
    frame = _rect(0, 0, CORE_WIDTH, len(core) * CPU_HEIGHT + 2 * CORE_EDGE, "core", rx="4")
    boxes = (
        _moved(_cpu(cpu, owners.get(cpu, (FREE,)), hues), CORE_EDGE, CORE_EDGE + row * CPU_HEIGHT)
        for row, cpu in enumerate(core)
    )
    return SVG.g(frame, *boxes)


def _cpu(cpu: int, owners: Sequence[Who], hues: Mapping[str, str]) -> Any:
    """A CPU in the colours of all who are on it, and their names where the pointer rests."""
    width = (CPU_WIDTH - 2) / len(owners)
    stripes = (_fill(who, 1 + n * width, 1, width, CPU_HEIGHT - 2, hues) for n, who in enumerate(owners))
    label = _label(owners[0]) if len(owners) == 1 else f"{len(owners)} guests"
    return SVG.g(
        SVG.title(f"CPU {cpu}: {', '.join(map(str, owners))}"),
        *stripes,
        _text(CPU_WIDTH / 2, 12, str(cpu), "mid"),
        _text(CPU_WIDTH / 2, 23, _short(label, CPU_WIDTH - 2), f"small mid {owners[0].kind}"),
    )


def _label(who: Who) -> str:
    return {"host": "host", "emulator": "emulator", "idle": "idle", "free": ""}.get(who.kind, str(who))


def _short(text: str, width: float) -> str:
    """A text that is too long without its middle: names differ in how they begin and end."""
    fitting = max(3, int(width / LETTER) + 1)
    return text if len(text) <= fitting else f"{text[: fitting // 2 - 1]}…{text[-(fitting - fitting // 2) :]}"


def _fill(who: Who, x: float, y: float, width: float, height: float, hues: Mapping[str, str]) -> Any:
    patterns = {"host": "url(#hatch)", "pages": "url(#dots)"}
    more = {"fill": patterns[who.kind]} if who.kind in patterns else {}
    return _rect(x, y, width, height, f"{who.kind} {hues.get(who.of, '')}".strip(), rx="2", **more)


# ── memory ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _stock(stock: Stock, width: float, hues: Mapping[str, str]) -> Any:
    """A bar: who has how much of it."""
    drawn = [_text(0, 12, _stock_said(stock), "faint")]
    drawn += [_rect(0, LINE, width, BAR_HEIGHT, "free", rx="2")] if stock.total else []
    x = 0.0
    for who, amount in stock.held:
        part = min(width - x, width * amount / max(1, stock.total))
        drawn.append(_part(who, amount, stock, x, part, hues))
        x += part
    return SVG.g(*drawn)


def _part(who: Who, amount: int, stock: Stock, x: float, width: float, hues: Mapping[str, str]) -> Any:
    label = "huge pages" if who.kind == "pages" else str(who)
    size = f"{amount} pages" if stock.page_kib else _gib(amount)
    fits = width >= min(CPU_WIDTH, LETTER * len(label))
    text = [_text(x + width / 2, LINE + 11, _short(label, width - 6), f"small mid {who.kind}")] if fits else []
    return SVG.g(SVG.title(f"{label}: {size}"), _fill(who, x, LINE, width, BAR_HEIGHT, hues), *text)


def _stock_said(stock: Stock) -> str:
    if stock.page_kib:
        return f"{stock.total} huge pages of {page_name(stock.page_kib)}, {stock.free} free"
    return f"memory {_gib(stock.total)}, {_gib(stock.free)} free" if stock.total else "no memory of its own"


def _gib(mib: int) -> str:
    return f"{round(mib / KIB, 1):g} GiB"


# ── what the colours mean ────────────────────────────────────────────────────────────────────────────────────────


def _legend(placement: Placement, cluster: Cluster, maps: Sequence[CellMap], hues: Mapping[str, str]) -> _Block:
    nodes = {node.name: node for node in cluster.nodes}
    guests = [_guest_said(nodes[pin.node], pin) for pin in placement.pinnings]
    refused = [(Who("refused"), f"{one.node} fits nowhere: it needs {one.needs}") for one in placement.refusals]
    drawn, top = [], 0.0
    for entries, columns in ((list(_kinds(maps)), LEGEND_COLUMNS), (guests, LEGEND_COLUMNS), (refused, 1)):
        width = (WIDTH - 2 * EDGE) / columns
        for number, (who, said) in enumerate(entries):
            x, y = number % columns * width, top + number // columns * ROW
            drawn.append(_moved(_entry(who, said, width, hues), x, y))
        top += -(-len(entries) // columns) * ROW + (GAP / 2 if entries else 0)
    return _Block(SVG.g(*drawn), top)


def _kinds(maps: Sequence[CellMap]) -> Iterator[tuple[Who, str]]:
    """What stands in the picture besides guests; each said once."""
    said = {
        "host": "host: reserved CPUs, for QEMU's own threads too; memory kept back",
        "foreign": "a guest that is not of this cluster, or is to go",
        "emulator": "emulator: a CPU for QEMU's own threads of one guest",
        "idle": "idle: sibling thread that threads: isolate keeps free",
        "pages": "memory set aside as huge pages",
        "free": "free",
    }
    there = {owner.who.kind for one in maps for owner in one.owners}
    there |= {who.kind for one in maps for stock in one.stocks for who, _ in stock.held}
    yield from ((Who(kind), text) for kind, text in said.items() if kind in there)


def _guest_said(node: Node, pin: Pinning) -> tuple[Who, str]:
    kind = "" if pin.exclusive else "shared "
    said = f"{node.name}: {_counted((node.vcpus, f'{kind}vCPU'))}, {_gib(node.memory_mib)}"
    cpus = f"CPU{'' if len(pin.emulator_cpus) == 1 else 's'} {cpu_list(pin.emulator_cpus)}"
    return Who("guest", node.name), f"{said}; QEMU's own threads on {cpus}"


def _entry(who: Who, said: str, width: float, hues: Mapping[str, str]) -> Any:
    fitting = int(width / LETTER / 1.1)
    text = said if len(said) <= fitting else f"{said[: fitting - 1]}…"
    return SVG.g(SVG.title(said), _fill(who, 0, 1, 20, 13, hues), _text(28, 12, text))
