"""Names of machines: which of them only a cluster's own DNS knows, and who asks that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import yaml

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.knowledge.place import Place
from provision.linkerd.knowledge.walk import Used, walk
from provision.linkerd.routing import SYSTEM, Config, DtabError, Path, parse_path
from provision.linkerd.text import Location, items, scalar

HOST_KEYS = frozenset(
    ("host", "hostname", "k8sHost", "mixerHost", "discoveryHost", "apiserverHost", "apiserver", "dnsHosts")
)
"""Keys of namers, interpreters, identifiers, telemeters, tracers and transformers that hold a host."""

MOST = 100_000
"""Keys looked at; anchors within anchors can stand for more."""

PATH_KEYS = frozenset(("dst",))
"""Keys that hold a path, which may be `/$/inet/HOST/PORT`."""


def cluster_name(name: str) -> bool:
    """Whether only the cluster's DNS knows a name: `zipkin`, `zipkin.default.svc…`."""
    if re.search(r"\.svc(\.|$)|\.cluster\.local\.?$", name):
        return True
    return bool(name) and not re.search(r"[.:]", name) and not name.isdigit() and name != "localhost"


def minor(version: str) -> tuple[int, ...]:
    """(1, 5) of 1.5.8 or v1.5."""
    return tuple(int(part) for part in re.findall(r"[0-9]+", version)[:2])


def asks_the_node(place: Place) -> bool:
    """Whether a pod on the node's network asks the node's DNS, as far as that is known: by its dnsPolicy, or before Kubernetes 1.6."""
    if place.kubernetes is not None and minor(place.kubernetes) < (1, 6):
        return True
    return place.dns_policy is not None and place.dns_policy != "ClusterFirstWithHostNet"


def findings(config: Config) -> Iterator[Finding]:
    """Names of the cluster wherever a host can stand; for a pod that has the node's network and asks the node's DNS."""
    why = "a pod on the node's network does not ask it" + (
        " before Kubernetes 1.6" if config.place.dns_policy is None else " without dnsPolicy ClusterFirstWithHostNet"
    )
    for node, at, name in (*_keys(config), *_destinations(config)):
        if cluster_name(name):
            yield found("ML354", node, at, f"{name} is a name of the cluster's DNS, and {why}")


def _keys(config: Config) -> Iterator[tuple[yaml.Node, Location, str]]:
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
            name = _inet(written) if used.at[-1] in PATH_KEYS else written
            yield node, used.at, name


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
        return _host(parse_path(written))
    except DtabError:
        return ""


def _host(path: Path) -> str:
    """The host of `/$/inet/HOST/PORT`, empty for any other path."""
    return path[2].decode(errors="replace") if path[:2] == (SYSTEM, b"inet") and len(path) > 3 else ""


def _destinations(config: Config) -> Iterator[tuple[yaml.Node, Location, str]]:
    """Hosts that a dtab leads to by name."""
    for routing in config.routings:
        if routing.router.dtab_node is not None:
            for name in dict.fromkeys(_host(leaf) for _entry, leaf in routing.leaves):
                yield routing.router.dtab_node, routing.router.dtab_at, name
