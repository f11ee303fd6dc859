"""What changed from release to release though no key did: defaults, and what a setting means. Data, for docs and migration."""

from __future__ import annotations

from dataclasses import dataclass

from provision.linkerd.versions import number


@dataclass(frozen=True)
class Default:
    """What stands for a key that is left out, from a release on."""

    key: str
    since: str
    value: str


@dataclass(frozen=True)
class Behaviour:
    """From `release` on linkerd behaves otherwise with the same file; `act` is what its owner may have to do."""

    release: str
    what: str
    act: str = ""


DEFAULTS = (
    Default("routers[].dstPrefix", "0.8.5", "`/` and the protocol, such as `/http`"),
    Default("routers[].dstPrefix", "0.9.0", "`/svc`"),
    Default(
        "routers[].identifier (http)", "0.8.5", "`io.l5d.methodAndHost`: `/http/1.1/GET/HOST`, the host in lower case"
    ),
    Default("routers[].identifier (http)", "0.9.0", "`io.l5d.header.token`: `/svc/HOST`, the host as it was sent"),
    Default("routers[].bindingCache", "0.8.5", "100 paths, 100 trees, 100 bounds, 10 clients"),
    Default("routers[].bindingCache", "0.9.1", "1000 of each"),
    Default("admin.ip", "0.8.5", "`0.0.0.0`"),
    Default("admin.ip", "1.2.0", "`127.0.0.1`"),
    Default("usage.enabled", "0.9.0", "`true`: reports to stats.buoyant.io every hour"),
    Default("telemetry", "0.8.5", "`io.l5d.commonMetrics`: /admin/metrics.json and /admin/metrics/prometheus"),
    Default(
        "telemetry", "0.9.0", "none; /admin/metrics.json is always there, Prometheus' form is `io.l5d.prometheus`'s"
    ),
    Default("client.engine, servers[].engine (http)", "0.8.5", "`netty3`"),
    Default("client.engine, servers[].engine (http)", "1.1.1", "`netty4`"),
    Default("client.engine, servers[].engine (http)", "1.3.0", "no choice: netty4"),
    Default("servers[].maxConcurrentStreamsPerConnection (h2)", "0.9.0", "no limit"),
    Default("servers[].maxConcurrentStreamsPerConnection (h2)", "1.5.1", "1000"),
    Default("servers[].ip", "0.8.5", "`127.0.0.1`"),
    Default("client.failureAccrual", "0.8.5", "`io.l5d.consecutiveFailures` with 5 failures, back after 5 s to 300 s"),
    Default("client.loadBalancer", "0.8.5", "`p2c`"),
)

BEHAVIOURS = (
    Behaviour(
        "0.9.0", "names no longer hold HTTP's version and method", "entries such as `/http/1.1/GET => …` match nothing"
    ),
    Behaviour("0.9.0", "linkerd phones home every hour", "`usage: {enabled: false}`"),
    Behaviour(
        "0.9.0",
        "/admin/metrics/prometheus is there only with the telemeter `io.l5d.prometheus`; its labels differ",
        "add it",
    ),
    Behaviour("0.9.1", "a number as port in `/#/io.l5d.k8s/…` is the pod's port; port names are compared without case"),
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
    Behaviour("1.0.1", "a key that stands twice is refused", "keep one of the two"),
    Behaviour("1.0.1", "a number as port in `/#/io.l5d.k8s/…` is the Service's port, mapped to the pod's"),
    Behaviour("1.1.1", "`failureAccrual.backoff` takes effect", "make sure that it says what you want"),
    Behaviour("1.1.1", "HTTP/1.1 runs on netty4"),
    Behaviour(
        "1.2.0",
        "admin listens on 127.0.0.1 only",
        "`admin: {ip: 0.0.0.0}` where probes or Prometheus come by the pod's address",
    ),
    Behaviour("1.2.0", "keys of TLS have to be PKCS#8", "`openssl pkcs8 -topk8 -nocrypt`"),
    Behaviour("1.3.5", "h2 and `io.l5d.mesh` are no longer experimental"),
    Behaviour("1.3.7", "`linkerd -validate FILE` reads a file and ends (not in 1.4.4)"),
    Behaviour("1.4.6", "POST requests with a body can be retried"),
    Behaviour("1.5.1", "h2 servers take 1000 streams a connection at the most"),
    Behaviour(
        "1.5.2",
        "Prometheus: names of exceptions are labels, no longer parts of metric names",
        "adapt dashboards and alerts",
    ),
    Behaviour(
        "1.6.0", "large HTTP/1.1 messages are streamed, not buffered", "`streamAfterContentLengthKB` sets the size"
    ),
    Behaviour("1.7.0", "`maxCallDepth` ends requests that come back to linkerd again and again"),
)


def behaviours(after: str, upto: str) -> tuple[Behaviour, ...]:
    """What changes on the way from one release up to a later one."""
    return tuple(one for one in BEHAVIOURS if number(after) < number(one.release) <= number(upto))
