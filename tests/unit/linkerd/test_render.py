"""One model, every generation of linkerd: what is rendered is taken by its release, and refused by others for the right reason."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from provision.inventory.model import Cluster
from provision.linkerd.check.finding import Finding
from provision.linkerd.check.validate import validate
from provision.linkerd.knowledge.place import Place
from provision.linkerd.knowledge.versions import BOUNDARIES, RELEASES
from provision.linkerd.render.render import inexpressible, render
from provision.linkerd.render.settings import ENVIRONMENT
from provision.linkerd.wanted import Mesh

PLACE = Place(host_network=True, kubernetes="1.5", environment=ENVIRONMENT)
TOPOLOGIES = ("outgoing", "linker-to-linker")

EVERYWHERE: dict[str, Any] = {
    "namespaces": ["shop"],
    "dtab": "/svc/checkout => /#/io.l5d.k8s/shop/http/checkout | ~ ;\n",
    "balancer": {"kind": "aperture", "smooth_window_ms": 5000, "low_load": 0.5, "high_load": 2, "min_aperture": 2},
    "failure_accrual": {"kind": "successRate", "success_rate": 0.8, "requests": 30},
    "retries": {"budget": {"ttl_s": 10, "min_retries_per_s": 5, "percent_can_retry": 0.2}, "backoff": {"ms": 20}},
    "timeouts": {"total_ms": 2000, "binding_ms": 5000},
    "classifier": "retryableRead5XX",
}
"""What every release can be told."""

BACKOFF = {"kind": "successRate", "success_rate": 0.8, "requests": 30, "backoff": {"kind": "constant", "ms": 10000}}
LATER = {"binding_cache": {"idle_ttl_s": 600}, "failure_accrual": BACKOFF}

REFUSED: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "0.8.5": ({}, "0.9.0", "ML305", "baseDtab"),
    "0.8.6": ({}, "1.0.0", "ML306", "retries"),
    "0.9.0": ({"balancer": {"kind": "roundRobin"}}, "0.8.6", "ML309", "roundRobin"),
    "0.9.1": ({}, "0.8.5", "ML305", "dtab"),
    "1.0.0": ({"timeouts": {"attempt_ms": 500}}, "0.9.1", "ML306", "requestAttemptTimeoutMs"),
    "1.0.1": ({"classifier": "allSuccessful"}, "1.0.0", "ML309", "allSuccessful"),
    "1.1.1": (LATER, "1.0.1", "ML308", "idleTtlSecs"),
    "1.2.0": ({"requeues": {"percent_can_retry": 0.1}}, "0.9.1", "ML306", "requeueBudget"),
    "1.3.0": (LATER, "0.8.5", "ML304", "usage"),
    "1.6.0": ({"classifier": "retryableAll5XX"}, "1.3.0", "ML309", "retryableAll5XX"),
    "1.7.0": ({"classifier": "retryableAll5XX", **LATER}, "1.3.0", "ML309", "retryableAll5XX"),
}
"""What else a boundary's release can be told, a release that refuses that, and how."""


def text(mesh: Mesh) -> str:
    return yaml.safe_dump(render(mesh), sort_keys=False)


def findings(mesh: Mesh, release: str) -> tuple[Finding, ...]:
    return validate(text(mesh), release, PLACE)


def model(release: str, **more: Any) -> Mesh:
    return Mesh.model_validate({"version": release, **more})


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("release", RELEASES)
def test_what_is_rendered_for_a_release_has_neither_error_nor_trap_there(release: str, topology: str) -> None:
    for more in ({}, EVERYWHERE):
        mesh = model(release, topology=topology, **more)
        assert inexpressible(mesh) == ()
        assert findings(mesh, release) == ()


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("release", BOUNDARIES)
def test_and_is_refused_by_another_release_for_what_that_one_does_not_know(release: str, topology: str) -> None:
    more, other, id_, word = REFUSED[release]
    mesh = model(release, topology=topology, **{**EVERYWHERE, **more})
    assert inexpressible(mesh) == ()
    assert findings(mesh, release) == ()
    assert (id_, "error") in {
        (one.id, one.severity) for one in findings(mesh, other) if word in f"{one.field} {one.linkerd}"
    }


@pytest.mark.parametrize("release", BOUNDARIES)
def test_a_tracer_has_the_one_trap_that_no_release_can_avoid(release: str) -> None:
    for tracer in ({"host": "10.20.0.9"}, {"kind": "tracelog"}):
        found = findings(model(release, tracer=tracer), release)
        assert {one.id for one in found} <= {"ML358"}  # traces hold the whole URI


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("release", ["0.8.5", "0.9.1", "1.0.0", "1.3.0", "1.3.5", "1.7.5"])
def test_other_protocols_have_routers_of_their_own(release: str, topology: str) -> None:
    paired = topology != "outgoing"
    protocols: list[dict[str, Any]] = [
        {"protocol": "h2", "port": 4240, **({"incoming_port": 4241} if paired else {})},
        {"protocol": "thrift", "port": 4340, "service": "users", **({"incoming_port": 4341} if paired else {})},
        {"protocol": "mux", "port": 4440, **({"incoming_port": 4441} if paired else {})},
    ]
    mesh = model(release, topology=topology, protocols=protocols, timeouts={"total_ms": 500})
    assert inexpressible(mesh) == ()
    assert findings(mesh, release) == ()
    routers = render(mesh)["routers"]
    assert len(routers) == (8 if paired else 4)
    h2 = next(router for router in routers if router["protocol"] == "h2")
    assert h2.get("experimental", False) == (RELEASES.index(release) < RELEASES.index("1.3.5"))


