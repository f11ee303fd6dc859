"""How far runs agree, and whether one thing is slower than another. Pure.

Few runs, and latencies that follow no law: so everything goes by order. Between the k-th smallest and the k-th largest of n values lies
their median with probability 1 - 2 P(B < k), B of n throws of a coin (the sign test; David and Nagaraja, «Order Statistics», 7.1); between
the extremes of five with 94 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import comb
from statistics import median

from provision.bench.cells import FLOATING, NOISY, PINNED, QUIET, WITH, WITHOUT, Cell
from provision.bench.results import Result, Row

DOUBT = 1 / 16
"""Five runs are enough, four are not: 2 / 2^5."""

ENOUGH = 5


@dataclass(frozen=True)
class Spread:
    """The median of some values and an interval that has it, with probability `sure` as far as they are independent."""

    median: float
    low: float
    high: float
    count: int
    sure: float


def spread(values: Iterable[float]) -> Spread | None:
    """None of nothing. The narrowest interval that is sure enough; where there is none, from the smallest to the largest."""
    ordered = sorted(values)
    count = len(ordered)
    if not count:
        return None
    cut = next((k for k in range((count - 1) // 2, 0, -1) if _doubt(count, k) <= DOUBT), 0)
    return Spread(median(ordered), ordered[cut], ordered[count - 1 - cut], count, max(0.0, 1 - _doubt(count, cut)))


def _doubt(count: int, cut: int) -> float:
    """How likely the median lies outside, with `cut` values left away at each end."""
    return float(2 * sum(comb(count, k) for k in range(cut + 1)) / 2**count)


@dataclass(frozen=True)
class Ratio:
    """How many times as long p99 is with the one as with the other; `spread` is None where no pair of runs could be compared."""

    way: str
    over: str
    under: str
    spread: Spread | None

    @property
    def told(self) -> bool:
        """Whether it can be told from 1."""
        return (
            self.spread is not None and 1 - self.spread.sure <= DOUBT and not self.spread.low <= 1 <= self.spread.high
        )


def paired(over: Sequence[float | None], under: Sequence[float | None]) -> Spread | None:
    """The ratio of values that were measured in the same runs; runs that lack one are left out."""
    pairs = zip(over, under, strict=False)  # a cell may have been measured less often
    return spread(one / other for one, other in pairs if one is not None and other)


def guarantee(result: Result) -> tuple[Ratio, ...]:
    """By way, p99 floating over pinned, with a noisy neighbour: what pins are worth."""
    return tuple(_ratios(result, FLOATING, PINNED, lambda way, pins: Cell(way, pins, NOISY)))


def at_rest(result: Result) -> tuple[Ratio, ...]:
    """The same with a quiet neighbour."""
    return tuple(_ratios(result, FLOATING, PINNED, lambda way, pins: Cell(way, pins, QUIET)))


def settings(result: Result) -> tuple[Ratio, ...]:
    """By way, p99 without the article's settings over that with them, each request on a new connection."""
    return tuple(_ratios(result, WITHOUT, WITH, lambda way, sysctl: Cell(way, sysctl=sysctl)))


def _ratios(result: Result, over: str, under: str, cell: Callable[[str, str], Cell]) -> Iterator[Ratio]:
    for way in dict.fromkeys(row.way for row in result.rows):
        first, last = result.row(cell(way, over)), result.row(cell(way, under))
        if first is not None and last is not None:
            yield Ratio(way, over, under, paired(first.p99s_us, last.p99s_us))


@dataclass(frozen=True)
class Change:
    """A cell's p99 in two benches, in µs; `told`: all runs of the one are on the same side of all of the other, of enough runs."""

    cell: Cell
    before: Spread | None
    after: Spread | None
    told: bool

    @property
    def ratio(self) -> float | None:
        """After over before."""
        return self.after.median / self.before.median if self.before and self.after and self.before.median else None


def compared(before: Result, after: Result) -> tuple[Change, ...]:
    """By cell that both have. Runs of two benches are no pairs: they differ when they lie apart, which equal ones do by chance in 2 of
    C(n + m, n) cases (Wilcoxon's rank sum).
    """
    pairs = ((one, after.row(one.cell)) for one in before.rows)
    return tuple(_change(one, other) for one, other in pairs if other is not None)


def _change(before: Row, after: Row) -> Change:
    one, other = ([value for value in row.p99s_us if value is not None] for row in (before, after))
    apart = bool(one and other) and (max(one) < min(other) or max(other) < min(one))
    return Change(before.cell, spread(one), spread(other), apart and 2 / comb(len(one) + len(other), len(one)) <= DOUBT)
