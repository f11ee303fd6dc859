"""What linkerd is told of `tracing:`: each release takes it without an error, by the transport that it has."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from provision.inventory.tracing import Tracing
from provision.linkerd.check.validate import validate
from provision.linkerd.knowledge.place import Place
from provision.linkerd.knowledge.versions import BOUNDARIES, RELEASES
from provision.linkerd.render import ENVIRONMENT, inexpressible, render
from provision.linkerd.wanted import Mesh

KINDS = {
    "zipkin": Tracing(kind="zipkin"),
    "zipkin, all": Tracing(kind="zipkin", sample_rate=1.0),
    "external": Tracing.model_validate({"kind": "external", "address": "10.20.0.9", "port": 9999}),
}
SPAN = ("0.8.5", "1.7.5")


def traced(release: str, tracing: Tracing, topology: str = "outgoing") -> Mesh:
    """As `Cluster.traced_mesh` has it."""
    mesh = Mesh.model_validate({"version": release, "topology": topology})
    return mesh.model_copy(update={"tracer": tracing.tracer("10.96.0.0/12")})


def tracer_in(config: dict[str, Any], release: str) -> dict[str, Any]:
    """The tracer, where a release has it: `tracers` before 0.9.0, a telemeter from then on."""
    old = RELEASES.index(release) < RELEASES.index("0.9.0")
    assert ("tracers" in config) == old
    said: list[dict[str, Any]] = config["tracers" if old else "telemetry"]
    (found,) = (one for one in said if one["kind"] == "io.l5d.zipkin")
    return found


def test_the_boundaries_span_the_releases() -> None:
    releases = [*BOUNDARIES, *SPAN]
    assert {"0.8.5", "0.9.0", "1.7.5"} <= set(releases) <= set(RELEASES)


@pytest.mark.parametrize("kubernetes", ["1.5", "1.20"])
@pytest.mark.parametrize("topology", ["outgoing", "linker-to-linker"])
@pytest.mark.parametrize("release", sorted({*BOUNDARIES, *SPAN}, key=RELEASES.index))
@pytest.mark.parametrize("kind", KINDS)
def test_each_boundary_release_takes_it(release: str, kind: str, topology: str, kubernetes: str) -> None:
    mesh = traced(release, KINDS[kind], topology)
    assert inexpressible(mesh) == ()
    config = render(mesh)
    place = Place(host_network=True, kubernetes=kubernetes, environment=ENVIRONMENT)
    found = validate(yaml.safe_dump(config, sort_keys=False), release, place)
    assert [one for one in found if one.severity == "error"] == []
    # That spans hold the whole URI, and that all requests are traced: docs/tracing.md says both.
    assert {one.id for one in found} == {"ML358"} | ({"ML357"} if KINDS[kind].sample_rate == 1 else set())
    tracer = tracer_in(config, release)
    assert (tracer["host"], tracer["port"]) == (("10.20.0.9", 9999) if kind == "external" else ("10.96.0.11", 9410))
    assert isinstance(tracer["sampleRate"], float)  # 0.8.5 refuses a whole number


@pytest.mark.parametrize("release", ["0.8.5", "0.8.6"])
def test_metrics_stay_where_a_list_of_telemeters_would_take_them_away(release: str) -> None:
    config = render(traced(release, KINDS["zipkin"]))
    assert "telemetry" not in config or any(one["kind"] == "io.l5d.commonMetrics" for one in config["telemetry"])
