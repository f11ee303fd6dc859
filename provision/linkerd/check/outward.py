"""What of a configuration leads out of linkerd: the machines that it names, those that a request may name, and its reports of usage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import yaml

from provision.linkerd.knowledge.walk import Used, walk
from provision.linkerd.routing import SYSTEM, Config, DtabError, Path, parse_path
from provision.linkerd.text import Location, get, items, scalar, text

HOST_KEYS = frozenset(
    ("host", "hostname", "k8sHost", "mixerHost", "discoveryHost", "apiserverHost", "apiserver", "dnsHosts")
)
"""Keys of namers, interpreters, identifiers, telemeters, tracers and transformers that hold a host."""

MOST = 100_000
"""Keys looked at; anchors within anchors can stand for more."""

PATH_KEYS = frozenset(("dst",))
"""Keys that hold a path, which may be `/$/inet/HOST/PORT`."""

USAGE_HOST = "stats.buoyant.io"
"""Where linkerd reports to from 0.9.0 on, unless `usage.enabled` is false (CHANGES.md of 0.9.0)."""


@dataclass(frozen=True)
class Machine:
    """A host that a configuration names, and where; `ANY` for whichever a request names."""

    node: yaml.Node
    at: Location
    host: str


ANY = "*"


def machines(config: Config) -> Iterator[Machine]:
    """Every host wherever one can stand: keys, paths, and the leaves of dtabs."""
    yield from _keys(config)
    for routing in config.routings:
        if routing.router.dtab_node is not None:
            for host in dict.fromkeys(inet_host(leaf) for _entry, leaf in routing.leaves):
                if host:
                    yield Machine(routing.router.dtab_node, routing.router.dtab_at, host)


def inet_host(path: Path) -> str:
    """HOST of `/$/inet/HOST/PORT`, whose last parts may come of the request; `ANY` where the host does too, empty for another path."""
    if path[:2] != (SYSTEM, b"inet"):
        return ""
    return path[2].decode(errors="replace") if len(path) > 2 else ANY


def usage_reports(config: Config) -> yaml.Node | None:
    """Where it stands, or should, that linkerd reports its configuration and numbers to USAGE_HOST; None when it does not."""
    usage = get(config.root, "usage")
    silent = config.version < (0, 9, 0) or (text(usage, "enabled") or "").lower() == "false"
    return None if silent else usage or config.root


def _keys(config: Config) -> Iterator[Machine]:
    for used in islice(walk(config.root, config.release), MOST):
        if (
            not isinstance(used, Used)
            or used.at[-1] not in HOST_KEYS | PATH_KEYS
            or used.object.name == "transformer.host"
        ):
            continue
        value = _at(config.root, used.at)
        for node in () if value is None else items(value) or [value]:
            written = scalar(node) or ""
            host = _inet(written) if used.at[-1] in PATH_KEYS else written
            if host:
                yield Machine(node, used.at, host)


def _at(root: yaml.Node, at: Location) -> yaml.Node | None:
    node: yaml.Node | None = root
    for step in at:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
        elif isinstance(node, yaml.MappingNode):
            node = next((value for key, value in reversed(node.value) if scalar(key) == step), None)
        else:
            return None
    return node


def _inet(written: str) -> str:
    try:
        return inet_host(parse_path(written))
    except DtabError:
        return ""
