"""The mesh is changed on a living cluster while every node asks through it: no request is lost, whatever happens to the run.

The tests build on each other in the order of this file; the last one leaves the mesh as the inventory had it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.conftest import MESHCTL, Place
from tests.lab.living.load import Load, from_each, kubectl

pytestmark = [pytest.mark.lab, pytest.mark.scenario("mesh-roll")]

NODES = ("cp1", "w1", "w2")
CHANGES = int(os.environ.get("MESHCTL_ROLLS", "2"))
"""Configuration changes in a row; 20 were asked for, and take an hour."""

PULLED_FROM_NOWHERE = "meshctl/l5d-standin:none"


def changed(place: Place, folder: Path, **mesh: Any) -> str:
    """The inventory with another mesh."""
    said = yaml.safe_load(place.inventory.read_text())
    said["mesh"] = {**said.get("mesh", {}), "roll": {"drain_s": 10, "steady_s": 5}, **mesh}
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(said, sort_keys=False))
    return str(path)


def none_failed(loads: dict[str, Load]) -> None:
    assert {node: load.failed for node, load in loads.items()} == dict.fromkeys(NODES, ())
    assert all(load.asked >= 5 * load.seconds > 0 for load in loads.values()), loads


def running(place: Place) -> set[str]:
    """The configurations that the nodes' linkerds have, by digest."""
    pods = json.loads(kubectl(place, "get", "pods", "-l", "app=l5d", "-o", "json"))["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == set(NODES)
    return {pod["metadata"]["annotations"]["meshctl/config-digest"] for pod in pods}


def led(place: Place) -> dict[str, str]:
    return {guest["node"]: guest["led"] for guest in place.status()["guests"] if guest.get("led")}


def test_changes_in_a_row_lose_no_request(place: Place, tmp_path: Path) -> None:
    with from_each(place, NODES) as loads:
        for failures in range(6, 6 + CHANGES):
            started = time.monotonic()
            done = place.meshctl(
                "provision", changed(place, tmp_path, failure_accrual={"failures": failures}), "--yes", "--json"
            )
            assert done.status == 0, done.stderr
            said = [event for event in map(json.loads, done.stdout.splitlines()) if event.get("object") == "its router"]
            # One node after the other: each comes back before the next is led away.
            assert [event["where"] for event in said] == [node for node in NODES for _ in range(2)]
            print(f"failures: {failures}: {time.monotonic() - started:.0f} s", flush=True)
    none_failed(loads)
    assert len(running(place)) == 1
    assert led(place) == {}
    assert place.meshctl("plan", str(tmp_path / "changed.yaml"), "--detailed-exitcode").status == 0


def test_a_run_that_is_killed_in_the_middle_is_finished_by_the_next(place: Place, tmp_path: Path) -> None:
    inventory = changed(place, tmp_path, failure_accrual={"failures": 40})
    with from_each(place, NODES) as loads:
        argv = [str(MESHCTL), "provision", inventory, "--yes", "--json"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            for line in run.stdout:
                event = json.loads(line)
                if event.get("change") == "replace" and str(event.get("object", "")).startswith("pod l5d"):
                    run.send_signal(signal.SIGKILL)
                    break
        killed_on = event["where"]
        assert set(led(place)) == {killed_on}
        assert place.meshctl("plan", inventory, "--detailed-exitcode").status == 20
        assert place.meshctl("status", inventory, "--drift").status == 20
        time.sleep(30)
        assert place.meshctl("provision", inventory, "--yes").status == 0
    none_failed(loads)
    assert len(running(place)) == 1
    assert led(place) == {}


def test_what_does_not_start_stops_at_the_first_node_and_the_old_inventory_leads_back(
    place: Place, tmp_path: Path
) -> None:
    before = running(place)
    good = changed(place, tmp_path, failure_accrual={"failures": 40})
    (tmp_path / "good.yaml").write_text(Path(good).read_text())
    with from_each(place, NODES) as loads:
        bad = changed(place, tmp_path, failure_accrual={"failures": 41}, image=PULLED_FROM_NOWHERE)
        done = place.meshctl("provision", bad, "--yes")
        assert done.status != 0
        assert "does not prove itself, so the roll stops here" in done.stderr
        assert len(led(place)) == 1
        pods = json.loads(kubectl(place, "get", "pods", "-l", "app=l5d", "-o", "json"))["items"]
        kept = [pod for pod in pods if pod["metadata"]["annotations"]["meshctl/config-digest"] in before]
        assert len(kept) == len(NODES) - 1
        assert place.meshctl("provision", str(tmp_path / "good.yaml"), "--yes").status == 0
    none_failed(loads)
    assert running(place) == before
    assert led(place) == {}


def test_it_is_put_back_as_it_was(place: Place) -> None:
    assert place.meshctl("provision", str(place.inventory), "--yes").status == 0
    assert len(running(place)) == 1
