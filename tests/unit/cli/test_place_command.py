"""`meshctl place`: offline, from files; its exit codes and its JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from provision.base.errors import InventoryError, PlacementError
from provision.cli.place import place

DATA = Path(__file__).parents[2] / "data"
TWO_SOCKETS = DATA / "capabilities" / "two-sockets-smt.xml"

DOMAIN = "<domain><name>db</name><memory>4194304</memory><vcpu cpuset='%s'>2</vcpu></domain>"
INVENTORY = """\
apiVersion: meshctl/v1
cluster: t
hosts:
- {name: hv1, uri: "qemu:///system"}
network: {cidr: 10.77.0.0/24}
nodes:
- {name: cp1, role: control-plane, vcpus: 4, memory: 4GiB, disk: 12GiB}
- {name: w1, role: worker, vcpus: %d, memory: 4GiB, disk: 12GiB, numa_cells: 1}
ssh: {public_key: ssh-ed25519 AAAA}
kubernetes: {version: v1.20.2}
"""


def run(tmp_path: Path, *arguments: str, vcpus: int = 8) -> Result:
    path = tmp_path / "x.yaml"
    path.write_text(INVENTORY % vcpus)
    return CliRunner().invoke(place, [str(path), *arguments])


def test_placements_as_json(tmp_path: Path) -> None:
    found = run(tmp_path, "--capabilities", f"hv1={TWO_SOCKETS}", "--json")
    assert found.exit_code == 0, found.output
    data = json.loads(found.output)
    assert data["refusals"] == []
    assert data["placements"][0] == {
        "node": "cp1",
        "host": "hv1",
        "cells": [0],
        "vcpu_pins": [2, 34, 4, 36],
        "emulator_cpus": [0, 32],
        "iothread_cpus": [0, 32],
        "hugepages": [],
    }


def test_guests_that_are_there_are_read_from_a_folder(tmp_path: Path) -> None:
    found = run(tmp_path, "--capabilities", f"hv1={TWO_SOCKETS}", "--domains", f"hv1={DATA / 'domains'}", "--json")
    pins = {one["node"]: set(one["vcpu_pins"]) for one in json.loads(found.output)["placements"]}
    assert not (pins["cp1"] | pins["w1"]) & {2, 34, 4, 36, 6, 38, 8, 40, 3, 5, 35, 37}
    text = run(tmp_path, "--capabilities", f"hv1={TWO_SOCKETS}", "--domains", f"hv1={DATA / 'domains'}").output
    assert "hv1 cell 0: host 0+32 | (database) 2+34 4+36 6+38 8+40 | " in text


def test_a_refusal_ends_with_4_and_its_reasons(tmp_path: Path) -> None:
    found = run(tmp_path, "--capabilities", f"hv1={TWO_SOCKETS}", "--json", vcpus=31)
    assert found.exit_code == PlacementError.exit_code
    (refusal,) = json.loads(found.output)["refusals"]
    assert refusal["node"] == "w1"
    assert refusal["needs"] == "31 dedicated CPUs and 4096 MiB (1 NUMA node)"
    assert refusal["reasons"][1] == "hv1 cell 1: 30 dedicated CPUs free, 31 needed"
    plain = run(tmp_path, "--capabilities", f"hv1={TWO_SOCKETS}", vcpus=31)
    assert isinstance(plain.exception, PlacementError)
    assert "1 of 2 guests do not fit:\n  w1 needs 31" in plain.exception.message
    assert "cp1 2+34" in plain.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no capabilities of hv1: add --capabilities hv1=FILE"),
        (["--capabilities", "hv1"], "is not HOST=PATH"),
        (["--capabilities", "hv2=x"], "there is no host hv2 in the inventory"),
        (["--capabilities", f"hv1={TWO_SOCKETS}", "--capabilities", "hv1=x"], "hv1 is given twice"),
    ],
)
def test_wrong_usage_ends_with_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    found = run(tmp_path, *arguments)
    assert found.exit_code == 2
    assert message in found.output


def test_files_that_are_something_else_are_named(tmp_path: Path) -> None:
    (tmp_path / "c.xml").write_text("<domain/>")
    wrong = run(tmp_path, "--capabilities", f"hv1={tmp_path / 'c.xml'}")
    assert isinstance(wrong.exception, InventoryError)
    assert "<domain> are not the capabilities of a host" in wrong.exception.message
    (tmp_path / "domains").mkdir()
    (tmp_path / "domains" / "a.xml").write_text("<network><uuid/></network>")
    wrong = run(tmp_path, "--capabilities", f"hv1={TWO_SOCKETS}", "--domains", f"hv1={tmp_path / 'domains'}")
    assert isinstance(wrong.exception, InventoryError)
    assert "a.xml: is not a domain" in wrong.exception.message
    (tmp_path / "domains" / "a.xml").write_text(DOMAIN % "4-x")
    wrong = run(tmp_path, "--capabilities", f"hv1={TWO_SOCKETS}", "--domains", f"hv1={tmp_path / 'domains'}")
    assert "a.xml: is not a domain: invalid literal for int() with base 10: 'x'" in str(wrong.exception)
    for name in ("a.xml", "b.xml"):
        (tmp_path / "domains" / name).write_text(DOMAIN % "4-5")
    wrong = run(tmp_path, "--capabilities", f"hv1={TWO_SOCKETS}", "--domains", f"hv1={tmp_path / 'domains'}")
    assert isinstance(wrong.exception, InventoryError)
    assert wrong.exception.message.endswith("b.xml are both guest db")
    missing = run(tmp_path, "--capabilities", f"hv1={tmp_path / 'none.xml'}")
    assert "cannot be read: No such file" in str(missing.exception)


def test_a_picture_is_written_beside_the_answer_also_of_a_refusal(tmp_path: Path) -> None:
    picture = tmp_path / "p.svg"
    found = run(tmp_path, "--capabilities", f"hv1={TWO_SOCKETS}", "--json", "--svg", str(picture), vcpus=31)
    assert found.exit_code == PlacementError.exit_code
    assert json.loads(found.output)["refusals"]
    assert "w1 fits nowhere" in picture.read_text()
    nowhere = run(tmp_path, "--capabilities", f"hv1={TWO_SOCKETS}", "--svg", str(tmp_path / "no" / "p.svg"))
    assert "cannot be written: No such file" in str(nowhere.exception)
