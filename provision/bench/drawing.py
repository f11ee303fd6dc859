"""A result as a picture (SVG): for each way the latency that a share of requests did not exceed, both axes logarithmic. Pure.

To the right are the slowest: x is 1 / (1 - share), so that 99 % stands at 100 and 99.9 % at 1000, as HdrHistogram's own plots have it.
Lines differ by dashes too, and have names in a legend; all numbers are in `desc`. Units of all measures: pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree
from lxml.builder import ElementMaker

from provision.bench.cells import FLOATING, NOISY, PINNED, QUIET, WITH, WITHOUT
from provision.bench.histograms import at, curve, grid, total
from provision.bench.results import Result, Row
from provision.bench.text import as_text, ms
from provision.placement import style
from provision.placement.palette import HUES

NAMESPACE = "http://www.w3.org/2000/svg"
SVG = ElementMaker(namespace=NAMESPACE, nsmap={None: NAMESPACE})

WIDTH, EDGE, HEAD, PANEL, GAP = 860, 20, 34, 280, 50
LEFT, RIGHT = 60, 220
"""Beside a panel: the axis' numbers, and the legend."""

LOOKS = {
    (PINNED, QUIET, ""): (0, ""),
    (FLOATING, QUIET, ""): (1, "6 3"),
    (PINNED, NOISY, ""): (2, "2 2"),
    (FLOATING, NOISY, ""): (5, "9 3 2 3"),
    (PINNED, QUIET, WITH): (3, "1 3"),
    (PINNED, QUIET, WITHOUT): (4, "12 4"),
}
"""Number of the colour, and dashes."""


@dataclass(frozen=True)
class _Scale:
    """From values to pixels, by their logarithms."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        part = (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        return self.start + part * (self.end - self.start)


def draw(result: Result) -> str:
    """The picture, as the text of an SVG file."""
    ways = list(dict.fromkeys(row.way for row in result.rows))
    counted = [row for row in result.rows if total(row.histogram)]
    height = 2 * EDGE + HEAD + len(ways) * (PANEL + GAP)
    head = (
        f"{result.cluster}: {result.start} to {result.end}, {result.per_s:g} requests/s"
        + ", emulated" * result.emulated
    )
    picture = SVG.svg(
        SVG.title(f"Latency by percentile: {head}", id="title"),
        SVG.desc(as_text(result), id="desc"),
        SVG.style(style() + _lines()),
        SVG.rect({"class": "paper", "width": f"{WIDTH}", "height": f"{height}"}),
        _text(EDGE, EDGE + 14, head, "head"),
        *_panels(ways, counted),
        viewBox=f"0 0 {WIDTH} {height}",
        width=f"{WIDTH}",
        height=f"{height}",
        role="img",
    )
    return str(etree.tostring(picture, pretty_print=True, encoding="unicode"))


def _lines() -> str:
    looks = (
        f"path.l{number}{{fill:none;stroke-width:1.8;stroke:{HUES[number]};stroke-dasharray:{dash or 'none'}}}"
        for number, dash in LOOKS.values()
    )
    return "".join(looks) + "path.axis{fill:none;stroke:#808080;stroke-opacity:.5}\n"


def _text(x: float, y: float, said: str, kind: str = "small") -> Any:
    return SVG.text(said, {"x": f"{x:g}", "y": f"{y:g}", "class": kind})


def _path(points: Sequence[tuple[float, float]], kind: str) -> Any:
    return SVG.path({"d": "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points), "class": kind})


def _panels(ways: Sequence[str], rows: Sequence[Row]) -> Iterator[Any]:
    """One for each way, all on the same scales: so they can be compared."""
    if not rows:
        return
    most = max(10.0, max(total(row.histogram) for row in rows))
    slowest = max(at(row.histogram, 1.0) or 1.0 for row in rows)
    quickest = min(row.histogram.get_value_at_percentile(0) or 1 for row in rows)
    low, high = 10 ** math.floor(math.log10(quickest)), 10 ** math.ceil(math.log10(slowest + 1))
    for number, way in enumerate(ways):
        top = EDGE + HEAD + number * (PANEL + GAP) + 20
        x = _Scale(1, most, EDGE + LEFT, WIDTH - EDGE - RIGHT)
        y = _Scale(low, high, top + PANEL - 40, top)
        yield SVG.g(*_axes(x, y, way), *_curves(x, y, [row for row in rows if row.way == way]))


def _axes(x: _Scale, y: _Scale, way: str) -> Iterator[Any]:
    yield _text(x.start, y.end - 6, way, "sub")
    for power in range(math.floor(math.log10(x.high)) + 1):
        yield _path([(x(10**power), y.start), (x(10**power), y.end)], "axis")
        yield _text(x(10**power) - 12, y.start + 14, f"{100 * (1 - 10**-power):.6g} %")
    for power in range(round(math.log10(y.low)), round(math.log10(y.high)) + 1):
        yield _path([(x.start, y(10**power)), (x.end, y(10**power))], "axis")
        yield _text(x.start - LEFT, y(10**power) + 3, ms(10.0**power))


def _curves(x: _Scale, y: _Scale, rows: Sequence[Row]) -> Iterator[Any]:
    for place, row in enumerate(rows):
        number, _ = LOOKS[row.pins, row.neighbour, row.sysctl]
        points = curve(row.histogram, grid(x.high))
        line = [(x(at_x), y(max(us, y.low))) for at_x, us in points]
        yield _path(line, f"l{number}")
        top = y.end + 10 + 32 * place
        yield _path([(x.end + 12, top), (x.end + 44, top)], f"l{number}")
        name = " ".join(row.cell.words[3:] or row.cell.words[1:3])
        yield _text(x.end + 50, top + 3, name, "sub")
        yield _text(x.end + 50, top + 15, f"p50 {ms(at(row.histogram, 0.5))}, p99 {ms(at(row.histogram, 0.99))}")
