"""A small cluster for unit tests, as data."""

from __future__ import annotations

from provision.inventory.model import Cluster
from provision.placement import Pinning
from provision.plan.desired import desired
from provision.specs.objects import (
    Artifact,
    Desired,
    GuestSpec,
    HostTraits,
    base_image,
    bundle_disk,
)

# Without a state volume, as clusters are from before there were any; tests/unit/plan/test_states.py has one.
CLUSTER = Cluster.model_validate(
    {
        "apiVersion": "meshctl/v1",
        "cluster": "lab",
        "hosts": [{"name": "hv1", "uri": "qemu:///system", "pool": {"path": "/srv/pool"}}],
        "network": {"cidr": "10.77.0.0/24", "bridge": "meshbr0"},
        "nodes": [
            {
                "name": "cp1",
                "role": "control-plane",
                "vcpus": 2,
                "memory": "3GiB",
                "disk": "12GiB",
                "address": "10.77.0.11",
                "state": "none",
            },
            {"name": "w1", "role": "worker", "vcpus": 2, "memory": "2GiB", "disk": "12GiB", "address": "10.77.0.12"},
        ],
        "ssh": {"public_key": "ssh-ed25519 AAAA mesh@test"},
        "kubernetes": {"version": "v1.20.2"},
    }
)

PINNINGS = {
    "cp1": Pinning("cp1", "hv1", (0,), (1, 2), (0,), (0,), ()),
    "w1": Pinning("w1", "hv1", (0,), (3, 4), (0,), (0,), ()),
}

ARTIFACTS: tuple[Artifact, ...] = (
    base_image("debian-12", "/cache/debian-12.qcow2", "a1" * 32, 300),
    bundle_disk("v1.20.2", "/cache/bundle.iso", "b2" * 32, 900),
)


SPLIT = Pinning("cp1", "hv1", (0, 1), (2, 34, 3, 35), (0, 32), (0, 32), ((0, 2048, 768), (1, 2048, 768)), threads=2)
"""A guest over two NUMA nodes on huge pages, two vCPUs to a core."""


def split_guest(virtualization: str = "kvm", vendor: str = "Intel") -> GuestSpec:
    """What should exist for SPLIT on a host with a policy for everything."""
    host = CLUSTER.hosts[0].model_copy(update={"locked": True, "allocation_threads": 4})
    node = CLUSTER.nodes[0].model_copy(update={"vcpus": 4})
    cluster = CLUSTER.model_copy(update={"hosts": (host,), "nodes": (node,)})
    traits = {"hv1": HostTraits(virtualization, numa=True, cpu_vendor=vendor)}
    return desired(cluster, {"cp1": SPLIT}, traits, {}, ARTIFACTS, {"cp1": "c" * 64}).guest("cp1")


def wanted(virtualization: str = "kvm", remembered: dict[str, str] | None = None) -> Desired:
    """What should exist for CLUSTER."""
    seeds = {"cp1": "c" * 64, "w1": "d" * 64}
    return desired(CLUSTER, PINNINGS, {"hv1": HostTraits(virtualization)}, remembered or {}, ARTIFACTS, seeds)
