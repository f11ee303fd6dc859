"""Names of machines: which of them only a cluster's own DNS knows, and who asks that."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provision.linkerd.check import outward
from provision.linkerd.check.finding import Finding, found
from provision.linkerd.knowledge.place import Place
from provision.linkerd.routing import Config


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
    for one in outward.machines(config):
        if cluster_name(one.host):
            yield found("ML354", one.node, one.at, f"{one.host} is a name of the cluster's DNS, and {why}")
