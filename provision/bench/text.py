"""A result in words: the table, what the guarantee is worth, and two results beside each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from provision.bench.cells import FLOATING
from provision.bench.histograms import SHARES, at
from provision.bench.results import Result, Row, requests
from provision.bench.statistics import (
    ENOUGH,
    Change,
    Ratio,
    Spread,
    at_rest,
    compared,
    guarantee,
    settings,
    spread,
)

ABSENT = "–"
HEAD = (
    "WAY",
    "PINS",
    "NEIGHBOUR",
    "CONNECTIONS",
    "REQUESTS",
    "FAILED",
    "P50",
    "P90",
    "P99",
    "P99.9",
    "MAX",
    "P99 BY RUN",
)

EMULATED = "the guests are emulated (no KVM): a vCPU is a thread that translates code, so that milliseconds here say nothing of KVM's"
LATE_SHARE = 0.5
"""Where requests were sent late by more than this share of p99, the asking guest itself was short of CPU."""


def as_text(result: Result) -> str:
    """All that a person is told."""
    return "\n".join([*_head(result), *table([HEAD, *map(_row, result.rows)]), *_notes(result), "", sentence(result)])


def _head(result: Result) -> Iterator[str]:
    yield f"{result.cluster}: {result.start} asks {result.end} {result.per_s:g} times a second for {result.for_s:g} s, {result.runs} run(s)"
    yield from result.grounds
    yield from [EMULATED] if result.emulated else []


def _row(row: Row) -> tuple[str, ...]:
    connections = f"new each, {row.sysctl}" if row.sysctl else "kept"
    found = (at(row.histogram, share) for share in SHARES)
    return (
        *(row.way, row.pins, row.neighbour, connections, str(requests(row)), str(row.failed)),
        *map(ms, found),
        _range(spread(value for value in row.p99s_us if value is not None)),
    )


def ms(us: float | None) -> str:
    """A time in ms, to three digits."""
    return ABSENT if us is None else f"{us / 1000:.3g} ms" if us < 1e6 else f"{us / 1000:.0f} ms"


def _range(found: Spread | None) -> str:
    if found is None:
        return ABSENT
    return ms(found.median) + (f" ({ms(found.low)} … {ms(found.high)})" if found.count > 1 else "")


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _notes(result: Result) -> Iterator[str]:
    for what, why in result.left_out.items():
        yield f"{what} is left out: {why}"
    for row in result.rows:
        reasons = {why: sum(one.failed.get(why, 0) for one in row.runs) for one in row.runs for why in one.failed}
        yield from (f"{row.cell}: {count} request(s) failed: {why}" for why, count in reasons.items())
        yield from (f"{row.cell}, run {number}: {one.fault}" for number, one in enumerate(row.runs, 1) if one.fault)
        late, slow = max((one.lag_p99_us for one in row.runs), default=0), at(row.histogram, 0.99)
        if slow and late > LATE_SHARE * slow:
            yield f"{row.cell}: requests were sent up to {ms(late)} late (p99): {result.start} itself had no CPU then, as any program on it"
    for ratio in (*at_rest(result), *settings(result)):
        condition = "quiet" if ratio.over == FLOATING else "each request on a new connection"
        yield f"{ratio.way}, {condition}: p99 {ratio.over} / {ratio.under} is {in_words(ratio)}"


def in_words(ratio: Ratio) -> str:
    """A ratio with its interval, and whether it is one."""
    found = ratio.spread
    if found is None:
        return "not known"
    runs = "1 run" if found.count == 1 else f"{found.count} runs"
    few, same = found.count < ENOUGH, not ratio.told
    doubt = ", too few to tell from 1" if few else ", not distinguishable from 1" if same else ""
    return f"{found.median:.2f} ({found.low:.2f} … {found.high:.2f}, {runs}{doubt})"


def sentence(result: Result) -> str:
    """What the guarantee is worth here."""
    found = guarantee(result)
    if not found:
        return "What pins are worth here was not measured: that takes the cells pinned and floating, with a noisy neighbour."
    known = [one for one in found if one.spread is not None]
    if not known:
        return (
            "What pins are worth here is not known: no run has a p99 both pinned and floating with a noisy neighbour."
        )
    said = "; ".join(f"{one.way} {in_words(one)}" for one in known)
    where = ", on emulated guests" if result.emulated else ""
    return f"{_judged(known)} beside a noisy neighbour p99 floating / pinned is {said}{where}."


def _judged(known: Sequence[Ratio]) -> str:
    told = [one for one in known if one.told]
    better = [one for one in told if one.spread and one.spread.low > 1]
    if all(one.spread and one.spread.count < ENOUGH for one in known):
        return f"What pins are worth here cannot be said of fewer than {ENOUGH} runs:"
    if not told:
        return "Pins are worth nothing here that can be measured:"
    if not better:
        return "Pins make it slower here:"
    gain = max(one.spread.median for one in better if one.spread)
    return f"Pins are worth a p99 up to {gain:.1f} times shorter here:"


# ── two results ──────────────────────────────────────────────────────────────────────────────────────────────────


def comparison(before: Result, after: Result) -> str:
    """Cell by cell, and what is not alike in how they were measured."""
    changes = compared(before, after)
    rows = [("CELL", "P99 BEFORE", "P99 AFTER", "AFTER/BEFORE", ""), *map(_change_row, changes)]
    return "\n".join([*_unlike(before, after), *table(rows), *_alone(before, after)])


def _change_row(change: Change) -> tuple[str, ...]:
    ratio = ABSENT if change.ratio is None else f"{change.ratio:.2f}"
    verdict = "" if change.ratio is None else "differs" if change.told else "not distinguishable"
    return str(change.cell), _range(change.before), _range(change.after), ratio, verdict


def _unlike(before: Result, after: Result) -> Iterator[str]:
    for name in ("cluster", "start", "end", "per_s", "for_s", "emulated", "grounds"):
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            yield f"not measured alike: {name}: {_plain(one)} before, {_plain(other)} after"


def _plain(value: Any) -> str:
    return "; ".join(value) if isinstance(value, tuple) else str(value)


def _alone(before: Result, after: Result) -> Iterator[str]:
    for name, one, other in (("before", before, after), ("after", after, before)):
        yield from (f"only {name}: {row.cell}" for row in one.rows if other.row(row.cell) is None)


# ── for programs ─────────────────────────────────────────────────────────────────────────────────────────────────


def summary(result: Result) -> dict[str, Any]:
    """What follows from the histograms, for `--json`."""
    return {
        "sentence": sentence(result),
        "cells": [_cell_data(row) for row in result.rows],
        "floating_over_pinned_noisy": _ratio_data(guarantee(result)),
        "floating_over_pinned_quiet": _ratio_data(at_rest(result)),
        "without_over_with_sysctl": _ratio_data(settings(result)),
    }


def _cell_data(row: Row) -> dict[str, Any]:
    names = ("p50_us", "p90_us", "p99_us", "p99_9_us", "max_us")
    found = {name: at(row.histogram, share) for name, share in zip(names, SHARES, strict=True)}
    return {
        "cell": str(row.cell),
        "requests": requests(row),
        "failed": row.failed,
        **found,
        "p99_us_by_run": list(row.p99s_us),
    }


def _ratio_data(found: Iterable[Ratio]) -> list[dict[str, Any]]:
    return [{"way": one.way, "distinguishable": one.told, **_spread_data(one.spread)} for one in found]


def _spread_data(found: Spread | None) -> dict[str, Any]:
    if found is None:
        return {"median": None, "low": None, "high": None, "runs": 0, "sure": 0.0}
    return {"median": found.median, "low": found.low, "high": found.high, "runs": found.count, "sure": found.sure}


def comparison_data(before: Result, after: Result) -> dict[str, Any]:
    """The same for `--json`."""
    changes = [
        {
            "cell": str(one.cell),
            "before_us": _spread_data(one.before),
            "after_us": _spread_data(one.after),
            "ratio": one.ratio,
            "distinguishable": one.told,
        }
        for one in compared(before, after)
    ]
    return {"cells": changes, "notes": [*_unlike(before, after), *_alone(before, after)]}
