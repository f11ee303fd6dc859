"""What changed in behaviour from release to release though no key did: data, for docs and migration. Defaults stand in `defaults`."""

from __future__ import annotations

from dataclasses import dataclass

from provision.linkerd.knowledge.versions import number


@dataclass(frozen=True)
class Uses:
    """When a change of behaviour concerns a file; each part that is given has to hold, one of its words is enough."""

    keys: tuple[str, ...] = ()
    """Keys that are written, as the end of a path: `failureAccrual.backoff`."""
    kinds: tuple[str, ...] = ()
    """Ids of plugins, or protocols."""
    without: str = ""
    """A key that is not written; below `routers[]` or a part of it: in one of them."""
    kind_less: str = ""
    """An id that no plugin has."""
    dtab: str = ""
    """A regular expression that a dtab holds."""
    twice: bool = False
    """A key stands twice."""


@dataclass(frozen=True)
class Behaviour:
    """From `release` on linkerd behaves otherwise with the same file; `act` is what its owner may have to do."""

    release: str
    what: str
    act: str = ""
    uses: Uses = Uses()


_NUMBERED = r"/#/io\.l5d\.k8s(\.external)?/[^/\s;|&]+/[0-9]"
_K8S = r"/#/io\.l5d\.k8s(\.external)?/"

BEHAVIOURS = (
    Behaviour(
        "0.9.0",
        "names no longer hold HTTP's version and method",
        "entries such as `/http/1.1/GET => …` match nothing",
        Uses(kinds=("http",), without="routers[].identifier"),
    ),
    Behaviour(
        "0.9.0",
        "linkerd phones home every hour",
        "`usage: {enabled: false}`",
        Uses(without="usage.enabled"),
    ),
    Behaviour(
        "0.9.0",
        "/admin/metrics/prometheus is there only with the telemeter `io.l5d.prometheus`; its labels differ",
        "add it",
        Uses(kind_less="io.l5d.prometheus"),
    ),
    Behaviour(
        "0.9.1",
        "a number as port in `/#/io.l5d.k8s/…` is the pod's port",
        "name the Service's port where that is meant",
        Uses(dtab=_NUMBERED),
    ),
    Behaviour("0.9.1", "names of ports in `/#/io.l5d.k8s/…` are compared without case", "", Uses(dtab=_K8S)),
    Behaviour(
        "0.9.1",
        "the binding cache holds 1000 of each, not 10 clients and 100 of the rest",
        "more memory, fewer pools that are made anew",
        Uses(without="routers[].bindingCache.clients"),
    ),
    Behaviour(
        "1.0.0",
        "metrics: `srv` is `server`, `dst/path` is `service`, `dst/id` is `client`",
        "adapt dashboards and alerts",
    ),
    Behaviour(
        "1.0.0",
        "headers: l5d-dst-logical is l5d-dst-service, l5d-dst-concrete is l5d-dst-client",
        "adapt what reads them",
    ),
    Behaviour(
        "1.0.0",
        "traces: `namer.path` is `service`, `dst.id` is `client`, `dst.path` is `residual`",
        "adapt what looks for them",
        Uses(kinds=("io.l5d.zipkin", "io.l5d.tracelog")),
    ),
    Behaviour("1.0.0", "requests of HTTP/1.0 are sent on as HTTP/1.1, up to 1.4.0", "", Uses(kinds=("http",))),
    Behaviour(
        "1.0.0",
        "`retries.budget` is for answers that the classifier calls retryable; what never reached an endpoint has a budget of"
        " its own",
        "`client.requeueBudget` sets it",
        Uses(keys=("retries.budget",)),
    ),
    Behaviour("1.0.1", "a key that stands twice is refused", "keep one of the two", Uses(twice=True)),
    Behaviour(
        "1.0.1",
        "a number as port in `/#/io.l5d.k8s/…` is the Service's port, mapped to the pod's",
        "write the Service's number",
        Uses(dtab=_NUMBERED),
    ),
    Behaviour(
        "1.1.1",
        "`failureAccrual.backoff` takes effect",
        "make sure that it says what you want",
        Uses(keys=("failureAccrual.backoff",)),
    ),
    Behaviour(
        "1.1.1",
        "HTTP/1.1 runs on netty4",
        "",
        Uses(kinds=("http",), without="routers[].client.engine"),
    ),
    Behaviour(
        "1.2.0",
        "admin listens on 127.0.0.1 only",
        "`admin: {ip: 0.0.0.0}` where probes or Prometheus come by the pod's address",
        Uses(without="admin.ip"),
    ),
    Behaviour("1.2.0", "keys of TLS have to be PKCS#8", "`openssl pkcs8 -topk8 -nocrypt`", Uses(keys=("keyPath",))),
    Behaviour(
        "1.3.5",
        "h2 and `io.l5d.mesh` are no longer experimental",
        "`experimental: true` may go",
        Uses(kinds=("h2", "io.l5d.mesh")),
    ),
    Behaviour("1.3.7", "`linkerd -validate FILE` reads a file and ends (not in 1.4.4)"),
    Behaviour("1.4.1", "requests of HTTP/1.0 are sent on as HTTP/1.0 again", "", Uses(kinds=("http",))),
    Behaviour(
        "1.4.6",
        "POST requests with a body can be retried",
        "",
        Uses(kinds=("io.l5d.http.retryableAll5XX", "io.l5d.h2.retryableAll5XX")),
    ),
    Behaviour(
        "1.5.1",
        "h2 servers take 1000 streams a connection at the most",
        "`maxConcurrentStreamsPerConnection` sets it",
        Uses(kinds=("h2",), without="routers[].servers[].maxConcurrentStreamsPerConnection"),
    ),
    Behaviour(
        "1.5.2",
        "Prometheus: names of exceptions are labels, no longer parts of metric names",
        "adapt dashboards and alerts",
        Uses(kinds=("io.l5d.prometheus",)),
    ),
    Behaviour(
        "1.6.0",
        "large HTTP/1.1 messages are streamed, not buffered",
        "`streamAfterContentLengthKB` sets the size",
        Uses(kinds=("http",), without="routers[].streamAfterContentLengthKB"),
    ),
    Behaviour(
        "1.7.0",
        "`maxCallDepth` ends requests that come back to linkerd again and again",
        "`servers[].maxCallDepth` sets how often",
        Uses(kinds=("http",), without="routers[].servers[].maxCallDepth"),
    ),
)


def behaviours(after: str, upto: str) -> tuple[Behaviour, ...]:
    """What changes on the way from one release up to a later one."""
    return tuple(one for one in BEHAVIOURS if number(after) < number(one.release) <= number(upto))
