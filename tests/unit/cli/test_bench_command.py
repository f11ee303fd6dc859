"""`meshctl bench latency` as click sees it: what it refuses, what it says of a result, and two results beside each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from provision.base.errors import InventoryError, MeshctlError
from provision.bench import Cell, summary, written
from provision.bench.cells import DIRECT, FLOATING, NOISY, PINNED
from provision.cli.bench import _tell, bench
from tests.unit.bench.test_reckoning import result, row


def run(*words: str) -> Result:
    return CliRunner().invoke(bench, ["latency", *words])


RECORDED = result(
    row(Cell(DIRECT, FLOATING, NOISY), [8000, 9000, 7000, 8500, 9500]),
    row(Cell(DIRECT, PINNED, NOISY), [2000] * 5),
    emulated=True,
)


def kept(folder: Path, name: str, text: str = "") -> str:
    (folder / name).write_text(text or written(RECORDED, summary(RECORDED)))
    return str(folder / name)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "an INVENTORY is needed, or --compare A.json B.json"),
        (["x.yaml", "--rate", "1", "--for", "20s"], "fewer than 100 requests"),
        (["x.yaml", "--for", "2h"], "is not between 1 s and an hour"),
        (["x.yaml", "--for", "soon"], "soon"),
        (["x.yaml", "--runs", "0"], "0 is not in the range"),
        (["--compare", "a.json"], "requires 2 arguments"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_looked_at(words: list[str], why: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert why in done.output


def test_a_result_is_told_kept_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _tell(RECORDED, as_json=False, svg=str(tmp_path / "a.svg"))
    said = capsys.readouterr().out
    assert "direct  floating  noisy" in said
    assert said.splitlines()[-1].startswith("Pins are worth a p99 up to 4.3 times shorter here")
    assert "the guests are emulated (no KVM)" in said
    assert (tmp_path / "a.svg").read_text().startswith("<svg ")
    _tell(RECORDED, as_json=True, svg=None)
    assert json.loads(capsys.readouterr().out)["summary"]["floating_over_pinned_noisy"][0]["distinguishable"]
    with pytest.raises(MeshctlError, match="cannot be written"):
        _tell(RECORDED, as_json=True, svg=str(tmp_path / "none" / "a.svg"))


def test_two_results_are_compared_without_an_inventory(tmp_path: Path) -> None:
    one = kept(tmp_path, "a.json")
    done = run("--compare", one, one)
    assert done.exit_code == 0
    assert "direct floating noisy" in done.output
    assert "not distinguishable" in done.output
    assert json.loads(run("--compare", one, one, "--json").output)["notes"] == []


def test_a_file_that_is_no_result_is_told(tmp_path: Path) -> None:
    one = kept(tmp_path, "a.json")
    done = run("--compare", one, kept(tmp_path, "b.json", "{"))
    assert isinstance(done.exception, InventoryError)
    assert "b.json: no result of this meshctl" in str(done.exception)
