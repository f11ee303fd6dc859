"""What can work in an inventory, and is unwise: warnings, each at its field."""

from __future__ import annotations

from collections.abc import Iterator

from provision.base.errors import Problem
from provision.inventory.loader import files, networks, sysctl
from provision.inventory.loader.document import Document
from provision.inventory.model import Cluster
from provision.inventory.uri import doubts as doubts_of_uri
from provision.inventory.uri import parse_uri


def doubts(document: Document, cluster: Cluster) -> Iterator[Problem]:
    """Every warning of a valid inventory."""
    for index, host in enumerate(cluster.hosts):
        for message, hint in doubts_of_uri(parse_uri(host.uri)):
            yield document.warning(("hosts", index, "uri"), message, hint)
    yield from files.doubts(document, cluster)
    yield from sysctl.doubts(document)
    yield from networks.doubts(document, cluster)
