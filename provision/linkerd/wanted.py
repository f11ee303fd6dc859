r"""`mesh:` of the inventory as typed, frozen data: what linkerd is to do, not how one of its releases is told so.

Which release can do what is known to the room `linkerd`; the loader asks it. Rules raise ValueError with a message and,
behind ``\n``, a hint.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from provision.base.scalars import Name, Size
from provision.base.strict import FieldFault, Strict
from provision.base.units import MIB, format_size

Port = Annotated[int, Field(ge=1, le=65535)]
Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[int, Field(ge=0, le=3600)]
Milliseconds = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0, strict=False)]
Load = Annotated[float, Field(gt=0.0, strict=False)]

CACHED = 1000
"""linkerd's own size of a binding cache since 0.9.1; before, its eleventh service evicted another's pool and statistics."""

FAILURES = 5
"""linkerd's own number of consecutive failures, when nothing is configured."""

ZIPKIN_PORT = 9410
"""Zipkin's collector of Scribe, the only transport that linkerd's Zipkin tracer speaks."""


LEAST_HEAP = 64 * MIB
"""Below it the JVM ends with OutOfMemoryError while linkerd starts; a service needs more."""


class Backoff(Strict):
    """How long to wait before the next try."""

    kind: Literal["constant", "jittered"] = Field("constant", description="the same time always, or a random one")
    ms: Milliseconds | None = Field(None, description="constant: the time")
    min_ms: Milliseconds | None = Field(None, description="jittered: the shortest time")
    max_ms: Milliseconds | None = Field(None, description="jittered: the longest time")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        _needs(
            self.kind, {"ms": self.ms} if self.kind == "constant" else {"min_ms": self.min_ms, "max_ms": self.max_ms}
        )
        if self.kind == "jittered" and (self.min_ms or 0) > (self.max_ms or 0):
            raise FieldFault(f"{self.min_ms} is more than max_ms {self.max_ms}\nmin_ms is the shortest time", "min_ms")
        return self


class Balancer(Strict):
    """How one of a service's endpoints is chosen."""

    kind: Literal["ewma", "p2c", "aperture", "heap", "roundRobin"] = Field(
        "ewma",
        description="ewma: by latency; p2c: the less loaded of two; aperture, heap, roundRobin: as linkerd has them",
    )
    max_effort: Positive | None = Field(None, description="how often to choose anew when the chosen endpoint is down")
    decay_time_ms: Milliseconds | None = Field(None, description="ewma: how long a latency is remembered")
    smooth_window_ms: Milliseconds | None = Field(None, description="aperture: over what time load is averaged")
    low_load: Load | None = Field(None, description="aperture: below it the aperture shrinks")
    high_load: Load | None = Field(None, description="aperture: above it the aperture grows")
    min_aperture: Positive | None = Field(None, description="aperture: the fewest endpoints in use")
    enable_probation: bool | None = Field(
        None, description="whether endpoints that the namer lost stay while they work"
    )


