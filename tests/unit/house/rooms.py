"""The picture of docs/architecture.md: the rooms of provision/ in the rows of their import contract, with the real imports as arrows.

Units of all measures: pixels. An arrow that others imply (a → b → c, so a → c) is left out of the drawing, not out of the count.
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grimp
from lxml import etree
from lxml.builder import ElementMaker

from provision.placement.palette import DARK, LIGHT

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "provision"

NAMESPACE = "http://www.w3.org/2000/svg"
SVG = ElementMaker(namespace=NAMESPACE, nsmap={None: NAMESPACE})

WIDTH, EDGE = 1000, 20
BOX_WIDTH, BOX_HEIGHT, ROW = 176, 64, 108
LETTERS, LINES = 30, 3
"""How much of what a room says of itself goes into its box, at 10 px."""

Arrows = frozenset[tuple[str, str]]


def rows() -> list[list[str]]:
    """The rooms as the layers contract of pyproject.toml has them, from the top."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one.get("containers") == ["provision"])
    return [[room.strip() for room in layer.split("|")] for layer in layers]


def arrows() -> Arrows:
    """Which room imports which other, by the imports that the code has."""
    graph = grimp.build_graph("provision", cache_dir=None)
    inside = [(one, other) for one in graph.modules for other in graph.find_modules_directly_imported_by(one)]
    pairs = ((one.split(".")[1:2], other.split(".")[1:2]) for one, other in inside)
    return frozenset((one[0], other[0]) for one, other in pairs if one and other and one != other)


def draw() -> str:
    """The picture, as the text of an SVG file."""
    found = arrows()
    places = dict(_places(rows()))
    height = EDGE * 2 + ROW * (len(rows()) - 1) + BOX_HEIGHT
    title = f"{len(places)} rooms, {len(found)} arrows between them, all pointing down"
    picture = SVG.svg(
        SVG.title(title, id="title"),
        SVG.desc("\n".join(f"{one} imports {', '.join(others)}" for one, others in _imports(found)), id="desc"),
        SVG.style(_style()),
        SVG.rect({"class": "paper", "width": f"{WIDTH}", "height": f"{height}"}),
        *(_arrow(places[one], places[other]) for one, other in sorted(_needed(found))),
        *(_box(room, *place) for room, place in places.items()),
        {"viewBox": f"0 0 {WIDTH} {height}", "role": "img", "aria-labelledby": "title desc"},
    )
    return etree.tostring(picture, pretty_print=True, encoding="unicode")


def _imports(found: Arrows) -> Iterator[tuple[str, list[str]]]:
    for room in sorted({one for one, _ in found}):
        yield room, sorted(other for one, other in found if one == room)


def _needed(found: Arrows) -> Iterator[tuple[str, str]]:
    """The arrows that no longer way implies."""
    below: Mapping[str, list[str]] = dict(_imports(found))

    def reach(room: str) -> set[str]:
        return {room}.union(*(reach(other) for other in below.get(room, ())))

    for one, other in found:
        if not any(other in reach(between) for between in below[one] if between != other):
            yield one, other


def _places(layers: list[list[str]]) -> Iterator[tuple[str, tuple[float, float]]]:
    """Each room's upper left corner: rows from the top, each spread over the width."""
    for number, layer in enumerate(layers):
        pitch = (WIDTH - 2 * EDGE) / len(layer)
        for index, room in enumerate(layer):
            yield room, (EDGE + pitch * (index + 0.5) - BOX_WIDTH / 2, EDGE + ROW * number)


def _box(room: str, left: float, top: float) -> Any:
    says = textwrap.wrap(_says(room), LETTERS, max_lines=LINES, placeholder=" …")
    lines = [
        SVG.text(line, {"class": "small", "x": f"{left + 8:g}", "y": f"{top + 31 + 12 * number:g}"})
        for number, line in enumerate(says)
    ]
    files = len([path for path in (PACKAGE / room).rglob("*.py") if path.name != "__init__.py"])
    corner = {"x": f"{left:g}", "y": f"{top:g}", "width": f"{BOX_WIDTH}", "height": f"{BOX_HEIGHT}", "rx": "4"}
    return SVG.g(
        SVG.rect({"class": "room"} | corner),
        SVG.text(f"{room}/", {"class": "head", "x": f"{left + 8:g}", "y": f"{top + 17:g}"}),
        SVG.text(f"{files} files", {"class": "small end", "x": f"{left + BOX_WIDTH - 8:g}", "y": f"{top + 17:g}"}),
        *lines,
    )


def _says(room: str) -> str:
    """The beginning of what the room's `__init__` says it is for."""
    docstring = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text())) or ""
    return docstring.partition(". ")[0].partition("\n")[0].rstrip(".")


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> Any:
    x, y = start[0] + BOX_WIDTH / 2, start[1] + BOX_HEIGHT
    to_x, to_y = end[0] + BOX_WIDTH / 2, end[1]
    bend = (to_y - y) / 2
    curve = f"M{x:g} {y:g}C{x:g} {y + bend:g} {to_x:g} {to_y - bend:g} {to_x:g} {to_y:g}"
    return SVG.g(
        SVG.path({"class": "arrow", "d": curve}),
        SVG.path({"class": "tip", "d": f"M{to_x:g} {to_y:g}l-4 -8h8z"}),
    )


def _style() -> str:
    fonts = "text{font-family:system-ui,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif}"
    sizes = "text.head{font-size:13px;font-weight:600}text.small{font-size:10px}text.end{text-anchor:end}"
    dark = _greys(DARK)
    return f"{fonts}{sizes}{_greys(LIGHT)}@media (prefers-color-scheme:dark){{{dark}}}"


def _greys(tone: Mapping[str, str]) -> str:
    return (
        f"rect.paper{{fill:{tone['paper']}}}rect.room{{fill:{tone['plain']};stroke:{tone['line']}}}"
        f"text{{fill:{tone['ink']}}}text.small{{fill:{tone['faint']}}}"
        f"path.arrow{{fill:none;stroke:{tone['shade']}}}path.tip{{fill:{tone['shade']}}}"
    )
