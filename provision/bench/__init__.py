"""What pins are worth: requests at a fixed rate, in cells; their histograms, what follows from them, and how it is told.

To live here a line says what is measured, reckons with what was, or tells and draws it; machines are reached elsewhere. `on_guest` is the
text that runs there.
"""

from __future__ import annotations

from provision.bench.cells import FLOATING, NOISY, SYSCTL, Cell, cells, chosen, in_order, without
from provision.bench.drawing import draw
from provision.bench.ground import Ground, Pins, given, ground, live
from provision.bench.results import (
    LARGEST_FILE,
    Measured,
    Result,
    Row,
    not_measured,
    read_measured,
    read_result,
    written,
)
from provision.bench.script import WARM_S, argv, longest_s
from provision.bench.targets import Ways, ways
from provision.bench.text import as_text, comparison, comparison_data, summary

__all__ = [
    "FLOATING",
    "LARGEST_FILE",
    "NOISY",
    "SYSCTL",
    "WARM_S",
    "Cell",
    "Ground",
    "Measured",
    "Pins",
    "Result",
    "Row",
    "Ways",
    "argv",
    "as_text",
    "cells",
    "chosen",
    "comparison",
    "comparison_data",
    "draw",
    "given",
    "ground",
    "in_order",
    "live",
    "longest_s",
    "not_measured",
    "read_measured",
    "read_result",
    "summary",
    "ways",
    "without",
    "written",
]
