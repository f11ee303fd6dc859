"""What can work in an inventory, and is unwise: warnings, each at its field."""

from __future__ import annotations

from collections.abc import Iterator

from provision.base.errors import Problem
from provision.inventory.loader import files, networks, sysctl
from provision.inventory.loader.document import Document
from provision.inventory.model import Cluster
from provision.inventory.uri import doubts as doubts_of_uri
from provision.inventory.uri import parse_uri

PASSING = ("/tmp/", "/var/tmp/")  # noqa: S108 - to be warned of
"""Folders whose files go by themselves (systemd-tmpfiles, tmp.conf)."""


def doubts(document: Document, cluster: Cluster) -> Iterator[Problem]:
    """Every warning of a valid inventory."""
    for index, host in enumerate(cluster.hosts):
        for message, hint in doubts_of_uri(parse_uri(host.uri)):
            yield document.warning(("hosts", index, "uri"), message, hint)
        if host.pool.path == "/var/lib/libvirt/images" and host.pool.name != "default":
            message = "libvirt's own pool default is there, and it takes no second one for a folder"
            yield document.warning(("hosts", index, "pool", "path"), message, "a folder of its own below it")
        if host.pool.path.startswith(PASSING):
            message = f"{host.pool.path} is emptied by the host's own system"
            yield document.warning(("hosts", index, "pool", "path"), message, "for example /var/lib/libvirt/meshctl")
    yield from files.doubts(document, cluster)
    yield from sysctl.doubts(document)
    yield from networks.doubts(document, cluster)
