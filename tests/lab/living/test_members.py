"""Workers go, come back, and are started anew, while others are asked without a break."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from tests.lab.conftest import MESHCTL, Place
from tests.lab.living.load import kubectl, steady

pytestmark = pytest.mark.lab

Said = dict[str, Any]


@contextmanager
def edited(place: Place, change: Callable[[Said], object]) -> Iterator[None]:
    """The inventory with a change, put back afterwards."""
    text = place.inventory.read_text()
    said = yaml.safe_load(text)
    change(said)
    place.inventory.write_text(yaml.safe_dump(said, sort_keys=False))
    try:
        yield
    finally:
        place.inventory.write_text(text)


def provision(place: Place, *words: str) -> list[Said]:
    """Runs it, and gives its events."""
    done = place.meshctl("provision", str(place.inventory), "--yes", "--json", *words)
    assert done.status == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def killed_at(place: Place, change: str, *words: str, command: str = "provision") -> None:
    """A run that is killed as soon as it has said this change."""
    killed(change.__eq__, command, str(place.inventory), "--yes", *words)


def killed(at: Callable[[str], bool], *words: str) -> None:
    """A command that is killed as soon as it has said a change, as `OBJECT: CHANGE`, that is so."""
    argv = [str(MESHCTL), *words, "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "Changed" and at(f"{event['object']}: {event['change']}"):
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL


def converged(place: Place) -> bool:
    return place.meshctl("plan", str(place.inventory), "--detailed-exitcode").status == 0


def without(said: Said, node: str) -> None:
    said["nodes"] = [one for one in said["nodes"] if one["name"] != node]


def nodes_of(place: Place) -> set[str]:
    return {item["metadata"]["name"] for item in json.loads(kubectl(place, "get", "nodes", "-o", "json"))["items"]}


@pytest.mark.scenario("remove-worker")
def test_a_worker_goes_by_name_though_the_run_is_killed_once(place: Place) -> None:
    with edited(place, lambda said: without(said, "w2")):
        killed_at(place, "node w2: drain", "--remove", "w2")
        provision(place, "--remove", "w2")
        assert converged(place)
        assert nodes_of(place) == {"cp1", "w1"}
        assert "lab-w2" not in place.virsh("list", "--all", "--name").split()


@pytest.mark.scenario("add-worker")
def test_a_worker_comes_though_the_run_is_killed_once(place: Place) -> None:
    killed_at(place, "kubeadm join: start")
    events = provision(place)
    touched = {
        event["where"] for event in events if event["event"] == "Changed" and event["object"].startswith("guest ")
    }
    assert touched <= {"hv1"}
    assert converged(place)
    assert nodes_of(place) == {"cp1", "w1", "w2"}


@pytest.mark.scenario("rolling-restart")
def test_a_worker_is_started_anew_and_nobody_notices(place: Place) -> None:
    with edited(place, lambda said: said["nodes"][1].update(memory="1728MiB")):
        provision(place)
        with steady(place, "w2") as load:
            provision(place, "--restart")
        assert (load.asked > 100, load.failed) == (True, ())
    provision(place, "--restart")
    assert converged(place)


@pytest.mark.scenario("rolling-restart-of-all")
def test_all_workers_one_after_the_other_and_nobody_notices(place: Place) -> None:
    """What the first gives away lies on the second, which is emptied next: both pods of the pair."""
    with steady(place, "cp1") as load:
        assert place.meshctl("restart", str(place.inventory), "w1", "w2", "--yes").status == 0
    assert (load.asked > 100, load.failed) == (True, ())
    assert converged(place)


@pytest.mark.scenario("host-restart")
def test_libvirtd_and_all_guests_come_back_after_a_power_cut(place: Place) -> None:
    for name in place.virsh("list", "--name").split():
        place.virsh("destroy", name)
    os.kill(int(place.lab.pid_file.read_text()), signal.SIGKILL)
    assert place.meshctl("lab", "up", "--name", place.lab.name).status == 0
    provision(place)
    assert converged(place)
