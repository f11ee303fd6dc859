"""Latencies as HdrHistograms: in µs, to three digits. Pure."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from hdrh.codec import HdrCookieException, HdrHistogramSettingsException, HdrLengthException
from hdrh.histogram import HdrHistogram

LONGEST_US = 600_000_000
"""Ten minutes; nothing waits longer."""

DIGITS = 3

UNREADABLE = (
    *(ValueError, IndexError, RuntimeError, zlib.error),
    *(HdrCookieException, HdrHistogramSettingsException, HdrLengthException),
)
"""What the codec raises of a text that is no histogram."""

SHARES = (0.5, 0.9, 0.99, 0.999, 1.0)
"""Of requests that were as quick or quicker; 1 is the slowest."""


def encoded(counts: Iterable[tuple[int, int]]) -> str:
    """A histogram of pairs of µs and how often, in HdrHistogram's own text form (V2, compressed, base64)."""
    made = HdrHistogram(1, LONGEST_US, DIGITS)
    for us, count in counts:
        made.record_value(min(max(us, 1), LONGEST_US), count)
    return str(made.encode().decode())


def merged(texts: Iterable[str]) -> Any:
    """One histogram of several. Raises ValueError for a text that is none."""
    made = HdrHistogram(1, LONGEST_US, DIGITS)
    for text in texts:
        try:
            made.add(HdrHistogram.decode(text))
        except UNREADABLE as error:
            raise ValueError(f"no HdrHistogram: {error}") from error
    return made


def total(histogram: Any) -> int:
    """How many requests it has."""
    return int(histogram.get_total_count())


def at(histogram: Any, share: float) -> float | None:
    """The latency in µs that this share of requests did not exceed; None where so few were counted that none is slower by right: p99
    wants 100, p99.9 1000.
    """
    count = total(histogram)
    if not count or (share < 1 and round(count * (1 - share), 6) < 1):
        return None
    return float(histogram.get_max_value() if share == 1 else histogram.get_value_at_percentile(share * 100))


def curve(histogram: Any, points: Sequence[float]) -> list[tuple[float, float]]:
    """The latency in µs at each x = 1 / (1 - share) that there are requests for."""
    count = total(histogram)
    return [(x, float(histogram.get_value_at_percentile(100 * (1 - 1 / x)))) for x in points if x <= count]


def grid(most: float, each: int = 12) -> list[float]:
    """`each` values of x for every power of ten from 1 to `most`."""
    if most < 1:
        return []
    return [10 ** (step / each) for step in range(math.floor(math.log10(most) * each) + 1)]
