"""The cluster of one guest that an image is baked in: beside the inventory's own, on files, small, with a network of its own."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from provision.base.errors import InventoryError
from provision.base.units import MIB
from provision.inventory import GOLDEN, Node, golden, named
from provision.inventory.golden import DISK
from provision.storage import Pool, Volume
from tests.unit.sample import CLUSTER


def test_it_is_one_small_guest_with_nothing_of_the_others() -> None:
    plane = CLUSTER.control_plane.model_copy(
        update={
            "address": "10.77.0.9",
            "group": "a",
            "vcpus": 8,
            "memory": 64 << 30,
            "numa_cells": 2,
            "volumes": (Volume.model_validate({"name": "etcd", "size": "1GiB", "mount": "/var/lib/etcd"}),),
        }
    )
    found = golden(CLUSTER.model_copy(update={"nodes": (plane, *CLUSTER.workers)}))
    (node,) = found.nodes
    assert (node.name, node.role, node.vcpus, node.memory_mib, node.disk) == (
        GOLDEN,
        "control-plane",
        2,
        2048,
        8192 << 20,
    )
    assert (node.address, node.group, node.volumes, node.numa_cells) == (None, None, (), "auto")
    assert (found.cluster, found.network.name) == ("bake-lab", "mesh-bake-lab")


def test_no_node_has_a_smaller_disk() -> None:
    words = {"name": "n", "role": "worker", "memory": "2GiB"}
    assert Node.model_validate({**words, "disk": f"{DISK // MIB}MiB"}).disk == DISK
    with pytest.raises(ValidationError, match="is too small"):
        Node.model_validate({**words, "disk": f"{DISK // MIB - 1}MiB"})


def test_a_named_cluster_bakes_beside_itself_and_long_names_stay_names() -> None:
    assert golden(named(CLUSTER, "pr-1")).cluster == "bake-pr-1"
    name = golden(named(CLUSTER, "a" * 58 + "-" + "b" * 4)).cluster
    assert len(name) <= 63
    assert not name.endswith("-")


def test_its_disk_is_a_file_whatever_the_pool_is_of() -> None:
    host = CLUSTER.hosts[0]
    pool = Pool(name="fast", type="logical", path="/srv/mesh", volume_group="vg0", thin=True)
    made = golden(CLUSTER.model_copy(update={"hosts": (host.model_copy(update={"pool": pool}),)}))
    assert made.hosts[0].pool == Pool(name="fast", path="/srv/mesh")
    assert made.storage.require == "any"


def test_where_it_runs_is_said_else_the_control_planes_host() -> None:
    one = CLUSTER.hosts[0]
    several = CLUSTER.model_copy(update={"hosts": (one, one.model_copy(update={"name": "hv9"}))})
    assert golden(several).nodes[0].host == one.name
    assert golden(several, "hv9").nodes[0].host == "hv9"
    plane = CLUSTER.control_plane.model_copy(update={"host": "hv9"})
    assert golden(several.model_copy(update={"nodes": (plane, *CLUSTER.workers)})).nodes[0].host == "hv9"
    with pytest.raises(InventoryError, match="there is no host hv7"):
        golden(several, "hv7")