def test_linker_to_linker_goes_to_the_linkerd_of_the_pods_node() -> None:
    outgoing, incoming = render(model("0.8.5", topology="linker-to-linker", namespace="mesh"))["routers"]
    assert outgoing["interpreter"]["transformers"] == [
        {
            "kind": "io.l5d.k8s.daemonset",
            "namespace": "mesh",
            "service": "l5d",
            "port": "incoming",
            "hostNetwork": True,
        }
    ]
    assert incoming["interpreter"]["transformers"] == [{"kind": "io.l5d.k8s.localnode", "hostNetwork": True}]
    assert (incoming["label"], incoming["servers"]) == ("incoming", [{"port": 4141, "ip": "0.0.0.0"}])
    for same in ("baseDtab", "identifier", "dstPrefix", "bindingCache"):
        assert incoming[same] == outgoing[same]


def test_requests_are_retried_and_timed_by_the_first_linkerd_only() -> None:
    outgoing, incoming = render(model("1.3.0", topology="linker-to-linker", **EVERYWHERE))["routers"]
    assert outgoing["service"]["totalTimeoutMs"] == 2000
    assert "service" not in incoming


def test_sections_stand_where_their_generation_has_them() -> None:
    old, new = (render(model(release, tracer={"host": "10.20.0.9"}, **EVERYWHERE)) for release in ("0.8.5", "1.0.0"))
    (before,), (after,) = old["routers"], new["routers"]
    assert before["responseClassifier"] == {"kind": "io.l5d.retryableRead5XX"}
    assert after["service"]["responseClassifier"] == {"kind": "io.l5d.http.retryableRead5XX"}
    assert (before["timeoutMs"], after["service"]["totalTimeoutMs"]) == (2000, 2000)
    assert before["client"]["retries"] == after["service"]["retries"]
    assert old["tracers"] == new["telemetry"][1:]
    assert (before["dstPrefix"], "dstPrefix" in after) == ("/svc", False)
    assert "usage" not in old
    assert new["usage"] == {"enabled": False}


@pytest.mark.parametrize(
    ("release", "more", "field", "words", "hint"),
    [
        (
            "0.8.5",
            {"failure_accrual": {"backoff": {"ms": 10000}}},
            "failure_accrual.backoff",
            "does not do it",
            "1.1.1",
        ),
        ("0.8.6", {"balancer": {"kind": "roundRobin"}}, "balancer.kind", "has no balancer roundRobin", "0.9.0 to"),
        ("0.9.1", {"timeouts": {"attempt_ms": 5}}, "timeouts.attempt_ms", "requestAttemptTimeoutMs", "1.0.0 to"),
        ("0.9.1", {"requeues": {"ttl_s": 5}}, "requeues.ttl_s", "has no client.requeueBudget", "1.0.0 to"),
        ("1.0.0", {"binding_cache": {"idle_ttl_s": 5}}, "binding_cache.idle_ttl_s", "idleTtlSecs", "1.1.0 to"),
        ("1.0.0", {"classifier": "allSuccessful"}, "classifier", "allSuccessful", "1.0.1 to"),
        (
            "1.7.5",
            {"balancer": {"kind": "p2c", "decay_time_ms": 5}},
            "balancer.decay_time_ms",
            "decayTimeMs",
            "take it out",
        ),
        (
            "0.9.1",
            {"protocols": [{"protocol": "thriftmux", "port": 5000, "service": "x"}]},
            "protocols.0.protocol",
            "has no router thriftmux",
            "1.0.0 to",
        ),
        ("0.8.5", {"tracer": {"kind": "tracelog", "port": 9410}}, "tracer.port", "port", "no release has it"),
    ],
)
def test_what_a_release_cannot_be_told_is_said_with_those_that_can(
    release: str, more: dict[str, Any], field: str, words: str, hint: str
) -> None:
    (said,) = inexpressible(model(release, **more))
    assert ".".join(map(str, said.field)) == field
    assert said.message.startswith(f"linkerd {release} ")
    assert words in said.message
    assert hint in said.hint


def test_the_default_mesh_is_the_same_for_the_model_and_for_an_inventory_without_one() -> None:
    assert Cluster.model_fields["mesh"].get_default(call_default_factory=True) == Mesh()
