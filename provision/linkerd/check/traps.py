"""The third part of the validation: what linkerd takes without a word and what then does not work, or works against its owner."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from provision.linkerd.check import client_tls, names, nowhere, outward, personal, prefixes, unrouted
from provision.linkerd.check.finding import Finding, found
from provision.linkerd.routing import LOOPBACK, Config, Router
from provision.linkerd.text import Location, get, items, scalar, text

SMALL_CACHE = 100
"""Clients that a binding cache should hold at the least; 0.9.1 and later hold 1000 when nothing is said."""

HIGH_RATE = 0.01
"""Traces of one request in a hundred: above it, tracing is a load and a store of personal data."""

EVERYWHERE = ("0.0.0.0", "::")
TRANSFORMERS = ("io.l5d.k8s.daemonset", "io.l5d.k8s.localnode")


def findings(config: Config) -> Iterator[Finding]:
    """Every trap."""
    yield from _admin(config)
    yield from _telemetry(config)
    yield from _usage(config)
    yield from personal.findings(config)
    yield from _selectors(config)
    yield from _transformers(config)
    if _host_network(config) and names.asks_the_node(config.place):
        yield from names.findings(config)
    yield from nowhere.no_dtabs(config)
    yield from nowhere.dtab_files(config)
    yield from nowhere.destinations(config)
    yield from nowhere.namer_prefixes(config)
    small = not _caches_enough(config)
    for routing in config.routings:
        router = routing.router
        if router.dtab_node is not None or "identifier" in router.fields:
            seen = nowhere.walk(config, routing)
            yield from unrouted.findings(config, routing, seen)
            yield from nowhere.findings(config, routing, seen)
        if "client" in router.fields or "service" in router.fields:
            yield from prefixes.findings(config, routing)
        yield from _loopback(router)
        if small or "bindingCache" in router.fields:
            yield from _cache(router, config)
        if "client" in router.fields:
            yield from _clients(router, config)


def _caches_enough(config: Config) -> bool:
    """Whether a release's binding cache is large when nothing is said."""
    return config.version >= (0, 9, 1)


def _loopback(router: Router) -> Iterator[Finding]:
    for index, listener in enumerate(router.listeners):
        if listener.ip is None and isinstance(listener.node, yaml.MappingNode):
            at: Location = (*router.at, "servers", index)
            message = "without `ip` it listens on 127.0.0.1 only: no other machine or pod reaches it"
            yield found("ML345", listener.node, at, message, "", "ip: 0.0.0.0")


def _cache(router: Router, config: Config) -> Iterator[Finding]:
    cache = router.fields.get("bindingCache")
    clients = get(cache, "clients")
    written = scalar(clients) if clients is not None else None
    if written is None:
        written = "1000" if _caches_enough(config) else "10"
    if written.isdecimal() and 0 < len(written.lstrip("0")) < len(str(SMALL_CACHE)):
        message = f"the cache holds {written} clients: service {int(written) + 1} throws out another's pool, balancer and statistics"
        yield found("ML352", clients or cache or router.node, (*router.at, "bindingCache", "clients"), message)


def _clients(router: Router, config: Config) -> Iterator[Finding]:
    client = router.fields["client"]
    at: Location = (*router.at, "client")
    each = [(client, at), *((one, (*at, "configs", index)) for index, one in enumerate(items(get(client, "configs"))))]
    for node, place in each:
        yield from _accrual(node, place, config)
        yield from client_tls.findings(node, place, config)


def _accrual(client: yaml.Node | None, at: Location, config: Config) -> Iterator[Finding]:
    accrual = get(client, "failureAccrual")
    backoff = get(accrual, "backoff")
    if backoff is not None and config.version < (1, 1, 1):
        message = "before 1.1.1 it is read and not used: an endpoint comes back after 5 s to 300 s"
        yield found("ML343", backoff, (*at, "failureAccrual", "backoff"), message)
    consecutive = (text(accrual, "kind") or "").rpartition(".")[2] == "consecutiveFailures"
    if accrual is not None and consecutive and get(accrual, "failures") is None:
        message = "without `failures` it is 0: one failure takes an endpoint out"
        yield found("ML344", accrual, (*at, "failureAccrual"), message)


