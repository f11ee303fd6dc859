"""What stands for a key that is left out, release by release. Data, for validator, renderer, migration and docs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from provision.linkerd.knowledge.versions import within

if TYPE_CHECKING:
    from provision.linkerd.text.plain import Data  # which needs more than a validation does

Kept = Literal["", "back", "both"]
"""Whether migration writes a default down where the next release has another: never, on the way back only, or always. Where
the later default is the better one, what is found on the way forward is said and not kept."""


@dataclass(frozen=True)
class Default:
    """What stands for a key that is left out, from a release on."""

    key: str
    since: str
    value: str
    protocols: tuple[str, ...] = ()
    """The routers that it is for; none: all."""
    stated: Data | None = None
    """The value as it is written; `{protocol}` is the router's."""
    kept: Kept = ""


_HTTP_NAMES = ("http",)

DEFAULTS = (
    Default("routers[].dstPrefix", "0.8.5", "`/` and the protocol, such as `/http`", stated="/{protocol}", kept="both"),
    Default("routers[].dstPrefix", "0.9.0", "`/svc`", stated="/svc", kept="both"),
    Default(
        "routers[].identifier",
        "0.8.5",
        "`io.l5d.methodAndHost`: `/http/1.1/GET/HOST`, the host in lower case",
        _HTTP_NAMES,
        {"kind": "io.l5d.methodAndHost"},
        "both",
    ),
    Default(
        "routers[].identifier",
        "0.9.0",
        "`io.l5d.header.token`: `/svc/HOST`, the host as it was sent",
        _HTTP_NAMES,
        {"kind": "io.l5d.header.token"},
        "both",
    ),
    Default("routers[].bindingCache.clients", "0.8.5", "10", stated=10, kept="back"),
    Default("routers[].bindingCache.clients", "0.9.1", "1000", stated=1000, kept="back"),
    Default("routers[].bindingCache.{paths,trees,bounds}", "0.8.5", "100 of each"),
    Default("routers[].bindingCache.{paths,trees,bounds}", "0.9.1", "1000 of each"),
    Default("admin.ip", "0.8.5", "`0.0.0.0`", stated="0.0.0.0", kept="back"),
    Default("admin.ip", "1.2.0", "`127.0.0.1`", stated="127.0.0.1", kept="back"),
    Default("usage.enabled", "0.9.0", "`true`: reports to stats.buoyant.io every hour"),
    Default("telemetry", "0.8.5", "`io.l5d.commonMetrics`: /admin/metrics.json and /admin/metrics/prometheus"),
    Default(
        "telemetry", "0.9.0", "none; /admin/metrics.json is always there, Prometheus' form is `io.l5d.prometheus`'s"
    ),
    Default("client.engine, servers[].engine", "0.8.5", "`netty3`", _HTTP_NAMES),
    Default("client.engine, servers[].engine", "1.1.1", "`netty4`", _HTTP_NAMES),
    Default("client.engine, servers[].engine", "1.3.0", "no choice: netty4", _HTTP_NAMES),
    Default("servers[].maxConcurrentStreamsPerConnection", "0.9.0", "no limit", ("h2",)),
    Default("servers[].maxConcurrentStreamsPerConnection", "1.5.1", "1000", ("h2",)),
    Default("servers[].ip", "0.8.5", "`127.0.0.1`"),
    Default("client.failureAccrual", "0.8.5", "`io.l5d.consecutiveFailures` with 5 failures, back after 5 s to 300 s"),
    Default("client.loadBalancer", "0.8.5", "`p2c`"),
)


@cache
def default(key: str, protocol: str, release: str) -> Data | None:
    """What a release takes for a key that a router leaves out; None where that is not written down as a value."""
    times = [
        one
        for one in DEFAULTS
        if one.key == key and protocol in (one.protocols or (protocol,)) and within(release, one.since, None)
    ]
    if not times:
        return None
    stated = times[-1].stated
    return stated.replace("{protocol}", protocol) if isinstance(stated, str) else stated
