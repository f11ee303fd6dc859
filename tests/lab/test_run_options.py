"""Saved plans, --limit and --keep-going on a living cluster of three nodes.

The tests take a cluster that is there, and leave it as it was; where there is none, it is made first.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.lab.conftest import Place

pytestmark = pytest.mark.lab

KEY, WANTED, DRIFTED = "net.core.somaxconn", "4096", "128"
"""One of the settings that every inventory has, unless it says others."""
WORKERS = ("w1", "w2")


@pytest.fixture(scope="module")
def cluster(place: Place) -> Place:
    """Two workers; nothing left to do."""
    said = yaml.safe_load(place.inventory.read_text())
    names = [node["name"] for node in said["nodes"]]
    if "w2" not in names:
        said["nodes"].append(said["nodes"][names.index("w1")] | {"name": "w2"})
    place.inventory.write_text(yaml.safe_dump(said, sort_keys=False))
    assert run(place, "provision", "--yes") == 0
    return place


def run(cluster: Place, command: str, *words: str) -> int:
    return cluster.meshctl(command, str(cluster.inventory), *words, within_s=1200).status


def inside(cluster: Place, node: str, *words: str) -> str:
    return cluster.meshctl("ssh", str(cluster.inventory), node, "--", *words).stdout.strip()


def settings(cluster: Place) -> dict[str, str]:
    return {node: inside(cluster, node, "cat", f"/proc/sys/{KEY.replace('.', '/')}") for node in WORKERS}


@pytest.fixture
def drifted(cluster: Place) -> None:
    """Somebody set the workers' kernels by hand."""
    for node in WORKERS:
        inside(cluster, node, "sudo", "sysctl", "-w", f"{KEY}={DRIFTED}")


def test_a_limited_run_mends_its_node_only(cluster: Place, drifted: None) -> None:
    done = cluster.meshctl("provision", str(cluster.inventory), "--limit", "w1", "--yes")
    assert done.status == 0
    assert settings(cluster) == {"w1": WANTED, "w2": DRIFTED}
    assert "note: --limit leaves what is pending elsewhere: w2: boot" in done.stderr


def test_a_plan_that_no_longer_holds_is_refused_and_one_that_holds_is_done(cluster: Place, tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    assert run(cluster, "plan", "--out", str(old)) == 0
    inside(cluster, "w2", "sudo", "sysctl", "-w", f"{KEY}={WANTED}")
    inside(cluster, "w1", "sudo", "sysctl", "-w", f"{KEY}={DRIFTED}")
    refused = cluster.meshctl("provision", str(cluster.inventory), "--plan", str(old))
    assert refused.status == 5
    assert "new: change boot w1" in refused.stderr
    assert "no longer to do: change boot w2" in refused.stderr
    assert settings(cluster)["w1"] == DRIFTED
    assert run(cluster, "plan", "--out", str(new)) == 0
    assert run(cluster, "provision", "--plan", str(new)) == 0
    assert settings(cluster) == dict.fromkeys(WORKERS, WANTED)


@pytest.fixture
def sick(cluster: Place) -> Iterator[str]:
    """A worker whose kubelet does not run and cannot be started."""
    inside(cluster, "w2", "sudo", "systemctl", "mask", "--runtime", "--now", "kubelet.service")
    yield "w2"
    inside(cluster, "w2", "sudo", "systemctl", "unmask", "--runtime", "kubelet.service")
    inside(cluster, "w2", "sudo", "systemctl", "start", "kubelet.service")


def test_the_healthy_are_finished_and_the_sick_one_is_said(
    cluster: Place, drifted: None, sick: str, tmp_path: Path
) -> None:
    report = tmp_path / "report.xml"
    done = cluster.meshctl(
        "provision", str(cluster.inventory), "--yes", "--keep-going", "--json", "--junit", str(report)
    )
    assert done.status == 16
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["node"] for event in events if event["event"] == "GaveUp"] == [sick]
    proven = [event["line"] for event in events if event["event"] == "Output" and event["source"] == "verify"]
    assert sorted(line.partition(":")[0] for line in proven) == ["cp1", "w1"]
    assert settings(cluster)["w1"] == WANTED
    assert f"error: 1 node(s) were given up, all else is done:\n      {sick}: " in done.stderr
    (suite,) = ET.parse(report).getroot()
    assert {case.get("name") for case in suite if case.find("failure") is not None} == {sick, "provision"}


def test_the_next_run_finds_it_well_again(cluster: Place) -> None:
    assert run(cluster, "provision", "--yes") == 0
    assert run(cluster, "plan", "--detailed-exitcode") == 0
