"""Control planes on different hosts: what several are for is that one of their hosts is lost. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from provision.inventory import Cluster
from provision.placement.model import Tenant

CONTROL_PLANES = "control planes"
"""The group's name; no name of the inventory has a blank in it."""


def apart(cluster: Cluster, current: Sequence[Tenant]) -> Cluster:
    """The cluster with its control planes in one anti-affinity group, where there is a host for each, and neither the inventory (by `host`
    or `group`) nor the guests that are there have it otherwise.
    """
    planes = cluster.control_planes
    homes = {tenant.node: tenant.host for tenant in current if tenant.node}
    fixed = [home for node in planes if (home := homes.get(node.name) or node.host)]
    grouped = any(node.group for node in planes)
    if len(planes) == 1 or grouped or len(cluster.hosts) < len(planes) or len(set(fixed)) < len(fixed):
        return cluster
    nodes = tuple(
        node.model_copy(update={"group": CONTROL_PLANES}) if node in planes else node for node in cluster.nodes
    )
    return cluster.model_copy(update={"nodes": nodes})
