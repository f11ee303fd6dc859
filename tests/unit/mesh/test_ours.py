"""What of a cluster's objects is ours, and which of it is a former mesh's."""

from __future__ import annotations

from typing import Any

from provision.linkerd.wanted import Mesh
from provision.mesh import apps, former_pods, in_words, marks, node_of
from tests.unit.mesh.test_mesh import rendered


def pod(namespace: str, app: str, node: str = "w1", **metadata: Any) -> dict[str, Any]:
    labels = {"app": app, **marks("lab")}
    return {
        "metadata": {"name": f"{app}-{node}", "namespace": namespace, "labels": labels, **metadata},
        "spec": {"nodeName": node},
    }


def test_everything_that_is_written_carries_the_label() -> None:
    for generation in ("1.5", "1.20"):
        for one in rendered(Mesh(namespace="mesh", namespaces=("shop",)), generation):
            assert marks("lab").items() <= one["metadata"]["labels"].items()


def test_pods_of_another_namespace_or_app_are_former_ones_by_node() -> None:
    wanted = apps(rendered(Mesh(namespace="mesh")))
    assert wanted == {("mesh", "l5d"), ("mesh", "echo")}
    found = [
        pod("mesh", "l5d"),
        pod("default", "l5d", "w2"),
        pod("default", "l5d", "cp1"),
        pod("default", "echo", "w3", deletionTimestamp="2026-01-01T00:00:00Z"),
        {"metadata": pod("default", "echo")["metadata"], "spec": {}},
    ]
    assert [node_of(one) for one in former_pods(found, wanted)] == ["?", "cp1", "w2"]


def test_an_object_is_named_with_its_namespace() -> None:
    assert in_words({"kind": "DaemonSet", **pod("mesh", "l5d")}) == "DaemonSet l5d-w1 in mesh"
    assert in_words({"kind": "Namespace", "metadata": {"name": "mesh"}}) == "Namespace mesh"
