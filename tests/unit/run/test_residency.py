"""Where a living cluster's data are, on the strict doubles of Kubernetes 1.5 in a node of namespaces. Needs root, as namespaces do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from provision.guests.residue import residue
from provision.inventory import Cluster as Inventory
from provision.inventory.policy import Policy
from provision.kubernetes.abroad import abroad, read
from provision.linkerd.wanted import Mesh, Tracer
from provision.mesh import Platform, configuration, manifests
from provision.run.residency import merged, of_objects, running_mesh
from tests.unit.kubernetes.test_kubernetes_1_5 import CP, PROFILE, Cluster
from tests.unit.kubernetes.test_pruning_1_5 import ONE
from tests.unit.sample import CLUSTER

TODAY = date(2026, 12, 1)
PAY: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "pay", "namespace": "default"},
    "spec": {"type": "ExternalName", "externalName": "pay.example.org"},
}
ORDERS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "orders"},
    "spec": {
        "capacity": {"storage": "5Gi"},
        "accessModes": ["ReadWriteOnce"],
        "nfs": {"server": "192.0.2.8", "path": "/"},
    },
}


@pytest.fixture(scope="module")
def living() -> Inventory:
    """Its inventory has no tracer any more; the mesh that runs has one."""
    host = CLUSTER.hosts[0].model_copy(update={"jurisdiction": "NO"})
    said = Policy(residency=("EEA",), operator="NO", networks={"192.0.2.0/24": "US"})
    return CLUSTER.model_copy(update={"hosts": (host,), "policy": said})


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"), CP)
    try:
        made.provision()
        words = PROFILE.workloads
        platform = Platform(
            words.daemonset_api, None, words.host_network_dns_policy, ONE, False, ONE, ONE, words.annotations
        )
        mesh = Mesh(tracer=Tracer(host="192.0.2.9"))
        made.kubectl.apply(manifests("lab", mesh, configuration(mesh), platform))
        made.kubectl.apply([PAY, ORDERS])
        yield made
    finally:
        made.lab.stop()


def test_what_runs_is_judged_and_not_only_what_the_inventory_says(cluster: Cluster, living: Inventory) -> None:
    live = [*of_objects(abroad(cluster.kubectl, "1.5")), *running_mesh(cluster.kubectl, living)]
    found = {one.place.where: (one.allowed, one.reason) for one in merged(living, live, TODAY)}
    assert found["the machine 192.0.2.9"] == (
        False,
        "192.0.2.9 is in 192.0.2.0/24: US (United States of America) is outside of the EEA",
    )
    assert found["the nfs server 192.0.2.8"][0] is False
    assert found["the machine pay.example.org"] == (False, "nobody says in which country pay.example.org is")
    assert found["host hv1"] == (True, "NO (Norway) is in the EEA since 1994-01-01")
    assert found["the machine that meshctl is run on"][0] is True
    traces = next(one.place for one in merged(living, live, TODAY) if one.place.address == "192.0.2.9")
    assert traces.spot is not None
    assert traces.spot.file.startswith("ConfigMap default/l5d-config-")


def test_a_place_that_the_inventory_names_too_is_said_once(living: Inventory, cluster: Cluster) -> None:
    same = living.model_copy(update={"mesh": Mesh(tracer=Tracer(host="192.0.2.9"))})
    found = merged(same, list(running_mesh(cluster.kubectl, living)), TODAY)
    assert [one.place.field for one in found if one.place.address == "192.0.2.9"] == [("mesh", "tracer", "host")]


def test_the_cluster_s_own_dns_answers_pods_only(living: Inventory) -> None:
    disk = read([{"metadata": {"name": "v"}, "spec": {"nfs": {"server": "nas"}}}], [], None)
    (verdict,) = [one for one in merged(living, list(of_objects(disk)), TODAY) if one.place.address == "nas"]
    assert (verdict.allowed, verdict.reason) == (False, "nobody says in which country nas is")


def test_1_5_has_nobody_who_is_bound_to_be_an_administrator(cluster: Cluster) -> None:
    assert abroad(cluster.kubectl, "1.5").admins is None


def test_a_node_says_what_stays_in_it(cluster: Cluster) -> None:
    found = residue(cluster[CP])
    assert found.containers == ""  # the double's dockerd is told nothing of logs
    assert found.used_mib >= 0
