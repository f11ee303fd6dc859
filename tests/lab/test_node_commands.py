"""cordon, drain, restart, logs and console on a living cluster, with the runbook about them.

The tests build on each other in the order of this file, and take a cluster that is there; where there is none, it is made first.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import Any

import pytest

from provision.base.shell import Completed
from provision.base.waiting import NotYet, Ready, wait_until
from tests.lab.conftest import MESHCTL, Place
from tests.runbook import RUNBOOKS, steps

pytestmark = pytest.mark.lab

KUBECTL = ("sudo", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf")
BUDGET = {
    "apiVersion": "policy/v1beta1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "keep"},
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "pinned"}}},
}


@pytest.fixture(scope="module")
def cluster(place: Place) -> Place:
    """A cluster with nothing left to do."""
    if place.meshctl("plan", str(place.inventory), "--detailed-exitcode").status != 0:
        assert place.meshctl("provision", str(place.inventory), "--yes").status == 0
    return place


def do(cluster: Place, *words: str) -> Completed:
    verb, *rest = words
    return cluster.meshctl(verb, str(cluster.inventory), *rest)


def kubectl(cluster: Place, *words: str) -> str:
    return do(cluster, "ssh", "cp1", "--", *KUBECTL, *words).stdout


def create(cluster: Place, thing: dict[str, Any]) -> None:
    script = 'printf %s "$1" | sudo kubectl --kubeconfig /etc/kubernetes/admin.conf create --validate=false -f -'
    assert do(cluster, "ssh", "cp1", "--", "sh", "-c", script, "create", json.dumps(thing)).status == 0


def pinned(cluster: Place) -> dict[str, Any]:
    """A pod that may run on w1 only, of the echo app's image; nothing makes it anew."""
    (app, *_) = json.loads(kubectl(cluster, "get", "daemonset", "echo", "-o", "json"))["spec"]["template"]["spec"][
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


def phase(cluster: Place) -> str:
    return str(json.loads(kubectl(cluster, "get", "pod", "pinned", "-o", "json"))["status"]["phase"])


def ready(cluster: Place, node: str) -> str:
    return str(next(guest["ready"] for guest in cluster.status()["guests"] if guest["node"] == node))


def test_a_cordoned_node_takes_no_pod_and_no_run_takes_that_back(cluster: Place) -> None:
    assert do(cluster, "cordon", "w1").status == 0
    again = do(cluster, "cordon", "w1", "--json")
    assert [event for event in map(json.loads, again.stdout.splitlines()) if event["event"] == "Changed"] == []
    assert ready(cluster, "w1") == "Ready,SchedulingDisabled"
    create(cluster, pinned(cluster))
    assert do(cluster, "plan", "--detailed-exitcode").status == 0
    assert phase(cluster) == "Pending"


def test_uncordoned_it_takes_the_pod(cluster: Place) -> None:
    assert do(cluster, "uncordon", "w1").status == 0
    seen = wait_until(
        lambda: Ready(True) if phase(cluster) == "Running" else NotYet("pending"),
        what="the pod",
        within_s=120,
        every_s=2,
    )
    assert seen
    assert ready(cluster, "w1") == "Ready"


def test_a_drain_says_what_would_be_lost_and_what_holds_a_pod(cluster: Place) -> None:
    refused = do(cluster, "drain", "w1", "--yes")
    assert refused.status == 5
    assert "default/pinned (nothing makes it anew)" in refused.stderr
    assert "--force lets them go all the same" in refused.stderr
    assert ready(cluster, "w1") == "Ready"
    create(cluster, BUDGET)
    held = do(cluster, "drain", "w1", "--yes", "--force", "--timeout", "10")
    assert held.status == 10
    assert "default/pinned is held by PodDisruptionBudget default/keep" in held.stderr
    assert ready(cluster, "w1") == "Ready,SchedulingDisabled"
    kubectl(cluster, "delete", "pdb", "keep")
    assert do(cluster, "drain", "w1", "--yes", "--force").status == 0
    assert json.loads(kubectl(cluster, "get", "pods", "-l", "app=pinned", "-o", "json"))["items"] == []
    assert do(cluster, "uncordon", "w1").status == 0


@pytest.mark.parametrize("what", ["kubelet", "docker", "linkerd", "kernel"])
def test_each_log_says_something(cluster: Place, what: str) -> None:
    done = do(cluster, "logs", "w1", what, "--tail", "3")
    assert done.status == 0
    assert len(done.stdout.splitlines()) >= 1


def test_a_log_is_followed_until_ctrl_c(cluster: Place) -> None:
    argv = [str(MESHCTL), "logs", str(cluster.inventory), "w1", "docker", "--follow", "--tail", "1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_the_console_has_said_something(cluster: Place) -> None:
    done = do(cluster, "console", "w1", "--log", "--tail", "5")
    assert done.status == 0
    assert len(done.stdout.splitlines()) == 5
    assert "\x1b" not in done.stdout


def test_the_runbook_of_a_restart_is_right_and_a_persons_cordon_outlives_it(cluster: Place) -> None:
    for step in steps((RUNBOOKS / "restart-a-node.md").read_text()):
        began = time.monotonic()
        done = cluster.meshctl(*step.words(str(cluster.inventory))[1:])
        print(f"{step.command}: {time.monotonic() - began:.0f} s", flush=True)
        assert done.status == 0, (step.command, done.stderr[-2000:])
        assert step.unsaid(done.stdout + done.stderr) == "", (step.command, done.stderr[-2000:])
        if " restart " in step.command:
            assert "uncordon" not in done.stderr
            assert ready(cluster, "w1") == "Ready,SchedulingDisabled"
    assert ready(cluster, "w1") == "Ready"
