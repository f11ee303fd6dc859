"""Zipkin's objects in the forms of 1.5 and 1.20 (golden; regenerate with MESHCTL_REGENERATE=1), its limits, and where its pod belongs."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.kubernetes import profile_for
from provision.linkerd.wanted import Mesh
from provision.mesh import Keeper, Platform, apps, configuration, manifests, places, pod_digests
from tests.doubles.kubernetes_1_5 import schema
from tests.unit.mesh.test_mesh import platform

GOLDEN = Path(__file__).parents[2] / "data" / "mesh"
KEEPER = Keeper(
    "meshctl/zipkin:3.5.1", "meshctl/zipkin-database:3.5.1", "w1", "/srv/traces", "10.96.0.11", 168, 2**30, 768
)


def objects(generation: str, keeper: Keeper | None = KEEPER, form: Platform | None = None) -> dict[str, Any]:
    found = manifests("lab", Mesh(), configuration(Mesh()), form or platform(generation), keeper)
    return {f"{one['kind']} {one['metadata']['name']}": one for one in found}


def own(generation: str) -> list[dict[str, Any]]:
    without = objects(generation, None)
    return [one for title, one in objects(generation).items() if title not in without]


@pytest.mark.parametrize("generation", ["1.5", "1.20"])
def test_golden(generation: str) -> None:
    text = yaml.safe_dump_all(own(generation), sort_keys=False)
    path = GOLDEN / f"zipkin-{generation}.yaml"
    if os.environ.get("MESHCTL_REGENERATE"):
        path.write_text(text)
    assert text == path.read_text()


def test_who_keeps_no_traces_has_none_of_it() -> None:
    assert not [title for title in objects("1.20", None) if "zipkin" in title]
    assert set(objects("1.20")) - set(objects("1.20", None)) == {
        "Secret zipkin-database",
        "Service zipkin",
        "DaemonSet zipkin",
    }


def test_1_5_takes_every_object() -> None:
    assert [fault for one in objects("1.5").values() if (fault := schema.problem(one))] == []


def test_the_password_is_in_no_text() -> None:
    secret = objects("1.20")["Secret zipkin-database"]
    assert not {"data", "stringData"} & set(secret)
    pod = objects("1.20")["DaemonSet zipkin"]["spec"]["template"]["spec"]
    given = [entry for one in pod["containers"] for entry in one["env"] if "PASS" in entry["name"]]
    assert [entry.get("valueFrom", entry.get("value")) for entry in given] == [
        "/secret/password",
        {"secretKeyRef": {"name": "zipkin-database", "key": "password"}},
    ]


@pytest.mark.parametrize("generation", ["1.5", "1.20"])
def test_it_runs_on_its_node_alone_in_a_network_of_its_own(generation: str) -> None:
    found = objects(generation)
    pod = found["DaemonSet zipkin"]["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"kubernetes.io/hostname": "w1"}
    assert "hostNetwork" not in pod  # else the database's loopback were every process's of the node
    assert places(found.values()) == {"zipkin": "w1"}
    assert ("default", "zipkin") in apps(found.values())
    assert found["Service zipkin"]["spec"]["clusterIP"] == "10.96.0.11"
    volumes = {one["name"]: one for one in pod["volumes"]}
    assert volumes["data"]["hostPath"] == {"path": "/srv/traces"}
    assert volumes["run"]["emptyDir"] == {"medium": "Memory"}


def test_all_its_memory_is_what_the_inventory_says() -> None:
    pod = objects("1.20", replace(KEEPER, memory_mib=1000))["DaemonSet zipkin"]["spec"]["template"]["spec"]
    limits = [int(one["resources"]["limits"]["memory"].removesuffix("Mi")) for one in pod["containers"]]
    assert sum(limits) == 1000
    assert "-Xmx333m " in json.dumps(pod)


@pytest.mark.parametrize(
    "changed", [{"max_age_h": 24}, {"max_bytes": 2**28}, {"memory_mib": 900}, {"node": "w2"}, {"folder": "/srv/t"}]
)
def test_another_limit_or_place_is_another_pod(changed: dict[str, Any]) -> None:
    digests = [pod_digests(objects("1.20", one).values()) for one in (KEEPER, replace(KEEPER, **changed))]
    assert digests[0]["zipkin"] != digests[1]["zipkin"]
    assert digests[0]["l5d"] == digests[1]["l5d"]


def test_no_server_replaces_its_pod_by_itself() -> None:
    assert objects("1.20")["DaemonSet zipkin"]["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert profile_for("1.5").workloads.rolls_daemonsets is False
