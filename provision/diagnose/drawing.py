"""A verdict as a picture (SVG): who reaches whom and how fast, and where the time of services goes. Units of all measures: pixels.

The same in words stands in `desc`. Each cell has its numbers, so colour is never all that tells. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree
from lxml.builder import ElementMaker

from provision.diagnose.facts import Path, Recording
from provision.diagnose.split import Split
from provision.diagnose.text import as_text
from provision.diagnose.verdict import Verdict
from provision.placement import style

NAMESPACE = "http://www.w3.org/2000/svg"
SVG = ElementMaker(namespace=NAMESPACE, nsmap={None: NAMESPACE})

WIDTH, EDGE, ROW, HEAD = 1040, 20, 20, 34
NAMES, CELL, LEAST_CELL = 150, 74, 8
"""Columns: names, and a cell of the matrix; with many machines cells become narrow and lose their numbers, which are in `desc`."""

BAR = 620
MOST_SERVICES = 12

GOOD, SLOW, LOSSY, UNKNOWN = "g2", "g1", "g5", "node"
PARTS = (("proxy", "proxy_ms", "g0"), ("network", "network_ms", "g4"), ("service", "service_ms", "g1"))
KINDS = {"guest": "guest to guest", "host": "host to host", "pod": "pod to pod, by node"}


@dataclass(frozen=True)
class _Block:
    drawn: Any
    height: float


def draw(recording: Recording, verdict: Verdict) -> str:
    """The picture, as the text of an SVG file."""
    blocks = [*_matrices(recording), *_times(verdict.splits[:MOST_SERVICES])]
    height = 2 * EDGE + sum(block.height for block in blocks) or 2 * EDGE
    top, drawn = float(EDGE), []
    for block in blocks:
        drawn.append(SVG.g(block.drawn, transform=f"translate({EDGE} {top:g})"))
        top += block.height
    picture = SVG.svg(
        SVG.title(f"Where the time goes in {recording.cluster}", id="title"),
        SVG.desc(as_text(verdict), id="desc"),
        SVG.style(style()),
        _rect(0, 0, WIDTH, height, "paper"),
        *drawn,
        viewBox=f"0 0 {WIDTH} {height:g}",
        width=f"{WIDTH}",
        height=f"{height:g}",
        role="img",
    )
    return str(etree.tostring(picture, pretty_print=True, encoding="unicode"))


def _rect(x: float, y: float, width: float, height: float, kind: str, said: str = "") -> Any:
    place = {"x": x, "y": y, "width": width, "height": height}
    inner = [SVG.title(said)] if said else []
    return SVG.rect(*inner, {name: f"{value:g}" for name, value in place.items()}, {"class": kind})


def _text(x: float, y: float, said: str, kind: str = "small") -> Any:
    return SVG.text(said, {"x": f"{x:g}", "y": f"{y:g}", "class": kind})


# ── ways ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _matrices(recording: Recording) -> Iterator[_Block]:
    for kind, title in KINDS.items():
        paths = [one for one in recording.paths if one.kind == kind]
        if paths:
            yield _matrix(title, paths)


def _matrix(title: str, paths: Sequence[Path]) -> _Block:
    starts = sorted({one.start for one in paths})
    ends = sorted({one.end for one in paths})
    width = min(CELL, max((WIDTH - 2 * EDGE - NAMES) / len(ends), LEAST_CELL))
    drawn = [_text(0, 16, f"{title}: median and p99 of a round in ms, loss", "head")]
    numbered = width >= CELL
    drawn += [_text(NAMES + n * width, HEAD + 10, end[:12]) for n, end in enumerate(ends) if numbered]
    drawn += [_text(0, HEAD + ROW * (n + 1) + 13, start[:26]) for n, start in enumerate(starts)]
    for path in paths:
        x, y = NAMES + ends.index(path.end) * width, HEAD + ROW * (starts.index(path.start) + 1)
        drawn.append(_rect(x, y, width - 2, ROW - 2, _kind(path), f"{path.start} to {path.end}: {_said(path)}"))
        drawn += [_text(x + 3, y + 12, _said(path))] if numbered else []
    return _Block(SVG.g(*drawn), HEAD + ROW * (len(starts) + 2))


def _said(path: Path) -> str:
    if path.median_ms is None:
        return "no answer"
    loss = f" {path.lost / path.sent:.1%}" if path.sent and path.lost else ""
    return f"{path.median_ms:.3g}, {path.p99_ms or 0:.3g}{loss}"


def _kind(path: Path) -> str:
    if not path.sent:
        return UNKNOWN
    if path.lost >= 3 or path.median_ms is None:
        return LOSSY
    return SLOW if path.median_ms >= 10 else GOOD


# ── times ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _times(splits: Sequence[Split]) -> Iterator[_Block]:
    longest = max((one.p99_ms or 0.0 for one in splits), default=0.0)
    if longest <= 0:
        return
    drawn = [_text(0, 16, "where p99 goes, by service", "head"), *_legend()]
    for number, one in enumerate(splits):
        y = HEAD + ROW * (number + 1)
        drawn.append(_text(0, y + 13, one.service[:26]))
        drawn += _bar(one, y, BAR / longest)
    yield _Block(SVG.g(*drawn), HEAD + ROW * (len(splits) + 2))


def _legend() -> Iterator[Any]:
    for number, (name, _, hue) in enumerate(PARTS):
        yield _rect(NAMES + number * 100, HEAD, 12, 12, hue)
        yield _text(NAMES + number * 100 + 18, HEAD + 10, name)


def _bar(one: Split, y: float, pixels_per_ms: float) -> Iterator[Any]:
    x, said = float(NAMES), []
    for name, field, hue in PARTS:
        ms = getattr(one, field)
        if ms:
            yield _rect(x, y, ms * pixels_per_ms, ROW - 4, hue, f"{name} {ms:.1f} ms")
            x += ms * pixels_per_ms
            said.append(f"{name} {ms:.0f}")
    yield _text(x + 8, y + 13, f"{one.p99_ms or 0:.0f} ms: {', '.join(said)}")