def _flag(node: yaml.Node) -> bool:
    return (text(node, "hostNetwork") or "").lower() == "true"


def _transforming(config: Config) -> list[tuple[Location, yaml.Node]]:
    """The transformers that have a hostNetwork flag."""
    return [(at, node) for at, node in config.transformers() if text(node, "kind") in TRANSFORMERS]


def _host_network(config: Config) -> bool | None:
    """Whether the pod has the node's network: as told, or as a transformer says."""
    if config.place.host_network is not None:
        return config.place.host_network
    return True if any(_flag(node) for _at, node in _transforming(config)) else None


def _transformers(config: Config) -> Iterator[Finding]:
    pod = _host_network(config)
    for at, node in _transforming(config) if pod is not None else ():
        if _flag(node) != pod:
            said = (
                "the pod has" if config.place.host_network is not None else "another transformer says that the pod has"
            )
            network = "the node's network" if pod else "a network of its own"
            message = f"hostNetwork is {str(_flag(node)).lower()}, but {said} {network}: no endpoint is left"
            yield found("ML349", node, at, message, "No hosts are available for", f"hostNetwork: {str(pod).lower()}")


def _admin_address(config: Config) -> str:
    return text(config.root, "admin", "ip") or ("0.0.0.0" if config.version < (1, 2, 0) else LOOPBACK)


def _admin(config: Config) -> Iterator[Finding]:
    admin = get(config.root, "admin")
    certificates = (text(admin, "tls", "requireClientAuth") or "").lower() == "true"
    if _admin_address(config) in EVERYWHERE and get(admin, "security") is None and not certificates:
        message = "it listens on every address and asks nobody who he is: POST /admin/shutdown ends linkerd"
        yield found("ML353", get(admin, "ip") or admin or config.root, ("admin", "ip"), message)


def _usage(config: Config) -> Iterator[Finding]:
    where = outward.usage_reports(config)
    if where is not None:
        message = f"linkerd reports its configuration and numbers to {outward.USAGE_HOST} every hour"
        yield found("ML355", where, ("usage",), message)


def _telemetry(config: Config) -> Iterator[Finding]:
    telemetry = get(config.root, "telemetry")
    kinds = [text(one, "kind") for one in items(telemetry)]
    if telemetry is not None and config.version < (0, 9, 0) and "io.l5d.commonMetrics" not in kinds:
        message = "a list without io.l5d.commonMetrics takes /admin/metrics.json away before 0.9.0"
        yield found("ML347", telemetry, ("telemetry",), message)
    for section in ("tracers", "telemetry"):
        for index, node in enumerate(items(get(config.root, section))):
            if text(node, "kind") == "io.l5d.zipkin":
                yield from _rate(node, (section, index))


def _rate(node: yaml.Node, at: Location) -> Iterator[Finding]:
    rate = get(node, "sampleRate")
    if rate is not None and _number(scalar(rate)) > HIGH_RATE:
        message = (
            f"{scalar(rate)} of all requests are traced: each is stored with its URI, and costs a span at every hop"
        )
        yield found("ML357", rate, (*at, "sampleRate"), message)


def _number(written: str | None) -> float:
    try:
        return float(written or 0)
    except ValueError:
        return 0


def _selectors(config: Config) -> Iterator[Finding]:
    for index, namer in enumerate(items(get(config.root, "namers"))):
        selector = get(namer, "labelSelector")
        if (
            selector is not None
            and config.version == (0, 8, 5)
            and (text(namer, "kind") or "").startswith("io.l5d.k8s")
        ):
            message = (
                "0.8.5 keeps one watch a namespace: the first value of the label that is asked for is taken for all"
            )
            yield found("ML359", selector, ("namers", index, "labelSelector"), message)
