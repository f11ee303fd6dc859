"""namerd's own file, which lies beside linkerd's: recognised, and judged by what the same release of namerd reads."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from provision.linkerd.check import shape, twice
from provision.linkerd.check.finding import Finding, found
from provision.linkerd.knowledge.place import Place
from provision.linkerd.routing import NAMERS, Config, DtabError, fault, leaves
from provision.linkerd.routing.dtab import parse
from provision.linkerd.text import find, get, items, scalar, text

KEYS = ("storage", "interfaces")
"""What namerd's file has and linkerd's has not."""


def is_namerd(root: yaml.Node) -> bool:
    """Whether a file is namerd's: it has `storage` or `interfaces`, and no `routers`."""
    return get(root, "routers") is None and any(get(root, key) is not None for key in KEYS)


def findings(root: yaml.Node, version: str, source: str, place: Place) -> Iterator[Finding]:
    """That it is namerd's, and all that namerd refuses of it."""
    have = ", ".join(key for key in KEYS if get(root, key) is not None)
    message = f"this is namerd's configuration ({have}): linkerd's is another file; it is checked as namerd {version} reads it"
    yield found("ML393", root, (), message)
    config = Config(root, source, version, place)
    yield from shape.findings(root, version, source, place.plugins, top=".namerd")
    yield from twice.findings(root, None) if twice.repeats(root) else ()
    yield from _interfaces(config)
    yield from _prefixes(config)
    yield from _namespaces(config)


def _interfaces(config: Config) -> Iterator[Finding]:
    listed = get(config.root, "interfaces")
    if isinstance(listed, yaml.SequenceNode) and not listed.value:
        fragment = "requirement failed: One or more interfaces must be specified"
        yield found("ML310", listed, ("interfaces",), "there is no interface", fragment, "- kind: io.l5d.mesh")
    taken: dict[str, int] = {}
    for index, node in enumerate(items(listed)):
        port = text(node, "port") or DEFAULT_PORTS.get(text(node, "kind") or "", "")
        if port and port in taken:
            message = f"port {port} is taken by interfaces[{taken[port]}]"
            yield found("ML360", node, ("interfaces", index), message, "Address already in use", "take another port")
        taken.setdefault(port, index)


DEFAULT_PORTS = {"io.l5d.thriftNameInterpreter": "4100", "io.l5d.httpController": "4180", "io.l5d.mesh": "4321"}


def _prefixes(config: Config) -> Iterator[Finding]:
    """Namers of which one's prefix begins with another's: namerd refuses that, linkerd does not."""
    for position, one in enumerate(config.bindable):
        for before in config.bindable[:position]:
            size = min(len(one.prefix), len(before.prefix))
            if one.prefix[:size] == before.prefix[:size]:
                node = items(get(config.root, "namers"))[position]
                message = f"its prefix and another namer's overlap: {one.kind}, {before.kind}"
                yield found(
                    "ML310", node, ("namers", position), message, "io.buoyant.namerd.NamerdConfig$ConflictingNamers"
                )


def _namespaces(config: Config) -> Iterator[Finding]:
    """Names below /#/ in the dtabs of its own memory that no namer of the file has."""
    spaces = find(config.root, "storage", "namespaces")
    for key, value in spaces.value if isinstance(spaces, yaml.MappingNode) else ():
        try:
            entries = parse(scalar(value) or "")
        except DtabError:
            continue
        used = dict.fromkeys(leaf for entry in entries for leaf in leaves(entry.tree) if leaf[:1] == (NAMERS,))
        for leaf in used:
            wrong = fault(leaf, config.bindable, config.release, more=True)
            if wrong is not None:
                message = f"the dtab leads on, but {wrong.why}"
                yield found("ML341", value, ("storage", "namespaces", scalar(key) or "?"), message, "", wrong.fix)
