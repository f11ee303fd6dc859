"""What an object was applied with, against what the server has."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from provision.kubernetes.likeness import differences
from tests.unit.mesh.test_mesh import objects


def served(one: dict[str, Any]) -> dict[str, Any]:
    """As an API server gives it back: defaults, and what it notes for itself."""
    live = copy.deepcopy(one)
    live["metadata"].update(uid="1", resourceVersion="2", creationTimestamp="2017-01-01T00:00:00Z")
    live["metadata"].setdefault("annotations", {})["deprecated.daemonset.template.generation"] = "3"
    live["status"] = {"numberReady": 3}
    if one["kind"] == "DaemonSet":
        pod = live["spec"]["template"]["spec"]
        pod.update(restartPolicy="Always", schedulerName="default-scheduler", securityContext={})
        for container in pod["containers"]:
            container["terminationMessagePath"] = "/dev/termination-log"
            for entry in container.get("env", ()):
                if "valueFrom" in entry:
                    entry["valueFrom"]["fieldRef"]["apiVersion"] = "v1"
        for volume in pod.get("volumes", ()):
            volume["configMap"]["defaultMode"] = 420
    return live


@pytest.mark.parametrize("generation", ["1.5", "1.20"])
def test_what_the_server_adds_is_no_difference(generation: str) -> None:
    for one in objects(generation).values():
        assert differences(one, served(one)) == ()


def test_what_a_hand_changed_is_named_by_its_path() -> None:
    wanted = objects("1.20")["DaemonSet l5d"]
    live = served(wanted)
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "buoyantio/linkerd:1.0.0"
    del live["metadata"]["labels"]["app"]
    assert differences(wanted, live) == (
        ("metadata.labels.app", "l5d", "nothing"),
        ("spec.template.spec.containers[0].image", "buoyantio/linkerd:0.8.5", "buoyantio/linkerd:1.0.0"),
    )


def test_an_entry_more_or_less_of_a_list_is_one() -> None:
    wanted = objects("1.20")["Service l5d"]
    live = served(wanted)
    live["spec"]["ports"].append({"name": "more", "port": 1})
    ((path, _, _),) = differences(wanted, live)
    assert path == "spec.ports"


@pytest.mark.parametrize(
    ("wanted", "live", "same"),
    [
        ("1024Mi", "1Gi", True),
        ("1000m", "1", True),
        ("384Mi", "384Mi", True),
        ("384Mi", "385Mi", False),
        ("a", "b", False),
    ],
)
def test_a_quantity_has_many_names(wanted: str, live: str, same: bool) -> None:
    found = differences({"spec": {"memory": wanted}}, {"spec": {"memory": live}})
    assert (found == ()) is same
