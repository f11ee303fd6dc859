"""Zipkin comes onto its node, stays while nothing changes, and goes whole: the stage on the strict doubles of 1.5 and of linkerd, in
nodes of namespaces. Needs root, as namespaces do.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from provision.base.events import Changed, Event
from provision.bundle.model import TracingImages
from provision.inventory import Cluster as Inventory
from provision.inventory import Tracing
from provision.mesh import node_of
from provision.run.cluster_drift import cluster_drifts
from provision.run.observe import mesh_manifests
from provision.storage import Volume
from tests.unit.kubernetes.test_kubernetes_1_5 import CP, W1, W2, Cluster
from tests.unit.kubernetes.test_pruning_1_5 import ONE
from tests.unit.run import test_mesh_roll
from tests.unit.run.test_mesh_roll import NAMES, Ground, inventory

BUNDLE = replace(test_mesh_roll.BUNDLE, tracing=TracingImages(ONE, ONE))


def traced(**more: Any) -> Inventory:
    """The inventory of the roll, whose w1 has a volume for traces."""
    found = inventory()
    volume = Volume.model_validate({"name": "traces", "size": "2GiB", "mount": "/srv/traces"})
    nodes = tuple(
        node.model_copy(update={"volumes": (volume,)}) if node.role == "worker" else node for node in found.nodes
    )
    return found.model_copy(update={"nodes": nodes, "tracing": Tracing.model_validate(more)})


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    made = Cluster(tmp_path_factory.mktemp("ground"), CP, W1, W2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_mesh_roll, "BUNDLE", BUNDLE)
        try:
            made.provision()
            yield Ground(made)
        finally:
            made.lab.stop()


def pods(ground: Ground) -> list[dict[str, Any]]:
    found = ground.cluster.kubectl.items("pods", namespace="default", labels={"app": "zipkin"})
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def password(ground: Ground) -> str:
    (secret,) = ground.cluster.kubectl.items("secrets", namespace="default", labels={"app": "zipkin"})
    return base64.b64decode(secret["data"]["password"]).decode()


def changes(events: list[Event]) -> list[str]:
    return [event.object for event in events if isinstance(event, Changed)]


def test_one_pod_on_the_node_with_the_volume_and_a_password_that_nobody_says(ground: Ground) -> None:
    events = ground.run(traced())
    assert [node_of(pod) for pod in pods(ground)] == ["w1"]
    drawn = password(ground)
    assert re.fullmatch("[0-9a-f]{48}", drawn)
    assert drawn not in repr(events)
    assert {"Secret zipkin-database", "Service zipkin", "DaemonSet zipkin"} <= set(changes(events))


def test_as_wanted_it_is_left_alone_and_is_no_drift(ground: Ground) -> None:
    before, drawn = pods(ground)[0]["metadata"]["name"], password(ground)
    assert changes(ground.run(traced())) == []
    assert (pods(ground)[0]["metadata"]["name"], password(ground)) == (before, drawn)
    now = traced()
    assert list(cluster_drifts(ground.cluster.kubectl, mesh_manifests(now, BUNDLE), now, NAMES)) == []


def test_another_limit_replaces_its_pod_and_no_router(ground: Ground) -> None:
    before = ground.digests("l5d")
    events = ground.run(traced(max_age_h=24))
    assert [one.split()[0] for one in changes(events)] == ["DaemonSet", "pod"]
    assert ground.digests("l5d") == before


def test_a_secret_that_somebody_deleted_is_drawn_anew_and_its_pod_replaced(ground: Ground) -> None:
    before = password(ground)
    ground.cluster.kubectl.delete("secret", "zipkin-database", namespace="default")
    events = ground.run(traced(max_age_h=24))
    assert password(ground) != before
    assert changes(events)[0] == "Secret zipkin-database"


def test_on_another_node_it_is_there_and_no_longer_here(ground: Ground) -> None:
    ground.run(traced(max_age_h=24, node="w2"))
    assert [node_of(pod) for pod in pods(ground)] == ["w2"]


def test_who_no_longer_wants_it_has_nothing_of_it_left(ground: Ground) -> None:
    ground.run(inventory())
    left = [name for name in ground.cluster.kubectl.names_in("default") if "zipkin" in name]
    assert [name for name in left if not name.startswith(("pod/", "endpoints/"))] == []
    assert pods(ground) == []
