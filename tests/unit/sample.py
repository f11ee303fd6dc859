"""A small cluster for unit tests, as data."""

from __future__ import annotations

from provision.desired import Artifact, Desired, base_image, bundle_disk, desired
from provision.inventory import Cluster
from provision.placement import Pinning

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
    base_image("debian-12", "/cache/debian-12.qcow2", "1234567890abcdef", 300),
    bundle_disk("v1.20.2", "/cache/bundle.iso", "fedcba0987654321", 900),
)


def wanted(virtualization: str = "kvm", remembered: dict[str, str] | None = None) -> Desired:
    """What should exist for CLUSTER."""
    seeds = {"cp1": "c" * 64, "w1": "d" * 64}
    return desired(CLUSTER, PINNINGS, {"hv1": virtualization}, remembered or {}, ARTIFACTS, seeds)
