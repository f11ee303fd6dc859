"""What somebody has given a node: told from what kubelet and controllers say, and given back; by the strict double of kubectl 1.5."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lxml import etree

from provision.base.errors import KubernetesError, StageTimeout
from provision.base.events import Changed
from provision.kubernetes import Given, give_back, given, given_to
from provision.kubernetes.given import judge_given
from provision.specs import Stamp, read_stamp, stamp_element
from tests.unit.kubernetes import test_kubernetes_1_5
from tests.unit.kubernetes.test_kubernetes_1_5 import W1, Cluster

cluster = test_kubernetes_1_5.cluster

NODE: dict[str, Any] = {
    "metadata": {
        "name": "w1",
        "labels": {
            "kubernetes.io/hostname": "w1",
            "beta.kubernetes.io/os": "linux",
            "topology.kubernetes.io/zone": "b",
            "node-role.kubernetes.io/db": "",
            "disk": "nvme",
        },
    },
    "spec": {
        "taints": [
            {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": "2026-12-01T03:00:00Z"},
            {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"},
            {"key": "for", "value": "db", "effect": "NoExecute"},
            {"key": "slow", "effect": "PreferNoSchedule"},
        ]
    },
}


def test_what_a_person_has_given_is_told_from_what_kubelet_and_controllers_say() -> None:
    assert judge_given(NODE) == Given(
        ("disk=nvme", "node-role.kubernetes.io/db=", "topology.kubernetes.io/zone=b"),
        ("for=db:NoExecute", "slow=:PreferNoSchedule"),
    )
    assert judge_given({"metadata": {"name": "w1"}, "spec": {}}) == Given()


def test_what_the_api_would_not_take_is_not_kept() -> None:
    """It would make the stamp that is to have it unreadable, and the guest nobody's."""
    noted = '[{"key": "for", "value": "d b,c", "effect": "NoSchedule"}, {"key": "slow", "value": "", "effect": "NoSchedule"}]'
    node = {"metadata": {"annotations": {"scheduler.alpha.kubernetes.io/taints": noted}}, "spec": {}}
    found = judge_given(node)
    assert found == Given((), ("slow=:NoSchedule",))
    stamp = Stamp("lab", "w1", "d", labels=",".join(found.labels), taints=",".join(found.taints))
    root = etree.Element("domain")
    etree.SubElement(root, "metadata").append(stamp_element(stamp))
    assert read_stamp(root) == (stamp, "")


def test_what_was_given_since_stays() -> None:
    had = Given(("disk=nvme", "zone=b"), ("for=db:NoSchedule", "for=db:NoExecute"))
    there = Given(("zone=c",), ("for=web:NoSchedule",))
    assert had.lacking(there) == Given(("disk=nvme",), ("for=db:NoExecute",))


@pytest.fixture
def bare(cluster: Cluster) -> Iterator[Callable[[], None]]:
    """Has w1 register anew, as one that was thrown away does; also at the end, as the cluster is that of other tests too."""

    def register() -> None:
        cluster.kubectl.delete("node", "w1")
        cluster[W1].run(["systemctl", "restart", "kubelet"])

    yield register
    register()


def test_it_is_given_back_to_a_node_that_was_made_anew(cluster: Cluster, bare: Callable[[], None]) -> None:
    had = Given(("disk=nvme", "zone="), ("for=db:NoSchedule", "slow=:PreferNoSchedule"))
    give_back(cluster.kubectl, "w1", had, cluster.events.append)
    bare()
    cluster.events.clear()
    give_back(cluster.kubectl, "w1", had, cluster.events.append)
    assert given_to(cluster.kubectl, "w1") == had
    said = ["labels disk=nvme, zone= of w1", "taints for=db:NoSchedule, slow=:PreferNoSchedule of w1"]
    assert [one for one in cluster.events if isinstance(one, Changed)] == [
        Changed("cluster", what, "put back") for what in said
    ]


def test_what_is_there_is_not_given_again(cluster: Cluster, bare: Callable[[], None]) -> None:
    had = Given(("disk=nvme",), ("for=db:NoSchedule",))
    give_back(cluster.kubectl, "w1", had, cluster.events.append)
    cluster.events.clear()
    give_back(cluster.kubectl, "w1", had, cluster.events.append)
    assert cluster.events == []


def test_what_kubernetes_does_not_take_is_said(cluster: Cluster, bare: Callable[[], None]) -> None:
    with pytest.raises(
        KubernetesError, match=r"^w1: kubectl taint for=db:NoExecute: error: invalid taint spec"
    ) as caught:
        give_back(cluster.kubectl, "w1", Given((), ("for=db:NoExecute",)), cluster.events.append)
    assert "before it was made anew" in caught.value.hint


def test_a_node_that_kubernetes_does_not_know_has_nothing_and_is_waited_for(cluster: Cluster) -> None:
    assert given_to(cluster.kubectl, "w9") is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(given, "REGISTERED_S", 0.5)
        with pytest.raises(StageTimeout, match="w9: known to Kubernetes"):
            give_back(cluster.kubectl, "w9", Given(("a=b",)), cluster.events.append)
