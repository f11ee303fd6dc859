"""The second part of the validation: rules between nodes. Labels and ports that clash, keys that stand twice, names that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from provision.linkerd import dtab
from provision.linkerd.document import Location, get, items, scalar, spot, text_of
from provision.linkerd.finding import Finding, Severity
from provision.linkerd.routers import ROUTER_PORTS, Router, routers
from provision.linkerd.versions import number

DEEPEST = 60
"""As in shape: anchors may contain themselves."""

LOOPBACK = "127.0.0.1"


def findings(root: yaml.Node, version: str) -> Iterator[Finding]:
    """Every violation of a rule between nodes."""
    every = list(routers(root, version))
    listed = get(root, "routers")
    if isinstance(listed, yaml.SequenceNode) and not listed.value:
        message = "At least one router must be specified in the configuration."
        yield _finding("ML311", listed, ("routers",), "there is no router", message, "add one")
    yield from _labels(every)
    yield from _ports(every)
    for router in every:
        yield from _unserved(router)
        yield from _loopback(router)
        yield from _namers(root, router)
    yield from _twice(root, (), version)


def _unserved(router: Router) -> Iterator[Finding]:
    servers = get(router.node, "servers")
    if isinstance(servers, yaml.SequenceNode) and not servers.value:
        fragment = f"router '{router.label}' has no servers"
        yield _finding("ML314", servers, ("routers", router.index, "servers"), "is empty", fragment, "add one")


def _labels(every: list[Router]) -> Iterator[Finding]:
    first: dict[str, Router] = {}
    for router in every:
        if router.label in first:
            node = get(router.node, "label") or get(router.node, "protocol") or router.node
            message = (
                f"{router.label} is the label of routers[{first[router.label].index}] (without one it is the protocol)"
            )
            fragment = f"Multiple routers with the label {router.label}"
            yield _finding(
                "ML312", node, ("routers", router.index, "label"), message, fragment, "give each its own label"
            )
        first.setdefault(router.label, router)


def _ports(every: list[Router]) -> Iterator[Finding]:
    first: dict[tuple[str, str], str] = {}
    for router in every:
        for index, server in enumerate(router.servers()):
            at: Location = ("routers", router.index, "servers", index)
            port = scalar(get(server, "port") or router.node) or str(ROUTER_PORTS.get(router.protocol, ""))
            address = (scalar(get(server, "ip") or router.node) or LOOPBACK, port)
            if address in first:
                message = f"{address[0]}:{port} is taken by {first[address]}"
                yield _finding("ML313", server, at, message, f"Server conflict on port {port}", "take another port")
            first.setdefault(address, text_of(at))


def _loopback(router: Router) -> Iterator[Finding]:
    for index, server in enumerate(router.servers()):
        if isinstance(server, yaml.MappingNode) and get(server, "ip") is None:
            at: Location = ("routers", router.index, "servers", index)
            message = "without `ip` it listens on 127.0.0.1 only: no other machine or pod reaches it"
            yield _finding("ML345", server, at, message, "", "ip: 0.0.0.0", "trap")


def _namers(root: yaml.Node, router: Router) -> Iterator[Finding]:
    """Names below /#/ that no configured namer has. With a namerd interpreter the namers are namerd's."""
    interpreter = scalar(get(get(router.node, "interpreter"), "kind") or router.node) or "default"
    if router.dtab_node is None or interpreter.startswith(("io.l5d.namerd", "io.l5d.mesh")):
        return
    have = set(_prefixes(root))
    for used in _used(router.dtab):
        if not any(used[: len(prefix)] == prefix for prefix in have):
            message = (
                f"the dtab leads to /#/{b'/'.join(used[:1]).decode(errors='replace')}, but no such namer is configured"
            )
            fix = f"namers: [{{kind: {used[0].decode(errors='replace')}}}]" if used else "add the namer"
            at: Location = ("routers", router.index, "dtab")
            yield _finding("ML341", router.dtab_node, at, message, "No hosts are available for", fix, "trap")


def _prefixes(root: yaml.Node) -> Iterator[dtab.Path]:
    for namer in items(get(root, "namers")):
        written = scalar(get(namer, "prefix") or root) or f"/{scalar(get(namer, 'kind') or root) or ''}"
        try:
            yield dtab.parse_path(written)
        except dtab.DtabError:
            continue


def _used(text: str) -> list[dtab.Path]:
    """What stands behind /#/ in the trees of a dtab, each once."""
    from provision.linkerd.delegate import leaves

    try:
        entries = dtab.parse(text)
    except dtab.DtabError:
        return []
    paths = [leaf for entry in entries for leaf in leaves(entry.tree)]
    return list({path[1:2]: path[1:] for path in paths if path[:1] == (b"#",) and len(path) > 1}.values())


def _twice(node: yaml.Node, at: Location, version: str) -> Iterator[Finding]:
    if len(at) > DEEPEST:
        return
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _twice(item, (*at, index), version)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        name = scalar(key) or "?"
        if name in seen:
            yield _duplicate(key, (*at, name), seen[name], version)
        seen.setdefault(name, spot(key).line)
        yield from _twice(value, (*at, name), version)


def _duplicate(key: yaml.Node, at: Location, line: int, version: str) -> Finding:
    refused = number(version) >= (1, 0, 1)
    message = f"stands in line {line} already" + ("" if refused else ": linkerd takes the last one and says nothing")
    fragment = f"Duplicate field '{at[-1]}'" if refused else ""
    return _finding("ML346", key, at, message, fragment, "keep one of the two", "error" if refused else "trap")


def _finding(
    id_: str, node: yaml.Node, at: Location, message: str, fragment: str, fix: str, severity: Severity = "error"
) -> Finding:
    place = spot(node)
    return Finding(place.line, place.column, id_, text_of(at), message, fragment, fix, severity)
