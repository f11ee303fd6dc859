"""The traps of a router's dtab and identifiers: entries that no request reaches, and names that lead nowhere or back to linkerd."""

from __future__ import annotations

from collections.abc import Iterator

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.routing import (
    NAMERS,
    SYSTEM,
    Config,
    Entry,
    Path,
    Reached,
    Routing,
    example,
    fault,
    patterns,
    reached,
    show_path,
    show_prefix,
)

OWN = (b"127.0.0.1", b"127.1", b"localhost", b"0.0.0.0")
K8S = ("io.l5d.k8s", "io.l5d.k8s.external")
BOUND_HEADERS = ("l5d-dst-concrete", "l5d-dst-client")
NO_HOSTS = "No hosts are available for"


def findings(config: Config, routing: Routing, seen: Reached | None) -> Iterator[Finding]:
    """Every such trap of a router; `seen`: what becomes of its names, None when that cannot be told."""
    yield from _concrete(routing)
    if routing.router.dtab_node is None:
        return
    yield from _unconfigured(config, routing)
    yield from _loops(config, routing)
    yield from _port_names(config, routing)
    if seen is not None:
        yield from _unreachable(config, routing, seen)
        yield from _one_method(config, routing)


def _unconfigured(config: Config, routing: Routing) -> Iterator[Finding]:
    """Names below /#/ that no configured namer has. With a namerd interpreter the namers are namerd's."""
    if routing.remote:
        return
    longest = max((len(namer.prefix) for namer in config.bindable), default=1)
    judged: set[Path] = set()
    for entry, leaf in routing.leaves:
        used = leaf[1 : 1 + longest]
        if leaf[:1] != (NAMERS,) or used in judged:
            continue
        judged.add(used)
        if used or not config.bindable:
            missing = fault((NAMERS, *used), config.bindable, config.release, more=True)
            if missing is not None and missing.unconfigured:
                yield _no_namer(config, routing, entry, used, missing.fix)


def _no_namer(config: Config, routing: Routing, entry: Entry, used: Path, fix: str) -> Finding:
    name = show_path(used[:1]) if used else "/"
    message = f"the dtab leads to /#{name}, but no such namer is configured"
    return found("ML341", config.spot(routing.router, entry), routing.router.dtab_at, message, NO_HOSTS, fix)


def _unreachable(config: Config, routing: Routing, seen: Reached) -> Iterator[Finding]:
    router, lonely = routing.router, [entry for entry in routing.entries if entry.prefix not in seen.met]
    first = list(patterns(router)) if lonely else []
    for entry in lonely:
        name = example(first)
        message = (
            f"no request of this router has a name that begins with {show_prefix(entry.prefix)}: names are like {name}"
        )
        fix = _fix(config, routing, entry, name)
        yield found("ML342", config.spot(router, entry), router.dtab_at, message, NO_HOSTS, fix)


def _fix(config: Config, routing: Routing, entry: Entry, name: str) -> str:
    """What this release's names make of it: before 0.9.0 the page's own advice."""
    if config.version < (0, 9, 0) and routing.router.protocol == "http" and "identifier" not in routing.router.fields:
        return ""
    return f"begin the entry as names do ({name}), or let another entry lead to {show_prefix(entry.prefix)}"


def _one_method(config: Config, routing: Routing) -> Iterator[Finding]:
    router = routing.router
    if router.dtab_node is None or all(one.get("kind") != "io.l5d.methodAndHost" for one in router.identifiers):
        return
    got, posted = (
        reached(routing.entries, patterns(router, method), 0, config.bindable) for method in (b"GET", b"POST")
    )
    if got and got.met and posted is not None and not posted.met:
        message = "it routes GET only: POST and all other methods end in nothing"
        fix = f"`{router.prefix}/1.1/* => …`, `*` being any method"
        yield found("ML356", router.dtab_node, router.dtab_at, message, NO_HOSTS, fix)


def _loops(config: Config, routing: Routing) -> Iterator[Finding]:
    router = routing.router
    ports = {listener.port.encode() for listener in router.listeners}
    for entry, leaf in routing.leaves:
        if leaf[:2] == (SYSTEM, b"inet") and len(leaf) > 3 and leaf[2] in OWN and leaf[3] in ports:
            message = f"{show_path(leaf[:4])} is this router itself: a request runs in a circle until it times out"
            yield found("ML351", config.spot(router, entry), router.dtab_at, message)


def _port_names(config: Config, routing: Routing) -> Iterator[Finding]:
    """/#/PREFIX/NAMESPACE/PORT/… with a number, where a release knows names only."""
    if config.version >= (0, 9, 1):
        return
    prefixes = {prefix for kind, prefix in config.namers if kind in K8S} | {(kind.encode(),) for kind in K8S}
    for entry, leaf in routing.leaves:
        own = next((prefix for prefix in prefixes if leaf[1 : 1 + len(prefix)] == prefix), None)
        port = () if own is None else leaf[2 + len(own) : 3 + len(own)]
        if leaf[:1] == (NAMERS,) and port and port[0].isdigit():
            message = f"{show_path(leaf)}: before 0.9.1 a port is the name of a Service's port, never a number"
            yield found("ML348", config.spot(routing.router, entry), routing.router.dtab_at, message, NO_HOSTS)


def _concrete(routing: Routing) -> Iterator[Finding]:
    written = routing.router.fields.get("identifier")
    if written is None:
        return
    for identifier in routing.router.identifiers:
        header = identifier.get("header", "")
        if header.lower() in BOUND_HEADERS:
            message = (
                f"{header} holds a name with the transformer's prefix (/%/…) since 0.8.5: it leads to nothing here"
            )
            yield found("ML350", written, (*routing.router.at, "identifier"), message)
