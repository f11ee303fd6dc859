"""Saved plans, --limit and --keep-going on a living cluster of three nodes.

They leave it as it was.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.base.waiting import NotYet, Ready, wait_until
from tests.lab.conftest import Place

pytestmark = [pytest.mark.lab, pytest.mark.scenario("run-options")]

KEY, WANTED, DRIFTED = "net.core.somaxconn", "4096", "128"
"""One of the settings that every inventory has, unless it says others."""
WORKERS = ("w1", "w2")


def run(place: Place, command: str, *words: str) -> int:
    return place.meshctl(command, str(place.inventory), *words, within_s=1200).status


def inside(place: Place, node: str, *words: str) -> str:
    return place.meshctl("ssh", str(place.inventory), node, "--", *words).stdout.strip()


def settings(place: Place) -> dict[str, str]:
    return {node: inside(place, node, "cat", f"/proc/sys/{KEY.replace('.', '/')}") for node in WORKERS}


@pytest.fixture
def drifted(place: Place) -> None:
    """Somebody set the workers' kernels by hand."""
    for node in WORKERS:
        inside(place, node, "sudo", "sysctl", "-w", f"{KEY}={DRIFTED}")


def test_a_limited_run_mends_its_node_only(place: Place, drifted: None) -> None:
    done = place.meshctl("provision", str(place.inventory), "--limit", "w1", "--yes")
    assert done.status == 0
    assert settings(place) == {"w1": WANTED, "w2": DRIFTED}
    assert "note: --limit leaves what is pending elsewhere: w2: boot" in done.stderr


def test_a_plan_that_no_longer_holds_is_refused_and_one_that_holds_is_done(place: Place, tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    assert run(place, "plan", "--out", str(old)) == 0
    inside(place, "w2", "sudo", "sysctl", "-w", f"{KEY}={WANTED}")
    inside(place, "w1", "sudo", "sysctl", "-w", f"{KEY}={DRIFTED}")
    refused = place.meshctl("provision", str(place.inventory), "--plan", str(old))
    assert refused.status == 5
    assert "new: change boot w1" in refused.stderr
    assert "no longer to do: change boot w2" in refused.stderr
    assert settings(place)["w1"] == DRIFTED
    assert run(place, "plan", "--out", str(new)) == 0
    assert run(place, "provision", "--plan", str(new)) == 0
    assert settings(place) == dict.fromkeys(WORKERS, WANTED)


SICK = Path("/run/systemd/system/kubelet.service.d/99-sick.conf")


def systemd(place: Place, change: str, verb: str) -> None:
    """A change of w2's units; a unit in /etc is not masked by one in /run."""
    script = f"{change} && systemctl daemon-reload && systemctl {verb} kubelet"
    assert place.meshctl("ssh", str(place.inventory), "w2", "--", f'sudo sh -c "{script}"').status == 0


@pytest.fixture
def sick(place: Place) -> Iterator[str]:
    """A worker whose kubelet does not run and cannot be started."""
    systemd(place, f"mkdir -p {SICK.parent} && printf '[Service]\\nExecStartPre=/bin/false\\n' > {SICK}", "stop")
    yield "w2"
    systemd(place, f"rm {SICK}", "start")


def test_the_healthy_are_finished_and_the_sick_one_is_said(
    place: Place, drifted: None, sick: str, tmp_path: Path
) -> None:
    report = tmp_path / "report.xml"
    done = place.meshctl("provision", str(place.inventory), "--yes", "--keep-going", "--json", "--junit", str(report))
    assert done.status == 16
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["node"] for event in events if event["event"] == "GaveUp"] == [sick]
    proven = [event["line"] for event in events if event["event"] == "Output" and event["source"] == "verify"]
    assert sorted(line.partition(":")[0] for line in proven) == ["cp1", "w1"]
    assert settings(place)["w1"] == WANTED
    assert (
        f"error: 1 node(s) were given up, all else is done:\n  {sick}: the script `settle` ended with status 1"
        in done.stderr
    )
    (suite,) = ET.parse(report).getroot()
    assert {case.get("name") for case in suite if case.find("failure") is not None} == {sick, "provision"}


def test_the_next_run_finds_it_well_again(place: Place) -> None:
    """A kubelet of 1.20 that was started anew calls pods not ready until its probes have asked them again."""
    assert run(place, "provision", "--yes") == 0
    wait_until(
        lambda: Ready(True) if run(place, "plan", "--detailed-exitcode") == 0 else NotYet("something is to be changed"),
        what="nothing left to do",
        within_s=120,
        every_s=5,
    )
