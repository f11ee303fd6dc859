"""A cluster that is watched: one screen that holds what matters most, and lines for who has no terminal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provision.base.visible import visible_line
from provision.diagnose import Cause
from provision.run import table
from provision.run.watched import Row, Watched

if TYPE_CHECKING:
    from rich.text import Text

ABSENT = "–"

HEAD = ("", "NODE", "HOST", "STEAL", "BUSY", "AGAIN", "REQ/S", "SUCCESS", "P99", "AGE")

WIDE = 100
"""Columns of a terminal from which on there is room for the hosts."""

LONGEST_NAME = 24
"""Of a node, on a screen."""

MOST_VCPUS = 4
"""Shown one by one; of more only the one that waits most."""

BAD, BOLD, DIM, PLAIN = "red", "bold", "dim", ""


@dataclass(frozen=True)
class Line:
    """A line, and how it looks where there are colours: nothing is said by them alone."""

    text: str
    style: str = PLAIN


def screen(now: Watched, width: int, height: int) -> Text:
    """So many lines of so many columns at the most: the most troubled nodes first, what has no room counted."""
    from rich.text import Text

    lines = [Text(one.text, style=one.style) for one in _fitted(now, width >= WIDE, height)]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True).join(lines)


def as_text(now: Watched) -> str:
    """All of it, for who has no terminal."""
    head, *rows = _table(by_trouble(now), wide=True, names=max(map(len, (row.node for row in now.rows)), default=0))
    return "\n".join(one.text for one in (_head(now, now.at), head, *rows, *_findings(now), *_unseen(now)))


def by_trouble(now: Watched) -> list[Row]:
    """The worst first, in steps: rows of nodes that are about as well stay where the inventory has them."""
    weights = {one.node: sum(cause.weight for cause in now.causes if one.node in cause.touches) for one in now.rows}

    def trouble(row: Row) -> tuple[int, ...]:
        failed = 0.0 if row.success_rate is None else 1 - row.success_rate
        shares = (row.worst_steal / 0.05, failed / 0.01, (row.again_share or 0.0) / 0.01)
        return (bool(row.fault), bool(row.causes), round(weights[row.node]), *(int(one) for one in shares))

    return sorted(now.rows, key=trouble, reverse=True)


def _fitted(now: Watched, wide: bool, height: int) -> list[Line]:
    room = max(height - 3, 3)
    findings = _cut(_findings(now), max(min(room // 3, 8), 1), "more findings: meshctl diagnose, or --json")
    unseen = _cut(_unseen(now), max(min(room // 5, 5), 1), "more that are not seen")
    head, *rows = _table(by_trouble(now), wide=wide, names=LONGEST_NAME)
    rows = _cut(rows, max(room - len(findings) - len(unseen), 1), "more nodes, less troubled")
    blind = Line(f"meshctl diagnose looks also at {now.blind}", DIM)
    return [_head(now, now.at[11:]), head, *rows, *findings, *unseen, blind][:height]


def _cut(lines: Sequence[Line], most: int, what: str) -> list[Line]:
    """No more than so many lines; the last one then counts those that are left out."""
    if len(lines) <= most:
        return list(lines)
    return [*lines[: most - 1], Line(f"… {len(lines) - most + 1} {what}", DIM)]


def _head(now: Watched, at: str) -> Line:
    hosts = len({row.host for row in now.rows} - {""})
    cost = ABSENT if now.cost is None else f"{now.cost:.2%}"
    said = f"{now.cluster}  {len(now.rows)} node(s) on {hosts} host(s)  {at}  takes {cost} of a CPU"
    return Line(visible_line(said), BOLD)


def _findings(now: Watched) -> list[Line]:
    return [Line(visible_line(_finding(one)), BAD) for one in now.causes] or [Line("no finding is true now")]


def _finding(one: Cause) -> str:
    explains = f" ({one.explains_ms:.0f} ms, {one.sure})" if one.explains_ms else ""
    return f"{one.id} {one.where}: {one.seen}{explains}"


def _unseen(now: Watched) -> list[Line]:
    return [Line(visible_line(f"not seen: {where}: {why}"), DIM) for where, why in now.unseen]


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _table(rows: Iterable[Row], *, wide: bool, names: int) -> list[Line]:
    """The head and a line for each row; of narrow ones the host is left out."""
    rows = list(rows)
    cells = [HEAD, *(_cells(row, names) for row in rows)]
    shown = cells if wide else [(*one[:2], *one[3:]) for one in cells]
    head, *lines = table(shown)
    styles = (DIM if row.fault else BAD if row.causes else PLAIN for row in rows)
    return [Line(head, BOLD), *(Line(line, style) for line, style in zip(lines, styles, strict=True))]


def _cells(row: Row, names: int) -> tuple[str, ...]:
    mark = "?" if row.fault else "!" if row.causes else ""
    node = visible_line(row.node)
    return (
        mark,
        node if len(node) <= names else node[: names - 1] + "…",
        visible_line(row.host) or ABSENT,
        _steal(row),
        _said(row.busy, lambda share: f"{share:.0%}"),
        _again(row),
        _said(row.requests_per_s, lambda rate: f"{rate:.1f}"),
        _said(row.success_rate, lambda share: f"{share:.2%}"),
        _said(row.p99_ms, lambda ms: f"{ms:.0f} ms"),
        _said(row.age_s, lambda seconds: f"{seconds:.0f} s"),
    )


def _steal(row: Row) -> str:
    if not row.steal:
        return ABSENT
    if row.steal_by == "guest":
        return f"~{row.steal[0]:.0%}"
    if len(row.steal) > MOST_VCPUS:
        return f"{row.worst_steal:.0%} of {len(row.steal)}"
    return " ".join(f"{share:.0%}" for share in row.steal)


def _again(row: Row) -> str:
    if row.again_per_s is None:
        return ABSENT
    return f"{row.again_per_s:.1f}/s {row.again_share or 0.0:.1%}" if row.again_per_s else "0"


def _said(value: float | None, words: Callable[[float], str]) -> str:
    return ABSENT if value is None else words(value)
