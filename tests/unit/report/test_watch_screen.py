"""The screen of `watch`: what fits, what comes first, and that nothing is said by colours alone."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from provision.diagnose.cause import cause
from provision.report.watch_screen import as_text, by_trouble, screen
from provision.run.watched import Row, Watched

WELL = Row(
    "w1",
    "hv1",
    age_s=2.4,
    steal=(0.0, 0.012),
    steal_by="host",
    busy=0.42,
    again_per_s=1.25,
    again_share=0.0031,
    requests_per_s=120.4,
    success_rate=0.9987,
    p99_ms=41.0,
    cost=0.002,
)
SILENT = Row("w2", "hv2", fault="nothing was heard for 40 s", age_s=40.0, cost=0.002)
CAUSE = cause("MD403", "w3", "50 of 2000 segments (2.5%), 3 of them SYNs", 200.0, "likely", {"w3"}, node="w3")
SICK = replace(WELL, node="w3", causes=("MD403",), again_share=0.025)


def of(*rows: Row, causes: int = 0, unseen: int = 0) -> Watched:
    found = tuple(replace(CAUSE, where=f"w3 {n}") for n in range(causes))
    away = tuple((f"hv{n}", "libvirt has not answered") for n in range(unseen))
    return Watched("lab", "2026-12-01T12:00:00Z", rows, found, 0.004, away)


def drawn(now: Watched, width: int, height: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, height=height, no_color=True).print(screen(now, width, height))
    return out.getvalue().rstrip("\n").split("\n")


def many(count: int) -> Watched:
    rows = [replace(WELL, node=f"worker-{n}") for n in range(count)]
    rows[70 % count] = replace(SICK, node="w3")
    rows[60 % count] = SILENT
    return of(*rows, causes=12, unseen=9)


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("count", [3, 100])
@pytest.mark.parametrize("height", [10, 24, 50, 200])
def test_it_never_scrolls(width: int, count: int, height: int) -> None:
    lines = drawn(many(count), width, height)
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    assert any("MD403" in line for line in lines)
    assert lines[-1].startswith("meshctl diagnose looks also at")


@pytest.mark.parametrize("width", [80, 140])
def test_three_guests_are_all_there_with_what_was_measured(width: int) -> None:
    lines = drawn(of(WELL, SILENT, SICK, causes=1, unseen=1), width, 24)
    assert lines[0] == "lab  3 node(s) on 2 host(s)  12:00:00Z  takes 0.40% of a CPU"
    rows = {words[1] if words[0] in ("?", "!") else words[0]: line for line in lines[2:5] for words in [line.split()]}
    for said in ("0% 1%", "42%", "1.2/s 0.3%", "120.4", "99.87%", "41 ms", "2 s"):
        assert said in rows["w1"]
    assert rows["w2"].split()[0] == "?"
    assert rows["w3"].split()[0] == "!"
    assert ("hv1" in rows["w1"]) == (width == 140)
    assert lines[5] == "MD403 w3 0: 50 of 2000 segments (2.5%), 3 of them SYNs (200 ms, likely)"
    assert lines[6] == "not seen: hv0: libvirt has not answered"


def test_of_a_hundred_the_worst_come_first_and_the_others_are_counted() -> None:
    lines = drawn(many(100), 80, 24)
    nodes = [line.split()[1] for line in lines[2:4]]
    assert nodes == ["w2", "w3"]
    shown = [line for line in lines if "worker-" in line]
    assert f"… {100 - 2 - len(shown)} more nodes, less troubled" in lines
    assert any(line.startswith("… ") and "more findings" in line for line in lines)
    assert any(line.startswith("… ") and "more that are not seen" in line for line in lines)


def test_nodes_that_are_well_stay_where_the_inventory_has_them() -> None:
    rows = [replace(WELL, node=f"n{n}", steal=(n % 3 / 100,), p99_ms=float(n)) for n in range(9)]
    assert [one.node for one in by_trouble(of(*rows))] == [one.node for one in rows]
    slow = replace(WELL, node="slow", steal=(0.0, 0.31))
    failing = replace(WELL, node="failing", success_rate=0.4)
    assert [one.node for one in by_trouble(of(*rows, failing, slow))][:2] == ["slow", "failing"]


def test_what_was_not_measured_is_no_zero() -> None:
    lines = drawn(of(Row("w1", "hv1", age_s=0.0)), 80, 24)
    assert lines[2].split() == ["w1", *["–"] * 6, "0", "s"]
    assert "no finding is true now" in lines


def test_steal_by_the_guests_own_word_and_of_many_vcpus() -> None:
    own = replace(WELL, node="own", steal=(0.034,), steal_by="guest")
    large = replace(WELL, node="large", steal=(*[0.01] * 15, 0.31))
    text = as_text(of(own, large))
    assert "~3%" in text
    assert "31% of 16" in text


def test_colours_only_repeat_what_is_said() -> None:
    now = many(5)
    out = io.StringIO()
    Console(file=out, width=140, height=30, force_terminal=True, color_system="standard").print(screen(now, 140, 30))
    assert "\x1b[31m" in out.getvalue()
    assert "\x1b" not in "".join(drawn(now, 140, 30))


def test_what_others_say_steers_no_terminal() -> None:
    now = replace(of(replace(WELL, node="w\x1b[2J"), causes=1), unseen=(("hv1", "\x1b]0;x\x07\nerror: forged"),))
    for text in (as_text(now), "\n".join(drawn(now, 140, 30))):
        assert "\x1b" not in text
        assert "\nerror" not in text


def test_lines_have_everything() -> None:
    lines = as_text(many(100)).splitlines()
    assert len([line for line in lines if "worker-" in line]) == 98
    assert len([line for line in lines if line.startswith("MD403")]) == 12
    assert lines[2].split()[:3] == ["?", "w2", "hv2"]
