"""What stages do with one of several control planes: one that goes, and one with which a cluster would begin though there is one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from provision.base.errors import ConflictError, KubernetesError
from provision.base.events import Changed, Event, Warned
from provision.kubernetes import Kubectl
from provision.run.stages import rolling
from provision.run.stages.kubernetes import _require_no_other
from provision.run.stages.removal import leave_control, require_majority_without
from provision.specs import Stamp
from tests.doubles.indoors import here
from tests.doubles.sandbox import NodeShell
from tests.unit.kubernetes.test_control_planes import CP2, CP3, PROFILE, THREE, Ground, ground, put
from tests.unit.kubernetes.test_kubernetes import CP, W1
from tests.unit.sample import CLUSTER

__all__ = ["ground"]

KUBECTL = """#!/bin/sh
case "$*" in *" get nodes "*) echo '{"items": []}';; *) echo "strict double: kubectl $*" >&2; exit 1;; esac
"""
ON = "mkdir -p /etc/systemd/system && printf '[Service]\\nExecStart=/bin/sleep 600\\n' > /etc/systemd/system/keepalived.service"

MEMBER = """
mkdir -p /etc/kubernetes/pki/etcd && cd /etc/kubernetes && touch admin.conf /var/lib/meshctl/kubeadm.done
touch pki/etcd/ca.crt pki/etcd/healthcheck-client.crt pki/etcd/healthcheck-client.key
"""


def doors(nodes: dict[str, Any]) -> tuple[Any, list[Event]]:
    events: list[Event] = []
    found = here(CLUSTER, nodes, tuple(SimpleNamespace(stamp=Stamp("lab", name, "d")) for name in nodes))
    return SimpleNamespace(shells=lambda: found, emit=events.append, cluster=CLUSTER), events


def kubectl(ground: Ground) -> Kubectl:
    put(ground.shared, "/usr/local/sbin/kubectl", KUBECTL)
    return Kubectl(ground.shared, PROFILE.certificates, "1.20")


@pytest.fixture
def three(ground: Ground) -> Ground:
    """All of them are members of etcd, and well."""
    members = {str(number): {"name": one.name, "address": one.address} for number, one in enumerate((CP, CP2, CP3), 7)}
    ground.etcd(members=members, sick=[], serves=[one.name for one in (CP, CP2, CP3)])
    return ground


def test_one_that_goes_gives_up_the_address_and_then_its_place_in_etcd(three: Ground) -> None:
    shell = three.shells["cp2"]
    shell.run(["sh", "-c", ON])
    shell.run(["systemctl", "daemon-reload"])
    shell.run(["systemctl", "restart", "keepalived.service"])
    ways, events = doors(cast("dict[str, Any]", three.shells))
    require_majority_without(CP2, kubectl(three))
    leave_control(CP2, kubectl(three), ways, runs=True)
    assert shell.read(["systemctl", "is-active", "keepalived.service"], check=False).stdout.strip() != "active"
    assert three.members() == {CP.address: "cp1", CP3.address: "cp3"}
    assert [one.object for one in events if isinstance(one, Changed)] == ["etcd member cp2 of cp2"]
    leave_control(CP2, kubectl(three), ways, runs=True)  # over again, as after a run that was ended
    assert three.members() == {CP.address: "cp1", CP3.address: "cp3"}


def test_one_that_does_not_answer_is_taken_out_all_the_same(three: Ground) -> None:
    three.etcd(sick=[CP3.address])
    ways, events = doors({"cp1": three.shells["cp1"]})
    require_majority_without(CP3, kubectl(three))
    leave_control(CP3, kubectl(three), ways, runs=True)
    assert three.members() == {CP.address: "cp1", CP2.address: "cp2"}
    assert any(isinstance(one, Warned) and "moves when it stops" in one.message for one in events)


def test_one_that_the_others_cannot_spare_stays(three: Ground) -> None:
    three.etcd(sick=[CP3.address])
    with pytest.raises(KubernetesError, match="without cp2 etcd would have 2 members, of which 2 must answer, but cp3"):
        require_majority_without(CP2, kubectl(three))


def test_of_a_worker_there_is_nothing_to_take(three: Ground) -> None:
    ways, events = doors({})
    require_majority_without(W1, kubectl(three))
    leave_control(W1, kubectl(three), ways, runs=True)
    assert (events, len(three.members())) == ([], 3)


# ── started anew ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def started(three: Ground, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The guests that were started anew, in their order, by nobody: there are none here."""
    found: list[str] = []
    for shell in three.shells.values():
        shell.run(["sh", "-c", MEMBER])
    monkeypatch.setattr(NodeShell, "close", lambda _: None, raising=False)
    monkeypatch.setattr(rolling, "start_anew", lambda guest, *_, **__: found.append(guest.node))
    monkeypatch.setattr(rolling._Turn, "_serves", lambda *_: None)
    return found


def ways_of(three: Ground) -> Any:
    ways, _ = doors(cast("dict[str, Any]", three.shells))
    nodes = [CLUSTER.nodes[0].model_copy(update={"name": one.name, "address": one.address}) for one in (CP, CP2, CP3)]
    cluster = CLUSTER.model_copy(update={"nodes": (*nodes, CLUSTER.nodes[1])})
    domains = tuple(SimpleNamespace(stamp=Stamp("lab", one.name, "d", one.address)) for one in (CP, CP2, CP3))
    found = here(cluster, three.shells, domains)
    return SimpleNamespace(cluster=cluster, shells=lambda: found, emit=ways.emit)


def again(three: Ground, *nodes: str) -> None:
    ways = ways_of(three)
    guests = cast(Any, [SimpleNamespace(node=node) for node in nodes])
    rolling.in_turn(guests, ways.shells(), ways, lambda *_: None)


def test_control_planes_are_started_anew_one_after_the_other(three: Ground, started: list[str]) -> None:
    again(three, "cp3", "cp1", "cp2")
    assert started == ["cp3", "cp1", "cp2"]


def test_none_that_the_others_cannot_spare_is_started_anew(three: Ground, started: list[str]) -> None:
    three.etcd(sick=[CP3.address], serves=["cp1", "cp2"])
    with pytest.raises(KubernetesError, match="without cp1 etcd would have 2 members"):
        again(three, "cp1")
    assert started == []
    three.etcd(serves=["cp1", "cp2", "cp3"])
    again(three, "cp3")  # the one that is ill itself
    assert started == ["cp3"]


def test_no_cluster_is_begun_beside_one_that_another_control_plane_has(three: Ground) -> None:
    """It still booted when the plan was made, so nobody could see what it is."""
    cp2 = three.shells["cp2"]
    cp2.run(["sh", "-c", "mkdir -p /var/lib/meshctl && touch /var/lib/meshctl/kubeadm.done"])
    plan = cast(Any, SimpleNamespace())
    with pytest.raises(ConflictError, match="cp1 would begin another cluster: cp2 is a control plane of this one"):
        _require_no_other(THREE, "cp1", (), plan, doors({"cp2": cp2})[0])
    cp2.run(["rm", "/var/lib/meshctl/kubeadm.done"])
    _require_no_other(THREE, "cp1", (), plan, doors({"cp2": cp2})[0])
    _require_no_other(THREE, "cp1", (), plan, doors({})[0])  # their guests are not made yet
