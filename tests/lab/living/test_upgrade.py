"""A mesh that moves to another namespace, a bundle that was sealed again, and a patch version, on a cluster that lives.

The second patch version is a stand-in: 1.20.2 relabelled as the next one that the cluster has not been at (`relabelled`). There is no way
back from it, so this is the last of the scenarios but its runbook's, which goes on from here: it does not leave the cluster as it was.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.bundle import find, seal
from tests.lab.conftest import MESHCTL, Place
from tests.lab.living.load import steady
from tests.lab.relabelled import after, relabel

pytestmark = [pytest.mark.lab, pytest.mark.in_turn, pytest.mark.scenario("upgrade")]

Event = dict[str, Any]


def change(place: Place, part: str, **values: Any) -> None:
    said = yaml.safe_load(place.inventory.read_text())
    said[part] = {**said.get(part, {}), **values}
    place.inventory.write_text(yaml.safe_dump(said, sort_keys=False))


def provision(place: Place) -> list[Event]:
    done = place.meshctl("provision", str(place.inventory), "--yes", "--json")
    assert done.status == 0
    return [json.loads(line) for line in done.stdout.splitlines()]


def changed(events: list[Event]) -> list[tuple[str, str]]:
    return [(event["object"], event["change"]) for event in events if event["event"] == "Changed"]


def converged(place: Place) -> None:
    assert place.meshctl("plan", str(place.inventory), "--detailed-exitcode").status == 0


def kubectl(place: Place, *words: str) -> str:
    admin = ("sudo", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf")
    return place.meshctl("ssh", str(place.inventory), "cp1", "--", *admin, *words).stdout


@dataclass(frozen=True)
class Newer:
    """The version that the cluster is moved to, with its bundle."""

    version: str
    bundle: Path


def versions(place: Place) -> list[str]:
    """What nodes are of, and what the inventory wants: an ended run may have moved a part. The latest last."""
    wanted = yaml.safe_load(place.inventory.read_text())["kubernetes"]["version"]
    return sorted({wanted, *(guest["kubernetes"] for guest in place.status()["guests"])})


@pytest.fixture(scope="module")
def newer(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Newer:
    version = after(versions(place)[-1])
    return Newer(version, relabel(find("debian-source"), tmp_path_factory.mktemp("bundles") / version, version))


@pytest.mark.scenario("mesh-moves")
def test_the_mesh_moves_to_another_namespace_and_leaves_nothing(place: Place) -> None:
    change(place, "mesh", namespace="mesh")
    done = changed(provision(place))
    assert ("DaemonSet l5d in default", "prune") in done
    assert [what for _, what in done].count("replace") == 6  # l5d and echo on three nodes
    assert "l5d" not in kubectl(place, "get", "all,configmaps,serviceaccounts,roles,rolebindings", "-n", "default")
    converged(place)


@pytest.mark.scenario("mesh-moves")
def test_a_bundle_that_was_sealed_again_with_the_same_programs_changes_nothing(place: Place, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(find("debian-source"), again)
    (again / "images/pause.tar").write_bytes((again / "images/pause.tar").read_bytes() + b"\0" * 10240)
    seal(again, "v1.20.2")
    change(place, "kubernetes", bundle=str(again))
    planned = place.meshctl("plan", str(place.inventory)).stdout
    assert "1 image archive(s) to load" in planned  # one archive differs: that one
    assert "program(s) of the bundle" not in planned
    change(place, "kubernetes", bundle="debian-source")
    converged(place)


def killed_once_begun(place: Place, upgrade: tuple[str, str]) -> None:
    """A run that is killed as soon as it has begun to upgrade a node."""
    argv = [str(MESHCTL), "provision", str(place.inventory), "--yes", "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line[:300], end="", flush=True)
            event = json.loads(line)
            if event["event"] == "Changed" and (event["object"], event["change"]) == upgrade:
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL


def test_an_upgrade_that_is_killed_is_finished_by_the_next_run_and_nobody_notices(place: Place, newer: Newer) -> None:
    """Asked from the control plane, the only node that is not drained. kubeadm goes on by itself; what it takes back by its own clock is
    begun again.
    """
    change(place, "kubernetes", version=newer.version, bundle=str(newer.bundle))
    begin, upgraded = (f"upgrade to {newer.version}", "start"), (f"Kubernetes {newer.version}", "upgrade")
    with steady(place, "cp1") as load:
        killed_once_begun(place, begin)
        events = provision(place)
    done = changed(events)
    taken_back = [one for one in events if one["event"] == "Warned" and one["message"].endswith("begun once more")]
    assert done[: done.index(upgraded)].count(begin) == len(taken_back)
    order = [what for what in done if what[1] in ("drain", "upgrade", "uncordon")]
    assert order == [
        upgraded,
        ("node w1", "drain"),
        upgraded,
        ("node w1", "uncordon"),
        ("node w2", "drain"),
        upgraded,
        ("node w2", "uncordon"),
    ]
    assert (load.asked > 100, load.failed) == (True, ())


def test_every_node_says_the_new_version_and_nothing_is_left_to_do(place: Place, newer: Newer) -> None:
    guests = place.status()["guests"]
    assert [(g["node"], g["ready"], g["kubernetes"]) for g in guests] == [
        (node, "Ready", newer.version) for node in ("cp1", "w1", "w2")
    ]
    pods = json.loads(kubectl(place, "get", "pods", "-n", "kube-system", "-o", "json"))["items"]
    images = {image for pod in pods for one in pod["spec"]["containers"] if "kube-" in (image := one["image"])}
    assert images == {
        f"k8s.gcr.io/{name}:{newer.version}"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
    }
    converged(place)


def test_a_second_run_changes_nothing(place: Place) -> None:
    assert provision(place)[-1]["mutations"] == 0


def test_the_way_back_is_refused(place: Place) -> None:
    text, now = place.inventory.read_text(), versions(place)[-1]
    change(place, "kubernetes", version="v1.20.2", bundle="debian-source")
    refused = place.meshctl("provision", str(place.inventory), "--yes")
    assert refused.status == 5
    assert f"cp1 runs Kubernetes {now}, the inventory wants v1.20.2, an older one" in refused.stderr
    place.inventory.write_text(text)
