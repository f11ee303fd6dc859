"""Several control planes in an inventory: how many, on which generation, and the address that they share."""

from __future__ import annotations

import netaddr
import pytest

from provision.base.errors import InventoryError, Problem
from provision.inventory import Cluster, load, named, placed_in
from provision.inventory.golden import golden
from provision.placement.apart import CONTROL_PLANES, apart
from provision.placement.model import Tenant
from provision.plan import members

HEAD = """\
apiVersion: meshctl/v1
cluster: t
hosts:
- {name: hv1, uri: "qemu:///system"}
network: {cidr: 10.77.0.0/24, bridge: meshbr0}
ssh: {public_key: ssh-ed25519 AAAA}
"""


def text(planes: int, endpoint: str | None = "10.77.0.250", version: str = "v1.20.2", more: str = "") -> str:
    nodes = "".join(
        f"- {{name: cp{one}, role: control-plane, memory: 2GiB, disk: 12GiB}}\n" for one in range(1, planes + 1)
    )
    said = f"  control_plane_endpoint: {endpoint}\n" if endpoint else ""
    bundle = "  bundle: ./b\n" if version != "v1.20.2" else ""
    return f"{HEAD}nodes:\n{nodes}{more}kubernetes:\n  version: {version}\n{bundle}{said}"


def problems(said: str) -> tuple[Problem, ...]:
    with pytest.raises(InventoryError) as caught:
        load("x.yaml", said)
    return caught.value.problems


def only(said: str) -> Problem:
    (found,) = problems(said)
    return found


@pytest.mark.parametrize("planes", [1, 3, 5])
def test_one_three_and_five_with_an_endpoint_are_a_cluster(planes: int) -> None:
    cluster = load("x.yaml", text(planes))
    assert [node.name for node in cluster.control_planes] == [f"cp{one}" for one in range(1, planes + 1)]
    assert cluster.control_plane.name == "cp1"
    assert cluster.workers == ()


@pytest.mark.parametrize(("planes", "better"), [(2, "1 or 3"), (4, "3 or 5")])
def test_an_even_number_bears_no_more_losses_than_one_fewer(planes: int, better: str) -> None:
    found = only(text(planes))
    assert f"{planes} control planes: etcd needs more than half" in found.message
    assert better in found.hint
    assert found.field == f"nodes[{planes - 1}].role"


@pytest.mark.parametrize("planes", [6, 7])
def test_more_than_five_are_too_many(planes: int) -> None:
    found = only(text(planes))
    assert (found.field, found.hint) == ("nodes[5].role", "5 at the most")


def test_several_need_an_address_that_they_share() -> None:
    found = only(text(3, endpoint=None))
    assert found.field == "kubernetes"
    assert "3 control planes need one address" in found.message
    assert "control_plane_endpoint: ADDRESS" in found.hint


def test_kubeadm_1_5_has_neither() -> None:
    found = {one.field: one.message for one in problems(text(3, version="v1.5.8"))}
    assert set(found) == {"kubernetes.control_plane_endpoint", "nodes[1].role", "nodes[2].role"}
    assert found["nodes[1].role"] == "a second control plane: kubeadm of Kubernetes 1.5 cannot make one"
    assert "1.5 knows no address" in found["kubernetes.control_plane_endpoint"]


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("10.78.0.5", "not a host address of 10.77.0.0/24"),
        ("10.77.0.0", "not a host address"),
        ("10.77.0.255", "not a host address"),
        ("10.77.0.1", "belongs to the gateway"),
        ("10.77.0.9", "belongs to w1"),
        ("cp.example", "not an IPv4 address"),
    ],
)
def test_the_endpoint_is_a_free_address_of_the_nodes_network(endpoint: str, message: str) -> None:
    worker = "- {name: w1, role: worker, memory: 2GiB, disk: 12GiB, address: 10.77.0.9}\n"
    found = only(text(1, endpoint, more=worker))
    assert found.field == "kubernetes.control_plane_endpoint"
    assert message in found.message


def test_no_node_is_given_the_endpoint() -> None:
    plain = load("x.yaml", text(1, endpoint=None))
    (first,) = members(plain, {}, {})
    other = load("x.yaml", text(1, endpoint=first.address))
    (moved,) = members(other, {}, {})
    assert moved.address != first.address


def test_a_range_that_the_endpoint_fills_is_too_small() -> None:
    said = text(3, "10.77.0.4").replace("bridge: meshbr0", "nodes: 10.77.0.2-10.77.0.4")
    assert only(said).field == "network.nodes"
    load("x.yaml", said.replace("10.77.0.4\n", "10.77.0.250\n"))


def test_a_cluster_of_a_template_has_the_endpoint_in_its_own_range() -> None:
    cluster = named(load("x.yaml", text(3)), "pr-1")
    moved = placed_in(cluster, "10.90.3.0/24", "br1")
    assert moved.kubernetes.control_plane_endpoint == "10.90.3.250"
    assert netaddr.IPAddress("10.90.3.250") in netaddr.IPNetwork(moved.network.cidr)


def test_under_a_bridge_a_template_cannot_have_two_of_one_endpoint() -> None:
    bridged = text(1).replace("bridge: meshbr0", "mode: bridge, bridge: br0")
    with pytest.raises(InventoryError, match="control_plane_endpoint is the inventory's own cluster's"):
        named(load("x.yaml", bridged), "pr-1")
    assert golden(load("x.yaml", bridged)).kubernetes.control_plane_endpoint is None


# ── on which hosts ───────────────────────────────────────────────────────────────────────────────────────────────


def on(hosts: int, **fixed: str) -> Cluster:
    listed = "".join(f"- {{name: hv{one}, uri: 'qemu+ssh://root@hv{one}/system'}}\n" for one in range(1, hosts + 1))
    said = text(3).replace('- {name: hv1, uri: "qemu:///system"}\n', listed)
    said = said.replace("bridge: meshbr0", "mode: bridge, bridge: br0")
    for node, host in fixed.items():
        said = said.replace(f"name: {node},", f"name: {node}, host: {host},")
    return load("x.yaml", said)


def groups(cluster: Cluster, current: tuple[Tenant, ...] = ()) -> set[str | None]:
    return {node.group for node in apart(cluster, current).control_planes}


def test_control_planes_are_kept_apart_where_there_is_a_host_for_each() -> None:
    assert groups(on(3)) == {CONTROL_PLANES}
    assert groups(on(2)) == {None}


def test_who_says_otherwise_is_right() -> None:
    assert groups(on(3, cp1="hv1", cp2="hv1")) == {None}
    assert groups(on(3, cp1="hv1", cp2="hv2")) == {CONTROL_PLANES}
    own = on(3)
    first = own.nodes[0].model_copy(update={"group": "mine"})
    assert groups(own.model_copy(update={"nodes": (first, *own.nodes[1:])})) == {"mine", None}


def test_guests_that_are_there_are_not_refused_for_it() -> None:
    there = tuple(Tenant("hv1", f"t-{name}", name, (frozenset({1}),), 2048) for name in ("cp1", "cp2"))
    assert groups(on(3), there) == {None}
