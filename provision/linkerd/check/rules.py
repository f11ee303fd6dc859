"""The second part of the validation: what linkerd checks between nodes, in files and in its environment when it starts."""

from __future__ import annotations

import os.path
from collections.abc import Iterator

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.routing import Config, Router
from provision.linkerd.text import (
    Location,
    Spot,
    find,
    get,
    items,
    scalar,
    spot,
    text,
    text_of,
)


def findings(config: Config) -> Iterator[Finding]:
    """Every violation of a rule between nodes."""
    listed = get(config.root, "routers")
    if isinstance(listed, SequenceNode) and not listed.value:
        message = "At least one router must be specified in the configuration."
        yield found("ML311", listed, ("routers",), "there is no router", message, "add one")
    every = [routing.router for routing in config.routings]
    yield from _labels(every)
    yield from _ports(every)
    yield from _plugins(config)
    yield from _files(config)
    yield from _environment(config)
    yield from _unserved(every)
    yield from twice(config)


def _unserved(every: list[Router]) -> Iterator[Finding]:
    for router in every:
        servers = router.fields.get("servers")
        if isinstance(servers, SequenceNode) and not servers.value:
            fragment = f"router '{router.label}' has no servers"
            yield found("ML314", servers, (*router.at, "servers"), "is empty", fragment, "add one")


def _labels(every: list[Router]) -> Iterator[Finding]:
    first: dict[str, Router] = {}
    for router in every:
        if router.label in first:
            node = router.fields.get("label") or router.fields.get("protocol") or router.node
            other = text_of(first[router.label].at)
            message = f"{router.label} is the label of {other} (without one it is the protocol)"
            fragment = f"Multiple routers with the label {router.label}"
            yield found("ML312", node, (*router.at, "label"), message, fragment)
        first.setdefault(router.label, router)


def _ports(every: list[Router]) -> Iterator[Finding]:
    first: dict[tuple[str, str], tuple[int, int]] = {}
    for router in every:
        for index, listener in enumerate(router.listeners):
            ip, port = listener.address
            here = (router.position, index)
            there = first.setdefault((ip, port), here)
            if there != here:
                message = f"{ip}:{port} is taken by {text_of(_server(*there))}"
                fragment = f"Server conflict on port {port}"
                yield found("ML313", listener.node, _server(*here), message, fragment, "take another port")


def _server(router: int, index: int) -> Location:
    return "routers", router, "servers", index


def _plugins(config: Config) -> Iterator[Finding]:
    """Jars whose kind is there already: linkerd's own, or another jar's."""
    if not config.place.plugins:
        return
    own = {kind for family in KNOWLEDGE.families.values() for kind in family.at(config.release)}
    seen: set[str] = set()
    for kind in config.place.plugins:
        if kind in own or kind in seen:
            whose = "linkerd itself" if kind in own else "another jar"
            yield found("ML327", Spot(1, 1), (), f"{kind} is a kind of {whose} already", "ConflictingSubtypes")
        seen.add(kind)


def _files(config: Config) -> Iterator[Finding]:
    """Folders and files that linkerd opens when it starts; not looked at when it starts elsewhere."""
    for index, namer in enumerate(items(get(config.root, "namers"))):
        if text(namer, "kind") == "io.l5d.fs":
            at: Location = ("namers", index, "rootDir")
            yield from _there(config, find(namer, "rootDir"), at, folder=True)
    for routing in config.routings:
        if routing.interpreter == "io.l5d.fs":
            node = get(routing.router.fields.get("interpreter"), "dtabFile")
            yield from _there(config, node, (*routing.router.at, "interpreter", "dtabFile"), folder=False)


def _there(config: Config, node: Node | None, at: Location, *, folder: bool) -> Iterator[Finding]:
    name = scalar(node) if node is not None else None
    if node is None or not name or "\0" in name or config.place.folder is None:
        return
    path = os.path.join(config.place.folder, name)
    if not (os.path.isdir(path) if folder else os.path.isfile(path)):
        what = "a directory" if folder else "a file"
        yield found("ML317", node, at, f"{path} is not {what}", f"{name} is not {what}")


def _environment(config: Config) -> Iterator[Finding]:
    """What localnode transformers read from the environment."""
    environment = config.place.environment
    for at, node in config.transformers() if environment is not None else ():
        by_name = (text(node, "hostNetwork") or "").lower() == "true"
        wanted, what = ("NODE_NAME", "the node's name") if by_name else ("POD_IP", "the pod's IP")
        if text(node, "kind") == "io.l5d.k8s.localnode" and wanted not in (environment or ()):
            fragment = f"{wanted} env variable must be set to {what}"
            yield found("ML322", node, at, f"the container has no {wanted}", fragment)


def twice(config: Config) -> Iterator[Finding]:
    """Keys that stand twice in a mapping; each mapping is looked at once, however many anchors lead to it."""
    if not _any_repeats(config.root, anchors="*" in config.source):
        return  # nearly always, and then no place is worth a tuple for each node
    waiting: list[tuple[Node, Location]] = [(config.root, ())]
    known: set[int] = set()
    while waiting:
        node, at = waiting.pop()
        if id(node) in known:
            continue
        known.add(id(node))
        if isinstance(node, SequenceNode):
            waiting += [(item, (*at, index)) for index, item in enumerate(node.value)]
        elif isinstance(node, MappingNode):
            if _distinct(node) < len(node.value):
                yield from _duplicates(node, _names(node), at, config)
            waiting += [(value, (*at, scalar(key) or "?")) for key, value in node.value]


def _any_repeats(root: Node, *, anchors: bool) -> bool:
    """Whether a mapping has a key twice; without anchors in the text no node is met twice, and none has to be remembered."""
    waiting, known = [root], set[int]()
    for node in waiting:  # which grows meanwhile
        if anchors:
            if id(node) in known:
                continue
            known.add(id(node))
        if node.__class__ is MappingNode:
            if _distinct(node) < len(node.value):
                return True
            waiting += [value for _key, value in node.value if value.__class__ is not ScalarNode]
        elif node.__class__ is SequenceNode:
            waiting += [value for value in node.value if value.__class__ is not ScalarNode]
    return False


def _distinct(node: MappingNode) -> int:
    """How many keys a mapping has. Those that are collections, which linkerd refuses anyway, count as one."""
    try:
        return len({key.value for key, _value in node.value})
    except TypeError:
        return len({*_names(node)})


def _names(node: MappingNode) -> list[str]:
    return [key.value if isinstance(key, ScalarNode) else "?" for key, _value in node.value]


def _duplicates(node: MappingNode, names: list[str], at: Location, config: Config) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for (key, _value), name in zip(node.value, names, strict=True):
        if name in seen:
            yield _duplicate(key, (*at, name), seen[name], config)
        seen.setdefault(name, spot(key).line)


def _duplicate(key: Node, at: Location, line: int, config: Config) -> Finding:
    refused = config.version >= (1, 0, 1)
    message = f"stands in line {line} already" + ("" if refused else ": linkerd takes the last one and says nothing")
    fragment = f"Duplicate field '{at[-1]}'" if refused else ""
    return found("ML346", key, at, message, fragment, severity="error" if refused else "trap")
