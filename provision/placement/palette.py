"""Colours of the drawing. Who is who is also written on each CPU, and forms differ: colour is never all that tells."""

from __future__ import annotations

from collections.abc import Iterator

HUES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")
"""Okabe and Ito's colours, which people who see no red or no green tell apart (jfly.uni-koeln.de/color)."""

LIGHT = {
    "paper": "#ffffff",
    "ink": "#1f2328",
    "faint": "#59636e",
    "line": "#c4ccd4",
    "plain": "#eef1f4",
    "shade": "#9aa4ae",
}
DARK = {"paper": "#12161c", "ink": "#e6edf3", "faint": "#a0abb6", "line": "#3d4752", "plain": "#242b34", "shade": "#6b7682"}  # fmt: skip
"""Greys of the two backgrounds: text has a contrast of 4.5:1 at the least, as WCAG AA wants; a test holds it."""

TINT = {"light": 0.34, "dark": 0.42}
"""How much of a guest's colour its CPUs are filled with, on the background."""


def style() -> str:
    """The style sheet: light, and dark where the reader's system is."""
    fonts = "text{font-family:system-ui,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif;font-size:11px}"
    fixed = [
        fonts,
        "text.head{font-size:15px;font-weight:600}text.sub{font-weight:600}text.small{font-size:9px}",
        "text.mid{text-anchor:middle}text.foreign{font-style:italic}",
        "rect.foreign{stroke-dasharray:2 2}rect.idle{stroke-dasharray:4 3}",
        "rect.emulator{stroke-width:2.5}",
    ]
    dark = "".join(_greys(DARK)) + "".join(_guests(DARK["paper"], TINT["dark"]))
    light = [*_greys(LIGHT), *_guests(LIGHT["paper"], TINT["light"])]
    return "\n".join(["", *fixed, *light, f"@media (prefers-color-scheme:dark){{{dark}}}", ""])


def _greys(tone: dict[str, str]) -> Iterator[str]:
    yield f"text{{fill:{tone['ink']}}}text.faint{{fill:{tone['faint']}}}"
    yield f"rect.paper{{fill:{tone['paper']}}}rect.frame{{fill:none;stroke:{tone['line']}}}"
    yield f"rect.node{{fill:{tone['plain']};stroke:{tone['line']}}}rect.core{{fill:{tone['paper']};stroke:{tone['line']}}}"
    yield f"rect.free{{fill:{tone['paper']};stroke:{tone['line']}}}rect.foreign{{fill:{tone['plain']};stroke:{tone['ink']}}}"
    yield f"rect.idle{{fill:{tone['paper']};stroke:{tone['ink']}}}rect.emulator{{fill:{tone['plain']};stroke:{tone['ink']}}}"
    yield f"rect.refused{{fill:none;stroke:{tone['ink']};stroke-dasharray:1 3}}"
    yield f"rect.host,rect.pages{{stroke:{tone['shade']}}}rect.hatch,rect.dots{{fill:{tone['plain']}}}"
    yield f"path.hatch{{stroke:{tone['shade']};stroke-opacity:.55}}circle.dots{{fill:{tone['shade']};fill-opacity:.6}}"


def _guests(paper: str, tint: float) -> Iterator[str]:
    for number, hue in enumerate(HUES):
        yield f"rect.g{number}{{fill:{_mixed(hue, paper, tint)};stroke:{hue}}}rect.idle.g{number}{{fill:{paper}}}"


def _mixed(colour: str, paper: str, part: float) -> str:
    """`part` of a colour on the paper."""
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(paper[1:]), strict=True)
    return "#" + bytes(round(one * part + other * (1 - part)) for one, other in pairs).hex()