class FailureAccrual(Strict):
    """When an endpoint is taken out, and for how long."""

    kind: Literal["consecutiveFailures", "successRate", "successRateWindowed", "none"] = Field(
        "consecutiveFailures", description="what is counted"
    )
    failures: Positive | None = Field(
        None, description=f"consecutiveFailures: how many take an endpoint out; default: {FAILURES}"
    )
    success_rate: Share | None = Field(
        None, description="successRate, successRateWindowed: below it an endpoint goes out"
    )
    requests: Positive | None = Field(None, description="successRate: over how many requests it is reckoned")
    window_s: Positive | None = Field(None, description="successRateWindowed: over how many seconds it is reckoned")
    backoff: Backoff | None = Field(
        None, description="how long an endpoint stays out; from 1.1.1; default: linkerd's own 5 s to 300 s"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "successRate":
            _needs(self.kind, {"success_rate": self.success_rate, "requests": self.requests})
        if self.kind == "successRateWindowed":
            _needs(self.kind, {"success_rate": self.success_rate, "window_s": self.window_s})
        return self


class RetryBudget(Strict):
    """How many requests may be sent again."""

    ttl_s: Positive | None = Field(None, description="how long a request counts; linkerd's default: 10")
    min_retries_per_s: Annotated[int, Field(ge=0)] | None = Field(
        None, description="allowed whatever the share says; linkerd's default: 10"
    )
    percent_can_retry: Share | None = Field(None, description="the share of requests, 0 to 1; linkerd's default: 0.2")


class Retries(Strict):
    """How requests that failed, and that the classifier calls retryable, are sent again."""

    budget: RetryBudget | None = Field(None, description="how many")
    backoff: Backoff | None = Field(None, description="how long to wait before it")


class Timeouts(Strict):
    """How long to wait. What is left out has no limit."""

    total_ms: Milliseconds | None = Field(None, description="for the answer to a request, retries and all")
    attempt_ms: Milliseconds | None = Field(None, description="for each single try; from 1.0.0")
    binding_ms: Milliseconds | None = Field(None, description="for the endpoints of a name; linkerd's default: 10000")


class BindingCache(Strict):
    """How many names a router remembers the way of."""

    paths: Positive = Field(CACHED, description="names of requests")
    trees: Positive = Field(CACHED, description="what the dtab made of them")
    bounds: Positive = Field(CACHED, description="names of services that were bound")
    clients: Positive = Field(CACHED, description="services with their pools, balancers and statistics")
    idle_ttl_s: Positive | None = Field(None, description="how long an unused one is remembered; from 1.1.0")


class Tracer(Strict):
    """Where traces go. They hold the whole URI of each traced request, query string and all."""

    kind: Literal["zipkin", "tracelog"] = Field("zipkin", description="to a Zipkin collector, or into linkerd's log")
    host: str | None = Field(
        None,
        description="zipkin: an address; the name of a Service only from Kubernetes 1.6 on",
        examples=["10.20.0.9"],
    )
    port: Port | None = Field(None, description=f"zipkin: the Scribe port; default: {ZIPKIN_PORT}")
    sample_rate: Share = Field(0.001, description="the share of requests that are traced, 0 to 1")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "zipkin":
            _needs(self.kind, {"host": self.host})
        return self


class Protocol(Strict):
    """A router beside that of HTTP/1.1."""

    protocol: Literal["h2", "thrift", "thriftmux", "mux"] = Field(
        description="h2 (gRPC too), thrift, mux; thriftmux from 1.0.0"
    )
    port: Port = Field(description="where applications send such requests, on every node")
    incoming_port: Port | None = Field(
        None, description="topology linker-to-linker: where the other nodes' linkerds send them"
    )
    port_name: Name | None = Field(None, description="the name of the Services' port; default: the protocol's name")
    service: Name | None = Field(
        None, description="thrift, thriftmux: the Service, for their requests name none; required for these two"
    )
    dtab: str | None = Field(None, description="further entries of this router's dtab; they win over the first one")

    @property
    def service_port(self) -> str:
        """The name of the port that Services have for this protocol."""
        return self.port_name or self.protocol

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.protocol in ("thrift", "thriftmux"):
            _needs(self.protocol, {"service": self.service}, "protocol")
        elif self.service is not None:
            raise FieldFault(f"{self.protocol} requests name their service themselves\ntake it out", "service")
        return self


class Roll(Strict):
    """How a changed linkerd comes onto the nodes, one after the other, while a neighbour's serves the node's requests."""

    drain_s: Seconds = Field(
        10, description="how long connections to the old one may take to end, before it is stopped all the same"
    )
    steady_s: Seconds = Field(10, description="how long the new one must have routed before requests come back to it")
    gap: bool = Field(
        False,
        description="go on where no other node's linkerd answers: the node's requests fail meanwhile; a single node always does",
    )


class Mesh(Strict):
    """Linkerd on every node."""

    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$", examples=["0.8.5"])] = Field(
        "0.8.5", description="linkerd's release, 0.8.5 to 1.7.5, which decides the form of its configuration"
    )
    image: str | None = Field(None, description="the container image; default: the one the bundle names")
    config_file: str | None = Field(
        None,
        description="your own linkerd.yaml, checked for that release; then the fields from `admin_address` on stay out",
    )
    namespace: Name = Field("default", description="the namespace of the DaemonSet and of the Services it routes to")
    namespaces: tuple[Name, ...] = Field(
        (),
        strict=False,
        description="further namespaces, whose Services are found after those of `namespace`, in this order",
    )
    port: Port = Field(4140, description="where applications send their HTTP requests, on every node")
    admin_port: Port = Field(9990, description="where linkerd's metrics and ping are")
    heap: Size = Field(384 * MIB, description="the JVM's heap; the container's memory limit is half as much again")
    roll: Roll = Field(default_factory=Roll, description="how a change of it comes onto the nodes")
    admin_address: Literal["127.0.0.1", "0.0.0.0"] = Field(
        "127.0.0.1", description="127.0.0.1: for the node itself; 0.0.0.0: for all, and nobody is asked who he is"
    )
    topology: Literal["outgoing", "linker-to-linker"] = Field(
        "outgoing",
        description="outgoing: one linkerd on the way; linker-to-linker: the caller's, then that of the pod's node",
    )
    incoming_port: Port = Field(
        4141, description="linker-to-linker: where the other nodes' linkerds send HTTP requests"
    )
    dtab: str | None = Field(None, description="further entries of the HTTP router's dtab; they win over the first one")
    balancer: Balancer = Field(default_factory=Balancer, description="how an endpoint is chosen")
    failure_accrual: FailureAccrual = Field(default_factory=FailureAccrual, description="when an endpoint is taken out")
    retries: Retries | None = Field(None, description="sending failed requests again, by the first linkerd on the way")
    requeues: RetryBudget | None = Field(
        None, description="sending again what never reached an endpoint; from 1.0.0; default: linkerd's own"
    )
    timeouts: Timeouts = Field(default_factory=Timeouts, description="how long the first linkerd on the way waits")
    classifier: (
        Literal["nonRetryable5XX", "retryableRead5XX", "retryableIdempotent5XX", "retryableAll5XX", "allSuccessful"]
        | None
    ) = Field(None, description="which HTTP answers are failures, and which of these may be retried")
    binding_cache: BindingCache = Field(default_factory=BindingCache, description="how much a router remembers")
    protocols: tuple[Protocol, ...] = Field((), strict=False, description="routers beside that of HTTP/1.1")
    tracer: Tracer | None = Field(None, description="where traces go; default: nowhere")

    @field_validator("heap")
    @classmethod
    def _enough_heap(cls, value: int) -> int:
        if value < LEAST_HEAP or value % MIB:
            message = f"{format_size(value)} is not enough for linkerd, or not whole MiB"
            raise ValueError(f"{message}\n{format_size(LEAST_HEAP)} at the least")
        return value


def _needs(kind: str, fields: dict[str, object], field: str = "kind") -> None:
    missing = [name for name, value in fields.items() if value is None]
    if missing:
        message = f"{kind} needs {' and '.join(missing)}\nadd {', '.join(f'{name}:' for name in missing)}"
        raise FieldFault(message, field)
