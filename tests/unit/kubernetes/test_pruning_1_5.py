"""A mesh that moves to another namespace, against the strict doubles of 1.5: its pods last of all, and nothing of anybody else's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from provision.base.calls import Calls
from provision.base.events import Changed, Event, Warned
from provision.base.waiting import NotYet, Ready
from provision.bundle import Bundle
from provision.guests import Sessions, nobody
from provision.kubernetes import Kubectl, Outdated
from provision.kubernetes.kubectl import EVERYWHERE
from provision.linkerd.wanted import Mesh
from provision.mesh import Platform, configuration, former_pods, manifests, marks
from provision.run.stages.doors import Doors
from provision.run.stages.pruning import let_go, prune
from tests.unit.kubernetes.test_kubernetes_1_5 import CP, PROFILE, Cluster, soon
from tests.unit.sample import CLUSTER

ONE = "meshctl/echo:1"
"""The one image of the double's bundle that anything runs in."""


def rendered(namespace: str) -> tuple[dict[str, Any], ...]:
    words = PROFILE.workloads
    platform = Platform(
        words.daemonset_api, None, words.host_network_dns_policy, ONE, False, ONE, ONE, words.annotations
    )
    mesh = Mesh(namespace=namespace)
    return manifests("lab", mesh, configuration(mesh), platform)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"), CP)
    try:
        made.provision()
        yield made
    finally:
        made.lab.stop()


def pods(kubectl: Kubectl) -> list[tuple[str, str]]:
    found = kubectl.items("pods", namespace=EVERYWHERE, labels=marks("lab"))
    return sorted((pod["metadata"]["namespace"], pod["metadata"]["labels"]["app"]) for pod in found)


def doors(events: list[Event]) -> Doors:
    """Of a run whose guests are asked nothing."""
    sessions = Sessions(CLUSTER, Calls(), nobody)
    return Doors(
        cluster=CLUSTER,
        hypervisors={},
        sessions=sessions,
        bundle=cast("Bundle", None),
        emit=events.append,
        host_shell=lambda _: pytest.fail("no host"),
    )


def move(cluster: Cluster, wanted: tuple[dict[str, Any], ...]) -> list[Event]:
    """As the stage mesh does it, but for the wait that each node's new pods are ready."""
    kubectl, events, stale = cluster.kubectl, list[Event](), cluster.kubectl.outdated(wanted, marks("lab"))
    kubectl.create(stale.absent)
    kubectl.apply(stale.different)
    for pod in let_go(kubectl, wanted, stale.unwanted, doors(events)):
        assert pod["spec"]["nodeName"] == "cp1"
        kubectl.delete("pod", pod["metadata"]["name"], namespace=pod["metadata"]["namespace"])
    prune(kubectl, stale.unwanted, doors(events))
    return events


def both_run(cluster: Cluster, namespace: str) -> None:
    wanted = [(namespace, "echo"), (namespace, "l5d")]
    soon(lambda: Ready(None) if pods(cluster.kubectl) == wanted else NotYet(str(pods(cluster.kubectl))))


def test_it_moves_with_all_that_it_has(cluster: Cluster) -> None:
    kubectl, old, new = cluster.kubectl, rendered("mesh-a"), rendered("mesh-b")
    move(cluster, old)
    both_run(cluster, "mesh-a")
    stale = kubectl.outdated(new, marks("lab"))
    assert len(stale.absent) == len(new)
    assert sorted(one["kind"] for one in stale.unwanted) == sorted(one["kind"] for one in old)
    events = move(cluster, new)
    said = [(event.object, event.change) for event in events if isinstance(event, Changed)]
    assert said[:2] == [("DaemonSet echo in mesh-a", "prune"), ("DaemonSet l5d in mesh-a", "prune")]
    assert said[-1] == ("Namespace mesh-a", "prune")
    both_run(cluster, "mesh-b")
    assert kubectl.outdated(new, marks("lab")) == Outdated()
    assert kubectl.outdated(old).absent == old


def test_pods_that_a_killed_run_left_without_their_daemonset_are_found_again(cluster: Cluster) -> None:
    """Killed between the DaemonSets and their pods: by the objects alone nothing would be left to do there."""
    kubectl, new = cluster.kubectl, rendered("mesh-c")
    stale = kubectl.outdated(new, marks("lab"))
    kubectl.create(stale.absent)
    for one in stale.unwanted:
        if one["kind"] == "DaemonSet":
            kubectl.delete("daemonset", one["metadata"]["name"], namespace="mesh-b", orphan=True)
    soon(lambda: Ready(None) if len(pods(kubectl)) == 4 else NotYet(str(pods(kubectl))))
    wanted = {("mesh-c", "l5d"), ("mesh-c", "echo")}
    left = former_pods(kubectl.items("pods", namespace=EVERYWHERE, labels=marks("lab")), wanted)
    assert {pod["metadata"]["namespace"] for pod in left} == {"mesh-b"}
    move(cluster, new)
    both_run(cluster, "mesh-c")


def test_a_namespace_with_something_of_somebody_else_stays_and_his_objects_too(cluster: Cluster) -> None:
    kubectl = cluster.kubectl
    theirs = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": namespace}, "data": {}}
        for namespace in ("mesh-c", "default")
    ]
    kubectl.create(theirs)
    events = move(cluster, rendered("mesh-d"))
    assert [event.message for event in events if isinstance(event, Warned)] == [
        "namespace mesh-c stays, and is no longer meshctl's: it holds configmap/theirs"
    ]
    assert kubectl.outdated(rendered("mesh-d"), marks("lab")).unwanted == ()
    both_run(cluster, "mesh-d")
    assert kubectl.outdated(theirs) == Outdated()
    assert kubectl.names_in("mesh-c") == ("configmap/theirs",)


def test_a_mesh_in_a_given_namespace_leaves_it_where_it_is(cluster: Cluster) -> None:
    move(cluster, rendered("default"))
    events = move(cluster, rendered("mesh-e"))
    assert not any(isinstance(event, Changed) and event.object.startswith("Namespace default") for event in events)
    assert not [name for name in cluster.kubectl.names_in("default") if name.startswith("configmap/l5d-config")]
    assert "configmap/theirs" in cluster.kubectl.names_in("default")
