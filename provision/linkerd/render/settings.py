"""The model of the inventory as a list of settings, each with the places that releases have for it, the newest first. Data.

What is not a user's own (`field` empty) is written where a release has a place for it, and left out elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from provision.linkerd.routing import default_identifier, default_prefix
from provision.linkerd.text import Location
from provision.linkerd.wanted import (
    FAILURES,
    ZIPKIN_PORT,
    Backoff,
    Mesh,
    Protocol,
    RetryBudget,
)

PREFIX = "/svc"
"""Names are /svc/HOST in every release; it is linkerd's own default since 0.9.0."""

TOKEN = "io.l5d.header.token"  # noqa: S105 - a kind of identifier
"""The identifier that makes them: the Host header as it was sent. It was called io.l5d.headerToken for h2 before 1.0.0."""

SERVICE = "l5d"
"""The Service by which the daemonset transformer finds the linkerd of a pod's node."""

HOST_NETWORK = True
"""Of the pod, and of both transformers: they compare nodes then, not /24 subnets. hostPort does nothing under CNI before 1.7."""

ENVIRONMENT = frozenset({"NODE_NAME", "JVM_HEAP_MIN", "JVM_HEAP_MAX"})
"""Of the container; the localnode transformer asks for the first."""

Choice = tuple[Location, Any]


@dataclass(frozen=True)
class Setting:
    """A value of the inventory (`field` is below `mesh`), and where to write it: the first place that the release has."""

    field: Location
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Route:
    """A router to be: `label` is also the name of its port in the Service l5d."""

    label: str
    protocol: str
    port: int
    dtab: str
    field: Location
    """Where the inventory names the protocol; empty for HTTP's own router."""
    dtab_field: Location
    towards: str | None = None
    """linker-to-linker: the label of the router on the pod's node."""
    incoming: bool = False


def routes(mesh: Mesh) -> Iterator[Route]:
    """The routers of a mesh: where applications send, and in the topology linker-to-linker, where linkerds send."""
    paired = mesh.topology == "linker-to-linker"
    dtab = _dtab([f"/#/io.l5d.k8s/{one}/http" for one in _namespaces(mesh)], mesh.dtab)
    yield from _pair(Route("outgoing", "http", mesh.port, dtab, (), ("dtab",)), "incoming", mesh.incoming_port, paired)
    for index, one in enumerate(mesh.protocols):
        at: Location = ("protocols", index)
        rest = f"/{one.service}" if one.service else ""
        leaves = [f"/#/io.l5d.k8s/{space}/{one.service_port}{rest}" for space in _namespaces(mesh)]
        route = Route(f"{one.protocol}-out", one.protocol, one.port, _dtab(leaves, one.dtab), at, (*at, "dtab"))
        yield from _pair(route, f"{one.protocol}-in", _incoming(one), paired)


def _pair(route: Route, label: str, port: int, paired: bool) -> Iterator[Route]:
    if not paired:
        yield route
        return
    own = (route.protocol, port, route.dtab, route.field, route.dtab_field)
    yield Route(route.label, route.protocol, route.port, *own[2:], towards=label)
    yield Route(label, *own, incoming=True)


def _incoming(protocol: Protocol) -> int:
    """The loader refuses linker-to-linker without the port."""
    return protocol.incoming_port or protocol.port


def _namespaces(mesh: Mesh) -> tuple[str, ...]:
    return tuple(dict.fromkeys((mesh.namespace, *mesh.namespaces)))


def _dtab(leaves: Iterable[str], more: str | None) -> str:
    """The entry that leads to Services, and behind it, so that they win, the user's own."""
    own = "" if more is None else more.strip() + "\n"
    return f"{PREFIX} => {' | '.join(leaves)} ;\n{own}"


def settings(mesh: Mesh, release: str) -> Iterator[Setting]:
    """Every setting, a kind before what belongs to it."""
    yield _one(("admin_address",), ("admin", "ip"), mesh.admin_address)
    yield _one(("admin_port",), ("admin", "port"), mesh.admin_port)
    yield _one((), ("usage", "enabled"), False)
    yield from _telemetry(mesh)
    yield _one((), ("namers", 0, "kind"), "io.l5d.k8s")
    for index, route in enumerate(routes(mesh)):
        yield from _router(mesh, release, route, ("routers", index))


def _one(field: Location, path: Location, value: Any) -> Setting:
    return Setting(field, ((path, value),))


def _telemetry(mesh: Mesh) -> Iterator[Setting]:
    """Prometheus' form of the metrics, and the tracer. Before 0.9.0 a list without commonMetrics would take the metrics away."""
    tracer = mesh.tracer
    yield _one((), ("telemetry", 0, "kind"), "io.l5d.prometheus")
    if tracer is None:
        return
    if tracer.kind == "tracelog":
        yield _one((), ("telemetry", 0, "kind"), "io.l5d.commonMetrics")
    places: tuple[Location, ...] = (("telemetry", 1), ("tracers", 0))
    port = tracer.port or (ZIPKIN_PORT if tracer.kind == "zipkin" else None)
    pairs = {"kind": f"io.l5d.{tracer.kind}", "host": tracer.host, "port": port, "sampleRate": tracer.sample_rate}
    for name, value in pairs.items():
        if value is not None:
            yield Setting(("tracer", _SNAKE.get(name, name)), tuple(((*place, name), value) for place in places))


_SNAKE = {"sampleRate": "sample_rate"}


