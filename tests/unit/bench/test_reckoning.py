"""Cells, CPUs, statistics, words and pictures, on made-up histograms."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from lxml import etree

from provision.base.errors import InventoryError
from provision.bench import (
    Cell,
    Ground,
    Measured,
    Result,
    Row,
    as_text,
    cells,
    chosen,
    comparison,
    comparison_data,
    draw,
    in_order,
    not_measured,
    read_result,
    summary,
    ways,
    without,
    written,
)
from provision.bench.cells import DIRECT, FLOATING, NOISY, ONE_HOP, PAIRED, PINNED, QUIET, WITH, WITHOUT
from provision.bench.histograms import at, encoded, grid, merged
from provision.bench.statistics import compared, guarantee, paired, spread
from provision.bench.text import sentence

QUICK_US = 1000


def measured(p99_us: int, requests: int = 1000, failed: int = 0) -> Measured:
    """A run of which one request in fifty is slow."""
    slow = requests // 50
    made = encoded([(QUICK_US, requests - slow), (p99_us, slow)]) if requests else encoded([])
    return Measured(
        histogram=made, asked=requests + failed, failed={"status 502": failed} if failed else {}, nodes={"w2": requests}
    )


def row(cell: Cell, p99s_us: Sequence[int]) -> Row:
    runs = tuple(map(measured, p99s_us))
    return Row(way=cell.way, pins=cell.pins, neighbour=cell.neighbour, sysctl=cell.sysctl, runs=runs)


def result(*rows: Row, emulated: bool = False) -> Result:
    return Result(
        cluster="lab", at="2026-11-30T10:00:00Z", start="w1", end="w2", per_s=50, for_s=20, emulated=emulated, rows=rows
    )


def noisy(floating: Sequence[int], pinned: Sequence[int], way: str = DIRECT) -> tuple[Row, Row]:
    return row(Cell(way, FLOATING, NOISY), floating), row(Cell(way, PINNED, NOISY), pinned)


# ── cells ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_there_are_six_cells_of_each_way() -> None:
    assert len(cells()) == 18
    assert {one.sysctl for one in cells([DIRECT]) if one.sysctl} == {WITH, WITHOUT}
    assert in_order(cells(), 1) == cells()[::-1]
    assert in_order(cells(), 2) == cells()


def test_cells_are_chosen_by_words() -> None:
    assert chosen(cells(), ()) == cells()
    assert [str(one) for one in chosen(cells(), ["one-hop,noisy"])] == [
        "one-hop floating noisy",
        "one-hop pinned noisy",
    ]
    assert len(chosen(cells(), ["direct,churn", "one-hop,quiet,floating"])) == 3
    assert not any(one.neighbour == NOISY for one in without(cells(), [NOISY]))
    with pytest.raises(InventoryError, match="no cell is called loud"):
        chosen(cells(), ["loud"])
    with pytest.raises(InventoryError, match="no such cell"):
        chosen(cells(), ["noisy,churn"])


def test_the_ways_are_those_that_the_mesh_has() -> None:
    pod = ("10.244.2.5", 8080)
    plain = ways(pod, "10.77.0.12", 4140, (), 4141)
    assert plain.to == {DIRECT: pod, ONE_HOP: ("127.0.0.1", 4140)}
    assert plain.left_out.keys() == {PAIRED}
    both = ways(pod, "10.77.0.12", 4140, {4141, 4241}, 4141)
    assert both.to == {DIRECT: pod, ONE_HOP: ("10.77.0.12", 4141), PAIRED: ("127.0.0.1", 4140)}
    own = ways(pod, "10.77.0.12", 4140, {5000, 5001}, 4141)
    assert own.left_out.keys() == {ONE_HOP}


# ── CPUs ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def cpus(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


def test_a_neighbour_is_kept_off_where_the_cluster_has_other_cpus() -> None:
    one = Ground("hv1", cpus(*range(8)), measured=cpus(2, 3), others=cpus(3, 4, 5), reserved=cpus(0, 1))
    assert one.beside == cpus(4, 5)
    assert one.floating == cpus(2, 3, 4, 5)
    assert one.neighbour(PINNED) == cpus(4, 5)
    assert one.neighbour(FLOATING) == one.floating
    assert one.loops == 4


def test_free_cpus_do_where_there_is_no_other_guest_and_no_more_than_needed() -> None:
    one = Ground("hv1", cpus(*range(16)), measured=cpus(2, 3), reserved=cpus(0, 1), strangers=cpus(4, 5))
    assert one.beside == cpus(6, 7)
    assert not one.floating & cpus(0, 1, 4, 5)


def test_free_cpus_are_of_other_cores_if_there_are_any() -> None:
    two_threads = Ground("hv1", cpus(*range(8)), measured=cpus(1), reserved=cpus(0, 4), siblings=cpus(1, 5))
    assert two_threads.beside == cpus(2)
    last = Ground("hv1", cpus(0, 1, 4, 5), measured=cpus(1), reserved=cpus(0, 4), siblings=cpus(1, 5))
    assert last.beside == cpus(5)


def test_where_all_cpus_are_theirs_nothing_keeps_a_neighbour_off() -> None:
    one = Ground("hv1", cpus(0, 1), measured=cpus(0, 1), others=cpus(0, 1))
    assert one.beside == cpus()
    assert one.neighbour(PINNED) == one.neighbour(FLOATING) == cpus(0, 1)
    assert "pins keep nobody off here" in one.in_words()


# ── histograms and statistics ────────────────────────────────────────────────────────────────────────────────────


def test_percentiles_are_not_made_of_too_few_requests() -> None:
    few = merged([encoded([(QUICK_US, 99)])])
    assert at(few, 0.9) is not None
    assert at(few, 0.99) is None
    assert at(merged([encoded([(QUICK_US, 100)])]), 0.99) == pytest.approx(QUICK_US, rel=0.001)
    assert at(merged([encoded([])]), 1.0) is None
    assert at(merged([encoded([(QUICK_US, 1), (0, 1), (10**12, 1)])]), 1.0) == pytest.approx(6e8, rel=0.001)


@pytest.mark.parametrize("text", ["", "x", "HISTFAAA", "é", "SElTVEZBQUFB"])
def test_what_is_no_histogram_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="no HdrHistogram"):
        merged([text])


def test_an_interval_is_as_wide_as_so_few_runs_make_it() -> None:
    assert spread([]) is None
    one = spread([3.0])
    assert one is not None
    assert (one.median, one.low, one.high, one.sure) == (3.0, 3.0, 3.0, 0.0)
    five = spread([5.0, 1.0, 3.0, 2.0, 4.0])
    assert five is not None
    assert (five.median, five.low, five.high) == (3.0, 1.0, 5.0)
    assert five.sure == pytest.approx(0.9375)
    nine = spread(map(float, range(9)))  # 2 (1 + 9) / 512 = 4 % are outside of the second and the eighth
    assert nine is not None
    assert (nine.low, nine.high) == (1.0, 7.0)
    assert nine.sure == pytest.approx(1 - 20 / 512)


def test_runs_are_compared_in_pairs_and_those_that_lack_one_are_left_out() -> None:
    found = paired([4.0, None, 9.0, 5.0], [2.0, 1.0, 3.0, None])
    assert found is not None
    assert (found.low, found.high, found.count) == (2.0, 3.0, 2)
    assert paired([None], [1.0]) is None
    assert paired([], []) is None


def test_a_ratio_is_told_from_one_or_not() -> None:
    (clear,) = guarantee(result(*noisy([8000, 9000, 7000, 8500, 9500], [2000, 2100, 1900, 2000, 2050])))
    assert clear.told
    (vague,) = guarantee(result(*noisy([2000, 1500, 2500, 2000, 1800], [2000, 2100, 1900, 2000, 2050])))
    assert not vague.told
    (few,) = guarantee(result(*noisy([8000] * 4, [2000] * 4)))
    assert few.spread is not None
    assert few.spread.low > 1
    assert not few.told


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────

SAID = {
    "nothing": (result(), "was not measured"),
    "half": (result(noisy([2000], [2000])[0]), "was not measured"),
    "empty": (result(*noisy([], [])), "is not known"),
    "one run": (result(*noisy([8000], [2000])), "cannot be said of fewer than 5 runs"),
    "worth": (
        result(*noisy([8000, 9000, 7000, 8500, 9500], [2000] * 5), emulated=True),
        "Pins are worth a p99 up to 4.3 times shorter here",
    ),
    "nothing to tell": (result(*noisy([2000, 1500, 2500, 2000, 1800], [2000] * 5)), "not distinguishable from 1"),
    "worse": (result(*noisy([2000] * 5, [8000] * 5)), "Pins make it slower here"),
}


@pytest.mark.parametrize("name", SAID)
def test_the_sentence_says_what_the_guarantee_is_worth(name: str) -> None:
    found, words = SAID[name]
    assert words in sentence(found)
    assert sentence(found) in as_text(found)
    assert ("emulated" in sentence(found)) == found.emulated
    assert sentence(found).count("\n") == 0


def test_requests_that_all_failed_are_told_and_give_no_percentile() -> None:
    bad = Row(
        way=DIRECT, pins=PINNED, neighbour=QUIET, runs=(measured(0, requests=0, failed=500), not_measured("no answer"))
    )
    found = result(bad)
    assert "direct pinned quiet: 500 request(s) failed: status 502" in as_text(found)
    assert "direct pinned quiet, run 2: no answer" in as_text(found)
    (cell,) = summary(found)["cells"]
    assert (cell["p50_us"], cell["p99_us"], cell["requests"], cell["failed"]) == (None, None, 0, 500)
    etree.fromstring(draw(found).encode())


def test_a_run_with_a_fault_does_not_count() -> None:
    good = measured(2000)
    broken = good.model_copy(update={"fault": "the noise on hv1 had ended before"})
    both = Row(way=DIRECT, pins=PINNED, neighbour=NOISY, runs=(good, broken))
    assert both.p99s_us == (good.p99_us, None)
    assert both.histogram.get_total_count() == 1000


def test_a_guest_that_could_not_send_in_time_is_told() -> None:
    late = measured(2000).model_copy(update={"lag_p99_us": 1900})
    assert "requests were sent up to 1.9 ms late" in as_text(
        result(Row(way=DIRECT, pins=PINNED, neighbour=QUIET, runs=(late,)))
    )


# ── results that are kept ────────────────────────────────────────────────────────────────────────────────────────


def test_a_result_is_read_as_it_was_written() -> None:
    made = result(*noisy([8000] * 5, [2000] * 5), row(Cell(DIRECT, sysctl=WITH), [1500] * 5))
    text = written(made, summary(made))
    assert read_result(text, "a.json") == made
    assert json.loads(text)["summary"]["sentence"] == sentence(made)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"version": 1}'])
def test_what_is_no_result_is_refused(text: str) -> None:
    with pytest.raises(InventoryError, match=r"x\.json: no result of this meshctl"):
        read_result(text, "x.json")


def test_another_format_and_a_histogram_that_is_none_are_refused() -> None:
    said = json.loads(written(result(*noisy([2000], [2000])), {}))
    with pytest.raises(InventoryError, match="a result of format 2"):
        read_result(json.dumps(said | {"version": 2}), "x.json")
    said["rows"][0]["runs"][0]["histogram"] = "HISTF"
    with pytest.raises(InventoryError, match="no HdrHistogram"):
        read_result(json.dumps(said), "x.json")


def test_two_results_are_compared_cell_by_cell() -> None:
    before = result(*noisy([8000, 8100, 8200, 8300, 8400], [2000] * 5))
    after = result(
        row(Cell(DIRECT, FLOATING, NOISY), [4000, 4100, 4200, 4300, 4400]), row(Cell(ONE_HOP), [1000])
    ).model_copy(update={"per_s": 100.0})
    (change,) = compared(before, after)
    assert change.told
    assert change.ratio == pytest.approx(0.512, abs=0.01)
    text = comparison(before, after)
    assert "not measured alike: per_s: 50.0 before, 100.0 after" in text
    assert "only before: direct pinned noisy" in text
    assert "only after: one-hop pinned quiet" in text
    assert comparison_data(before, after)["cells"][0]["distinguishable"]
    same = compared(before, before)
    assert not any(one.told for one in same)


def test_few_runs_that_lie_apart_may_do_so_by_chance() -> None:
    three = result(row(Cell(DIRECT), [8000] * 3)), result(row(Cell(DIRECT), [2000] * 3))
    assert not compared(*three)[0].told  # 2 of C(6, 3) = 20


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_picture_has_a_line_for_each_cell_and_all_numbers_in_words(tmp_path: Path) -> None:
    rows = [row(cell, [3000] * 5) for cell in cells([DIRECT, ONE_HOP])]
    made = result(*rows, emulated=True)
    root = etree.fromstring(draw(made).encode())
    space = {"s": "http://www.w3.org/2000/svg"}
    lines = [one for one in root.iterfind(".//s:path", space) if str(one.get("class")).startswith("l")]
    assert len(lines) == 2 * len(rows)  # and one each in the legend
    points = [float(part) for part in str(lines[0].get("d"))[1:].replace("L", "").split()]
    assert all(math.isfinite(number) and 0 <= number <= 2000 for number in points)
    assert root.findtext("s:desc", namespaces=space) == as_text(made)


def test_nothing_measured_is_drawn_too() -> None:
    etree.fromstring(draw(result()).encode())
    assert grid(0.5) == []
    assert grid(1000, 1) == pytest.approx([1, 10, 100, 1000])
