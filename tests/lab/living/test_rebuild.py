"""A worker and the control plane thrown away and made anew, on a living cluster."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from provision.base import data
from tests.lab.conftest import Place
from tests.lab.living.load import kubectl, steady
from tests.lab.living.test_members import converged, killed_at, nodes_of

pytestmark = pytest.mark.lab

Said = dict[str, Any]


def rebuilt(place: Place, *words: str) -> list[Said]:
    """Runs it, and gives its events."""
    done = place.meshctl("rebuild", str(place.inventory), *words, "--yes", "--json")
    assert done.status == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def changes(events: list[Said]) -> list[str]:
    return [f"{event['object']}: {event['change']}" for event in events if event["event"] == "Changed"]


def who(place: Place, node: str) -> tuple[str, str]:
    """A node's address, and the uuid that Kubernetes has for it."""
    address = next(guest["address"] for guest in place.status()["guests"] if guest["node"] == node)
    return address, str(json.loads(kubectl(place, "get", "node", node, "-o", "json"))["metadata"]["uid"])


def boot_id(place: Place, node: str) -> str:
    return place.meshctl("ssh", str(place.inventory), node, "--", "cat", "/proc/sys/kernel/random/boot_id").stdout


@pytest.mark.scenario("rebuild-worker")
def test_a_worker_is_made_anew_though_the_run_is_killed_once_and_nobody_notices(place: Place) -> None:
    address, uid = who(place, "w2")
    before = {node: boot_id(place, node) for node in ("cp1", "w1", "w2")}
    with steady(place, "w1") as load:
        killed_at(place, "guest w2: marked: thrown away", "w2", command="rebuild")
        said = changes(rebuilt(place, "w2"))
    assert not [one for one in said if "drain" in one or one == "guest w2: stop"]  # done once
    assert (load.asked > 100, load.failed) == (True, ())
    now = who(place, "w2")
    assert now[0] == address
    assert now[1] != uid
    after = {node: boot_id(place, node) for node in before}
    assert [node for node in before if after[node] != before[node]] == ["w2"]
    assert nodes_of(place) == {"cp1", "w1", "w2"}
    assert converged(place)


@pytest.mark.scenario("rebuild-worker-resumed")
def test_provision_goes_on_with_what_was_begun(place: Place) -> None:
    killed_at(place, "node w2: delete from Kubernetes", "w2", command="rebuild")
    done = place.meshctl("provision", str(place.inventory), "--yes", "--json")
    assert done.status == 0, done.stderr[-2000:]
    assert "guest w2: stop" in changes([json.loads(line) for line in done.stdout.splitlines()])
    assert nodes_of(place) == {"cp1", "w1", "w2"}
    assert converged(place)


def authority(place: Place) -> str:
    """The digest of the cluster's authority, as the control plane has it."""
    words = ("sudo", "sha256sum", "/etc/kubernetes/pki/ca.crt")
    return place.meshctl("ssh", str(place.inventory), "cp1", "--", *words).checked().stdout


def copies() -> list[str]:
    """What a rebuild by copy would leave on this machine while it goes on."""
    folder = data.state("rebuild")
    return [one.name for one in folder.iterdir()] if folder.is_dir() else []


def state_file(place: Place) -> str:
    lines = place.virsh("vol-list", "meshctl").splitlines()
    return next(line.split()[0] for line in lines if ".cp1.state." in line)


@dataclass(frozen=True)
class Before:
    """What of the cluster must be the same when its control plane was rebuilt."""

    who: tuple[str, str]
    authority: str
    state: str
    boots: dict[str, str]

    @classmethod
    def of(cls, place: Place) -> Before:
        kubectl(place, "create", "configmap", "before", "--from-literal=said=yes")
        boots = {node: boot_id(place, node) for node in ("cp1", "w1", "w2")}
        return cls(who(place, "cp1"), authority(place), state_file(place), boots)

    def is_still_there(self, place: Place) -> None:
        assert "configmap/before" in kubectl(place, "get", "configmaps", "-o", "name").split()
        kubectl(place, "delete", "configmap", "before")
        assert (who(place, "cp1"), authority(place), state_file(place)) == (self.who, self.authority, self.state)
        after = {node: boot_id(place, node) for node in self.boots}
        assert [node for node in self.boots if after[node] != self.boots[node]] == ["cp1"]
        assert {guest["ready"] for guest in place.status()["guests"]} == {"Ready"}
        assert converged(place)


@pytest.mark.scenario("rebuild-control-plane")
def test_the_control_plane_comes_back_with_the_same_cluster_though_the_run_is_killed_once(place: Place) -> None:
    before = Before.of(place)
    with steady(place, "w1") as load:
        killed_at(place, "guest cp1: marked: thrown away", "cp1", command="rebuild")
        assert copies() == []
        said = changes(rebuilt(place, "cp1"))
    assert "guest cp1: stop" not in said  # done once
    assert {"cluster of its state volume: take up", "guest cp1: marked: rebuilt"} <= {*said}
    assert not [one for one in said if one.startswith(("backup ", "kubeadm "))]
    print(f"while the control plane was away: {len(load.failed)} of {load.asked} failed: {load.failed[:3]}", flush=True)
    before.is_still_there(place)


@pytest.mark.scenario("rebuild-control-plane-dead")
def test_one_whose_root_is_gone_comes_back_from_its_state_volume_and_provision_goes_on_with_it(place: Place) -> None:
    before = Before.of(place)
    place.virsh("destroy", "lab-cp1")
    for line in place.virsh("vol-list", "meshctl").splitlines():
        if line.strip().startswith("lab.cp1.root."):
            place.virsh("vol-delete", line.split()[0], "--pool", "meshctl")
    refused = place.meshctl("provision", str(place.inventory), "--yes")
    assert refused.status == 5
    assert (
        "`meshctl rebuild INVENTORY cp1` makes the node anew, and its cluster goes on from its state volume"
        in refused.stderr
    )
    killed_at(place, "guest cp1: create", "cp1", command="rebuild")
    done = place.meshctl("provision", str(place.inventory), "--yes", "--json")
    assert done.status == 0, done.stderr[-2000:]
    said = changes([json.loads(line) for line in done.stdout.splitlines()])
    assert {"cluster of its state volume: take up", "guest cp1: marked: rebuilt"} <= {*said}
    assert not [one for one in said if one.startswith("kubeadm ")]
    assert copies() == []
    before.is_still_there(place)
