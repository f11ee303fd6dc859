"""Where data of persons end up beside the requests themselves: traces, access logs, metrics, and headers that linkerd adds."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from provision.linkerd.check import outward
from provision.linkerd.check.finding import Finding, found
from provision.linkerd.routing import HTTP, Config, Router, Routing
from provision.linkerd.text import Location, get, items, scalar, text

TRACERS = ("io.l5d.zipkin", "io.l5d.tracelog")
PUSHED = "io.l5d.statsd"
"""The one telemeter that sends metrics to another machine; the others are asked."""

LOGS = ("httpAccessLog", "h2AccessLog")
BY_HOST = ("io.l5d.methodAndHost", "io.l5d.header.token", "io.l5d.headerToken")
HERE = ("127.0.0.1", "127.1", "localhost", "0.0.0.0", "::1")


def findings(config: Config) -> Iterator[Finding]:
    """Every such trap."""
    routings = [routing for routing in config.routings if routing.router.protocol in HTTP]
    if routings:
        yield from _traces(config)
    pushing = any(text(one, "kind") == PUSHED for one in items(get(config.root, "telemetry")))
    for routing in routings:
        yield from _access_log(routing.router)
        yield from _names(routing.router, pushing=pushing)
        yield from _headers(routing)


def _traces(config: Config) -> Iterator[Finding]:
    for section in ("tracers", "telemetry"):
        for index, node in enumerate(items(get(config.root, section))):
            if text(node, "kind") in TRACERS:
                message = (
                    "traces hold the whole URI of a request, query string and all, and no release can leave it out"
                )
                yield found("ML358", node, (section, index), message)


def _access_log(router: Router) -> Iterator[Finding]:
    for key in LOGS:
        node = router.fields.get(key)
        if node is not None and scalar(node):
            message = "each line has the client's address, the URI with its query string, Referer and User-Agent"
            yield found("ML394", node, (*router.at, key), message)


def _names(router: Router, *, pushing: bool) -> Iterator[Finding]:
    for settings in router.identifiers:
        if settings.get("kind") == "io.l5d.methodAndHost" and settings.get("httpUriInDst", "").lower() == "true":
            yield _metrics(
                router, "the path of every URI becomes part of a metric's name, and stays as long as linkerd runs"
            )
        elif pushing and settings.get("kind") in BY_HOST and settings.get("header", "Host").lower() == "host":
            yield _metrics(router, f"{PUSHED} sends metrics away whose names hold the Host of each request, as sent")


def _metrics(router: Router, message: str) -> Finding:
    where: yaml.Node = router.fields.get("identifier") or router.node
    at: Location = (*router.at, "identifier")
    return found("ML395", where, at, message)


def _headers(routing: Routing) -> Iterator[Finding]:
    router = routing.router
    others = [host for _entry, leaf in routing.leaves if (host := outward.inet_host(leaf)) and host not in HERE]
    if others and router.dtab_node is not None:
        who = "whatever machine a request names" if outward.ANY in others else others[0]
        message = f"requests to {who} carry l5d-dst-* and l5d-ctx-*: what the name was, and which trace it is of"
        yield found("ML396", router.dtab_node, router.dtab_at, message)
