"""An inventory as the template of the one guest in which a golden image is made, beside the cluster and named after it. Pure."""

from __future__ import annotations

from provision.base.errors import InventoryError
from provision.base.units import MIB
from provision.inventory.model import Cluster, Host
from provision.inventory.template import named
from provision.storage import Pool, Storage

GOLDEN = "image"
"""The only node of a cluster that an image is baked in."""

PREFIX = "bake-"
DISK = 8192 * MIB
"""The smallest disk that a node may have: every node's root volume can begin as the image, and grows from there."""

MEMORY, VCPUS = 2048 * MIB, 2


def golden(cluster: Cluster, host: str | None = None) -> Cluster:
    """The cluster of one guest on a host (default: the control plane's, else the first), whose volumes are files, whatever type the
    host's pool is of: the disk is taken from there. It has a network of its own, and `named` says what else is made anew.

    Raises InventoryError when there is no such host.
    """
    names = [one.name for one in cluster.hosts]
    where = host or cluster.control_plane.host or names[0]
    if where not in names:
        raise InventoryError(f"--host: there is no host {where}", hint=f"there are: {', '.join(names)}")
    alone = cluster.kubernetes.model_copy(update={"control_plane_endpoint": None})
    made = named(cluster.model_copy(update={"kubernetes": alone}), f"{PREFIX}{cluster.cluster}"[:63].rstrip("-"))
    plane = cluster.control_plane
    update = {
        "name": GOLDEN,
        "host": where,
        "vcpus": min(VCPUS, plane.vcpus),
        "memory": min(MEMORY, plane.memory),
        "disk": DISK,
        "address": None,
        "numa_cells": "auto",
        "group": None,
        "volumes": (),
        "state": 0,
    }
    return made.model_copy(
        update={
            "hosts": tuple(map(_with_folder, made.hosts)),
            "nodes": (plane.model_copy(update=update),),
            "storage": Storage(require="any", io=cluster.storage.io),
        }
    )


def _with_folder(host: Host) -> Host:
    return host.model_copy(update={"pool": Pool(name=host.pool.name, path=host.pool.path)})