def _router(mesh: Mesh, release: str, route: Route, at: Location) -> Iterator[Setting]:
    yield _one((*route.field, "protocol") if route.field else (), (*at, "protocol"), route.protocol)
    yield _one((), (*at, "label"), route.label)
    if default_prefix(route.protocol, release) != PREFIX:
        yield _one((), (*at, "dstPrefix"), PREFIX)
    if route.protocol in ("http", "h2") and default_identifier(route.protocol, release) != TOKEN:
        yield _one((), (*at, "identifier", "kind"), TOKEN)
    yield Setting(route.dtab_field, (((*at, "dtab"), route.dtab), ((*at, "baseDtab"), route.dtab)))
    yield from _transformer(mesh, route, (*at, "interpreter"))
    yield from _below(("binding_cache",), mesh.binding_cache, _CACHE, (*at, "bindingCache"))
    if mesh.timeouts.binding_ms is not None:
        yield _one(("timeouts", "binding_ms"), (*at, "bindingTimeoutMs"), mesh.timeouts.binding_ms)
    yield _one((), (*at, "servers", 0, "port"), route.port)
    yield _one((), (*at, "servers", 0, "ip"), "0.0.0.0")
    yield from _client(mesh, (*at, "client"))
    if not route.incoming:  # retried and timed once, where the request begins its way
        yield from _service(mesh, route.protocol, at)


def _transformer(mesh: Mesh, route: Route, at: Location) -> Iterator[Setting]:
    """linker-to-linker: to the linkerd of the endpoint's node, and there to the endpoints of that node only."""
    if route.towards is None and not route.incoming:
        return
    place: Location = (*at, "transformers", 0)
    yield _one(("topology",), (*at, "kind"), "default")
    yield _one(("topology",), (*place, "kind"), f"io.l5d.k8s.{'localnode' if route.incoming else 'daemonset'}")
    if route.towards is not None:
        for name, value in (("namespace", mesh.namespace), ("service", SERVICE), ("port", route.towards)):
            yield _one(("topology",), (*place, name), value)
    yield _one(("topology",), (*place, "hostNetwork"), HOST_NETWORK)


_CACHE = {"paths": "paths", "trees": "trees", "bounds": "bounds", "clients": "clients", "idle_ttl_s": "idleTtlSecs"}
_BALANCER = {
    "kind": "kind",
    "max_effort": "maxEffort",
    "decay_time_ms": "decayTimeMs",
    "smooth_window_ms": "smoothWindowMs",
    "low_load": "lowLoad",
    "high_load": "highLoad",
    "min_aperture": "minAperture",
    "enable_probation": "enableProbation",
}
_ACCRUAL = {"failures": "failures", "success_rate": "successRate", "requests": "requests", "window_s": "window"}
_BACKOFF = {"kind": "kind", "ms": "ms", "min_ms": "minMs", "max_ms": "maxMs"}
_BUDGET = {
    "ttl_s": "ttlSecs",
    "min_retries_per_s": "minRetriesPerSec",
    "percent_can_retry": "percentCanRetry",
}


def _below(field: Location, model: BaseModel, names: dict[str, str], *places: Location) -> Iterator[Setting]:
    """The fields of a part of the model that are set, under linkerd's names, below the first of the places."""
    for ours, theirs in names.items():
        value = getattr(model, ours)
        if value is not None:
            yield Setting((*field, ours), tuple(((*place, theirs), value) for place in places))


def _client(mesh: Mesh, at: Location) -> Iterator[Setting]:
    yield from _below(("balancer",), mesh.balancer, _BALANCER, (*at, "loadBalancer"))
    yield from _accrual(mesh, (*at, "failureAccrual"))
    yield from _budget(("requeues",), mesh.requeues, (*at, "requeueBudget"))
    if mesh.timeouts.attempt_ms is not None:
        yield _one(("timeouts", "attempt_ms"), (*at, "requestAttemptTimeoutMs"), mesh.timeouts.attempt_ms)


def _accrual(mesh: Mesh, at: Location) -> Iterator[Setting]:
    accrual, field = mesh.failure_accrual, ("failure_accrual",)
    yield _one((*field, "kind"), (*at, "kind"), accrual.kind if accrual.kind == "none" else f"io.l5d.{accrual.kind}")
    if accrual.kind == "consecutiveFailures" and accrual.failures is None:
        yield _one((), (*at, "failures"), FAILURES)
    yield from _below(field, accrual, _ACCRUAL, at)
    yield from _backoff((*field, "backoff"), accrual.backoff, (*at, "backoff"))


def _backoff(field: Location, backoff: Backoff | None, *places: Location) -> Iterator[Setting]:
    if backoff is not None:
        yield from _below(field, backoff, _BACKOFF, *places)


def _budget(field: Location, budget: RetryBudget | None, *places: Location) -> Iterator[Setting]:
    if budget is not None:
        yield from _below(field, budget, _BUDGET, *places)


def _service(mesh: Mesh, protocol: str, at: Location) -> Iterator[Setting]:
    """What 1.0.0 gathered in `service`: retries stood in `client` before, the classifier and the timeout in the router."""
    service: Location = (*at, "service")
    if mesh.classifier is not None and protocol in ("http", "h2"):
        kinds = [((*service, "responseClassifier", "kind"), f"io.l5d.{protocol}.{mesh.classifier}")]
        if protocol == "http":
            kinds.append(((*at, "responseClassifier", "kind"), f"io.l5d.{mesh.classifier}"))
        yield Setting(("classifier",), tuple(kinds))
    if mesh.timeouts.total_ms is not None:
        places: tuple[Location, ...] = ((*service, "totalTimeoutMs"), (*at, "timeoutMs"))
        yield Setting(("timeouts", "total_ms"), tuple((place, mesh.timeouts.total_ms) for place in places))
    if mesh.retries is not None:
        retries = [(*service, "retries"), (*at, "client", "retries")]
        for name, part in (("budget", _budget), ("backoff", _backoff)):
            value = getattr(mesh.retries, name)
            yield from part(("retries", name), value, *((*place, name) for place in retries))
