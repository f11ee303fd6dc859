"""cordon, drain, restart, logs and console on a living cluster.

The tests build on each other in the order of this file.
"""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

import pytest

from provision.base.shell import Completed
from provision.base.waiting import NotYet, Ready, wait_until
from tests.lab.conftest import MESHCTL, Place
from tests.lab.living.load import apply, kubectl

pytestmark = pytest.mark.lab

BUDGET = {
    "apiVersion": "policy/v1beta1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "keep"},
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "pinned"}}},
}


def do(place: Place, *words: str) -> Completed:
    verb, *rest = words
    return place.meshctl(verb, str(place.inventory), *rest)


def pinned(place: Place) -> dict[str, Any]:
    """A pod that may run on w1 only, of the echo app's image; nothing makes it anew."""
    (app, *_) = json.loads(kubectl(place, "get", "daemonset", "echo", "-o", "json"))["spec"]["template"]["spec"][
        "containers"
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pinned", "labels": {"app": "pinned"}},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": "w1"},
            "containers": [
                {"name": "echo", "image": app["image"], "imagePullPolicy": "Never", "env": app.get("env", [])}
            ],
        },
    }


def phase(place: Place) -> str:
    return str(json.loads(kubectl(place, "get", "pod", "pinned", "-o", "json"))["status"]["phase"])


def ready(place: Place, node: str) -> str:
    return str(next(guest["ready"] for guest in place.status()["guests"] if guest["node"] == node))


@pytest.mark.scenario("node-commands")
def test_a_cordoned_node_takes_no_pod_and_no_run_takes_that_back(place: Place) -> None:
    assert do(place, "cordon", "w1").status == 0
    again = do(place, "cordon", "w1", "--json")
    assert [event for event in map(json.loads, again.stdout.splitlines()) if event["event"] == "Changed"] == []
    assert ready(place, "w1") == "Ready,SchedulingDisabled"
    apply(place, pinned(place))
    assert do(place, "plan", "--detailed-exitcode").status == 0
    assert phase(place) == "Pending"


@pytest.mark.scenario("node-commands")
def test_uncordoned_it_takes_the_pod(place: Place) -> None:
    assert do(place, "uncordon", "w1").status == 0
    seen = wait_until(
        lambda: Ready(True) if phase(place) == "Running" else NotYet("pending"),
        what="the pod",
        within_s=120,
        every_s=2,
    )
    assert seen
    assert ready(place, "w1") == "Ready"


@pytest.mark.scenario("node-commands")
def test_a_drain_says_what_would_be_lost_and_what_holds_a_pod(place: Place) -> None:
    refused = do(place, "drain", "w1", "--yes")
    assert refused.status == 5
    assert "default/pinned (nothing makes it anew)" in refused.stderr
    assert "--force lets them go all the same" in refused.stderr
    assert ready(place, "w1") == "Ready"
    apply(place, BUDGET)
    held = do(place, "drain", "w1", "--yes", "--force", "--timeout", "10")
    assert held.status == 10
    assert "default/pinned is held by PodDisruptionBudget default/keep" in held.stderr
    assert ready(place, "w1") == "Ready,SchedulingDisabled"
    kubectl(place, "delete", "pdb", "keep")
    assert do(place, "drain", "w1", "--yes", "--force").status == 0
    assert json.loads(kubectl(place, "get", "pods", "-l", "app=pinned", "-o", "json"))["items"] == []
    assert do(place, "uncordon", "w1").status == 0


@pytest.mark.scenario("node-commands")
@pytest.mark.parametrize("what", ["kubelet", "docker", "linkerd", "kernel"])
def test_each_log_says_something(place: Place, what: str) -> None:
    done = do(place, "logs", "w1", what, "--tail", "3")
    assert done.status == 0
    assert len(done.stdout.splitlines()) >= 1


@pytest.mark.scenario("node-commands")
def test_a_log_is_followed_until_ctrl_c(place: Place) -> None:
    argv = [str(MESHCTL), "logs", str(place.inventory), "w1", "docker", "--follow", "--tail", "1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


@pytest.mark.scenario("node-commands")
def test_the_console_has_said_something(place: Place) -> None:
    done = do(place, "console", "w1", "--log", "--tail", "5")
    assert done.status == 0
    assert len(done.stdout.splitlines()) == 5
    assert "\x1b" not in done.stdout
