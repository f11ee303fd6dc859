"""What linkerd starts with and what then fails every request, or every one through a client: nothing of it is looked at before.

What Jackson and Scala make of the values was said by `scalars`; here stands what finagle does with them.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.check.scalars import is_alias, number
from provision.linkerd.routing import Config, Router
from provision.linkerd.text import Location, get, items, text

_POOL = ("minSize", "maxSize", "idleTimeMs", "maxWaiters")
_COMPRESSION = (-1, 9)
"""zlib's levels, and finagle's own choice."""

_SIZES = ("maxHeadersKB", "maxInitialLineKB", "maxChunkKB")


def findings(config: Config) -> Iterator[Finding]:
    """Every trap of this sort."""
    if "*" in config.source:
        yield from _aliases(config.root)
    for routing in config.routings:
        router = routing.router
        if router.protocol == "http":
            yield from _codec(router)
        client = router.fields.get("client")
        if client is not None:
            at: Location = (*router.at, "client")
            yield from _client(client, at, config)
            for index, one in enumerate(items(get(client, "configs"))):
                yield from _client(one, (*at, "configs", index), config)
    for at, node in config.transformers():
        if text(node, "kind") in ("io.l5d.const", "io.l5d.replace") and get(node, "path") is None:
            yield found("ML374", node, at, "there is no `path` to bind every name to", "java.lang.NullPointerException")


def _aliases(root: yaml.Node) -> Iterator[Finding]:
    waiting: list[tuple[yaml.Node, Location]] = [(root, ())]
    while waiting:
        node, at = waiting.pop()
        if is_alias(node):
            message = f"linkerd does not look up aliases: this is the text {node.value!r}"
            yield found("ML370", node, at, message)
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(one, (*at, index)) for index, one in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            waiting += [(value, (*at, str(key.value))) for key, value in node.value]


def _size(node: yaml.Node | None, name: str) -> float | None:
    found_ = get(node, name)
    return None if found_ is None else number(found_)


def _codec(router: Router) -> Iterator[Finding]:
    """Sizes and levels that the HTTP codec cannot be made with: connections are closed without an answer."""
    for name in _SIZES:
        size = _size(router.node, name)
        if size is not None and size <= 0:
            yield _unanswered(router, name, f"nothing fits into {size:g} KB", "8 is linkerd's own choice for headers")
    for name in ("maxRequestKB", "maxResponseKB"):
        size = _size(router.node, name)
        if size is not None and size < 0:
            yield _unanswered(router, name, f"nothing fits into {size:g} KB", "5120 is linkerd's own choice")
    level = _size(router.node, "compressionLevel")
    if level is not None and not _COMPRESSION[0] <= level <= _COMPRESSION[1]:
        yield _unanswered(router, "compressionLevel", f"there is no level {level:g}", "0 to 9, or -1")


def _unanswered(router: Router, name: str, why: str, fix: str) -> Finding:
    message = f"{why}: connections are closed without an answer"
    return found("ML373", router.fields[name], (*router.at, name), message, "", fix)


def _client(client: yaml.Node, at: Location, config: Config) -> Iterator[Finding]:
    yield from _accrual(get(client, "failureAccrual"), (*at, "failureAccrual"))
    yield from _balancer(get(client, "loadBalancer"), (*at, "loadBalancer"))
    yield from _pool(get(client, "hostConnectionPool"), (*at, "hostConnectionPool"))
    tls = get(client, "tls")
    if config.version < (1, 0, 0) and text(tls, "kind") == "io.l5d.static" and get(tls, "commonName") is None:
        message = "there is no `commonName` to check the server's certificate by"
        yield found("ML375", tls or client, (*at, "tls"), message)


def _accrual(accrual: yaml.Node | None, at: Location) -> Iterator[Finding]:
    kind = text(accrual, "kind")
    name = {"io.l5d.successRate": "requests", "io.l5d.successRateWindowed": "window"}.get(kind or "")
    if accrual is None or name is None:
        return
    size = _size(accrual, name)
    if size is None or int(size) <= 0:
        said = "is missing, so 0" if get(accrual, name) is None else f"is {size or 0:g}"
        message = f"`{name}` {said}: every request fails"
        yield found("ML371", get(accrual, name) or accrual, at, message, "window must be positive")
    rate = _size(accrual, "successRate")
    if rate is not None and not 0 <= rate <= 1:
        message = f"a success rate of {rate:g} is no part of one: every request fails"
        fix = "0.9 is nine of ten requests"
        place = get(accrual, "successRate") or accrual
        yield found("ML371", place, (*at, "successRate"), message, "requiredSuccessRate must be [0, 1]", fix)


def _balancer(balancer: yaml.Node | None, at: Location) -> Iterator[Finding]:
    for kind, name in (("ewma", "decayTimeMs"), ("aperture", "minAperture")):
        size = _size(balancer, name) if text(balancer, "kind") == kind else None
        if balancer is not None and size is not None and size <= 0:
            place = get(balancer, name) or balancer
            yield found("ML372", place, (*at, name), f"the balancer {kind} cannot be made with {size:g}")


def _pool(pool: yaml.Node | None, at: Location) -> Iterator[Finding]:
    sizes = [_size(pool, name) for name in _POOL]
    if pool is None:
        return
    most = _size(pool, "maxSize")
    if most is not None and most <= 0:
        place = get(pool, "maxSize") or pool
        yield found("ML372", place, (*at, "maxSize"), f"a pool of {most:g} connections holds none")
    elif all(size is not None and size < 0 for size in sizes):
        yield found("ML372", pool, at, "a pool of less than nothing holds no connection")
