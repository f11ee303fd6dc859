"""Zipkin comes to a cluster that lives: traces of real requests, by scribe, on a volume; they outlive what keeps them and its node's start.

The tests build on each other in the order of this file; the last one leaves the cluster as the inventory had it. Needs the bundle with
tracing (`meshctl bundle build --from debian-source --with tracing`).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from provision.base.waiting import NotYet, Ready, wait_until
from provision.bundle import extended
from tests.lab.conftest import Place
from tests.lab.living.load import kubectl

pytestmark = [
    pytest.mark.lab,
    pytest.mark.in_turn,
    pytest.mark.scenario("tracing"),
]

NODES = ("cp1", "w1", "w2")
VOLUME = {"name": "traces", "size": "1GiB", "mount": "/srv/traces"}
WITHIN_S = 2400.0
"""A JVM needs half an hour where it is emulated on a busy host."""


def with_tracing(place: Place, folder: Any, *, tracing: bool = True) -> str:
    """The inventory with a volume on w1 and Zipkin on it; without `tracing` with the volume alone."""
    said = yaml.safe_load(place.inventory.read_text())
    for node in said["nodes"]:
        if node["name"] == "w1":
            node["volumes"] = [VOLUME]
    if tracing:
        said["kubernetes"]["bundle"] = extended.NAME
        said["tracing"] = {"kind": "zipkin", "memory": "640MiB", "max_size": "128MiB"}
    path = folder / f"tracing-{tracing}.yaml"
    path.write_text(yaml.safe_dump(said, sort_keys=False))
    return str(path)


@pytest.fixture(scope="module")
def inventory(place: Place, tmp_path_factory: pytest.TempPathFactory) -> str:
    return with_tracing(place, tmp_path_factory.mktemp("tracing"))


def ask(place: Place, inventory: str, node: str) -> None:
    """One request through a node's own linkerd, traced for sure."""
    words = (
        "curl",
        "-s",
        "-o",
        "/dev/null",
        "-H",
        "Host: echo",
        "-H",
        "l5d-sample: 1.0",
        "http://127.0.0.1:4140/lab?user=alice",
    )
    assert place.meshctl("ssh", inventory, node, "--", *words).status == 0


def traces(place: Place, inventory: str) -> list[dict[str, Any]]:
    done = place.meshctl("mesh", "traces", inventory, "--last", "12h", "--most", "200", "--json")
    found: list[dict[str, Any]] = json.loads(done.stdout) if done.status == 0 else []
    return [one for one in found if any(hop["request"] == "GET /lab" for hop in one["hops"])]


def until(what: str, count: int, place: Place, inventory: str) -> list[dict[str, Any]]:
    def look() -> Ready[list[dict[str, Any]]] | NotYet:
        found = traces(place, inventory)
        return Ready(found) if len(found) >= count else NotYet(f"{len(found)} traces")

    return wait_until(look, what=what, within_s=WITHIN_S, every_s=10.0)


def test_it_comes_with_a_volume_and_is_as_wanted(place: Place, inventory: str) -> None:
    assert place.meshctl("provision", inventory, "--yes", "--restart").status == 0
    pods = json.loads(kubectl(place, "get", "pods", "-l", "app=zipkin", "-o", "json"))["items"]
    assert [pod["spec"]["nodeName"] for pod in pods] == ["w1"]
    assert place.meshctl("plan", inventory, "--detailed-exitcode").status == 0
    assert place.meshctl("status", inventory, "--drift").status == 0


def test_a_request_from_each_node_is_a_trace_with_its_hops(place: Place, inventory: str) -> None:
    for node in NODES:
        ask(place, inventory, node)
    found = until("a trace from each node", len(NODES), place, inventory)
    for trace in found:
        assert [(hop["kind"], hop["status"]) for hop in trace["hops"]] == [("server", "200"), ("client", "200")]
    text = place.meshctl("mesh", "traces", inventory, "--last", "12h").stdout
    assert "GET /lab" in text
    assert "alice" not in text


def test_whoever_is_killed_what_was_stored_stays(place: Place, inventory: str) -> None:
    before = {one["id"] for one in until("the traces", len(NODES), place, inventory)}
    for program in ("mariadbd", "java"):
        kill = f"sudo kill -9 $(pidof {program})"
        assert place.meshctl("ssh", inventory, "w1", "--", kill).status == 0
    after = until("the traces, from a Zipkin that came back", len(before), place, inventory)
    assert before <= {one["id"] for one in after}


def test_its_nodes_restart_loses_nothing(place: Place, inventory: str) -> None:
    before = {one["id"] for one in until("the traces", len(NODES), place, inventory)}
    assert place.meshctl("restart", inventory, "w1", "--yes").status == 0
    after = until("the traces, from a node that came back", len(before), place, inventory)
    assert before <= {one["id"] for one in after}


def test_it_is_put_back_as_it_was(place: Place, inventory: str, tmp_path: Any) -> None:
    """First Zipkin goes, then its volume: nobody takes a disk away from a database that runs."""
    assert place.meshctl("provision", with_tracing(place, tmp_path, tracing=False), "--yes").status == 0
    assert "zipkin" not in kubectl(place, "get", "all,secrets", "-o", "name")
    assert place.meshctl("provision", str(place.inventory), "--yes", "--restart").status == 0
    assert place.meshctl("plan", str(place.inventory), "--detailed-exitcode").status == 0
