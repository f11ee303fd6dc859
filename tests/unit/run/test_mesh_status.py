"""What `mesh status` says: a line for each node, and what is wrong below."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner

from provision.cli import meshctl
from provision.mesh import Vitals
from provision.run.mesh_status import RouterStatus, as_text

WELL = Vitals("0.8.5", 7200, 200, 384, 0.013, 20.4, 0.9987, 3, 9, 41, 1, 120, 1048576, ())
MUTE = Vitals(None, None, None, None, None, 0, None, None, None, None, 0, None, None, None)


def test_a_line_for_each_node_and_what_is_wrong_below() -> None:
    found = (
        RouterStatus("cp1", vitals=WELL),
        RouterStatus("w1", led="10.0.0.1", vitals=MUTE),
        RouterStatus("w2", fault="/admin/metrics.json: status 0, 'refused'"),
    )
    head, well, mute, silent, *rest = as_text(found).splitlines()
    assert head.split() == [
        "NODE",
        "RELEASE",
        "UP",
        "HEAP",
        "GC",
        "REQ/S",
        "SUCCESS",
        "P50",
        "P95",
        "P99",
        "EJECTED",
        "FILES",
        "CONFIG",
    ]
    assert well.split("  ")[0] == "cp1"
    for said in (
        "0.8.5",
        "2.0 h",
        "200/384 MiB",
        "1.3%",
        "20.4",
        "99.87%",
        "3 ms",
        "41 ms",
        "120/1048576",
        "as wanted",
    ):
        assert said in well
    assert mute.split() == ["w1", "–", "–", "–", "–", "0.0", "–", "–", "–", "–", "0", "–", "–"]
    assert silent.split() == ["w2", *["–"] * 12]
    assert rest == ["w2: /admin/metrics.json: status 0, 'refused'", "w1: its requests are led to 10.0.0.1"]


def test_another_configuration_than_the_wanted_is_named() -> None:
    drifted = replace(WELL, drift=("a: wanted 1, runs with 2",))
    *_, row, said = as_text([RouterStatus("cp1", vitals=drifted)]).splitlines()
    assert row.endswith("differs")
    assert said == "cp1: a: wanted 1, runs with 2"


def test_it_is_data_too() -> None:
    data = json.loads(json.dumps(RouterStatus("cp1", vitals=WELL).as_data()))
    assert (data["node"], data["vitals"]["p99_ms"], data["vitals"]["drift"]) == ("cp1", 41, [])


def test_the_command_is_there_and_wants_an_inventory(tmp_path: Path) -> None:
    done = CliRunner().invoke(meshctl, ["mesh", "status", "--help"])
    assert "--watch" in done.output
    refused = CliRunner().invoke(meshctl, ["mesh", "status", str(tmp_path / "none.yaml")])
    assert refused.exit_code != 0
