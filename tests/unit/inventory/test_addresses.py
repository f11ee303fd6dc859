"""Addresses follow from names, and stay when others come and go."""

from __future__ import annotations

import netaddr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.inventory.addresses import Taken, TooSmall, mac_address, node_addresses, pod_prefix_length, pod_subnet
from provision.inventory.model import Network, Node

NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True), min_size=1, max_size=20, unique=True)


def node(name: str, address: str | None = None) -> Node:
    return Node(name=name, role="worker", memory="2GiB", disk="10GiB", address=address)  # type: ignore[arg-type]


def network(cidr: str = "10.77.0.0/24", **more: str) -> Network:
    return Network(cidr=cidr, **more)  # type: ignore[arg-type]


@given(NAMES)
def test_addresses_are_distinct_host_addresses(names: list[str]) -> None:
    found = node_addresses(network(), [node(name) for name in names])
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    usable = set(map(str, netaddr.IPNetwork("10.77.0.0/24").iter_hosts())) - {"10.77.0.1"}
    assert set(found.values()) <= usable


@given(NAMES, st.data())
def test_removing_a_node_moves_no_other_that_is_remembered(names: list[str], data: st.DataObject) -> None:
    before = node_addresses(network(), [node(name) for name in names])
    gone = data.draw(st.sampled_from(names))
    left = [node(name) for name in names if name != gone]
    after = node_addresses(network(), left, {name: before[name] for name in before if name != gone})
    assert after == {name: before[name] for name in before if name != gone}


@given(NAMES, st.from_regex(r"z[a-z]{7}", fullmatch=True))
def test_a_node_added_at_the_end_moves_no_other(names: list[str], new: str) -> None:
    before = node_addresses(network(), [node(name) for name in names])
    after = node_addresses(network(), [*(node(name) for name in names), node(new)])
    assert {name: after[name] for name in names} == before


def test_a_fixed_address_wins_over_a_hash() -> None:
    hashed = node_addresses(network(), [node("w1")])["w1"]
    found = node_addresses(network(), [node("w1"), node("w2", hashed)])
    assert found["w2"] == hashed
    assert found["w1"] != hashed


def test_a_full_range_is_refused_with_the_number() -> None:
    small = network("10.77.0.0/29")
    with pytest.raises(TooSmall, match="the range has 6"):
        node_addresses(small, [node(f"w{i}") for i in range(6)])


@pytest.mark.parametrize(
    ("cidr", "pods", "address", "subnet"),
    [
        ("10.77.0.0/24", "10.244.0.0/16", "10.77.0.61", "10.244.61.0/24"),
        ("10.77.0.0/24", "10.244.0.0/16", "10.77.0.254", "10.244.254.0/24"),
        ("10.77.0.0/22", "10.244.0.0/16", "10.77.1.1", "10.244.64.64/26"),
        ("10.77.0.0/28", "10.244.0.0/16", "10.77.0.2", "10.244.2.0/24"),
    ],
)
def test_pod_subnets_follow_from_the_address(cidr: str, pods: str, address: str, subnet: str) -> None:
    assert pod_subnet(network(cidr), pods, address) == subnet


@pytest.mark.parametrize("cidr", ["10.77.0.0/24", "10.77.0.0/22", "10.77.0.0/29"])
def test_pod_subnets_of_all_addresses_are_disjoint_and_inside(cidr: str) -> None:
    hosts = [str(host) for host in netaddr.IPNetwork(cidr).iter_hosts()]
    subnets = [netaddr.IPNetwork(pod_subnet(network(cidr), "10.244.0.0/16", host)) for host in hosts]
    assert len({subnet.cidr for subnet in subnets}) == len(hosts)
    assert all(subnet in netaddr.IPNetwork("10.244.0.0/16") for subnet in subnets)
    assert len({subnet.first for subnet in subnets}) == len(hosts)


def test_a_pod_cidr_that_cannot_serve_every_address_is_refused() -> None:
    with pytest.raises(TooSmall, match="each of 65534 addresses"):
        pod_prefix_length(network("10.0.0.0/16"), "10.244.0.0/16")


def test_a_range_of_a_large_network_needs_only_its_own_slots() -> None:
    part = network("10.0.0.0/16", nodes="10.0.9.10-10.0.9.40")
    assert pod_prefix_length(part, "10.244.0.0/16") == 24
    assert netaddr.IPAddress(node_addresses(part, [node("w1")])["w1"]) in netaddr.IPRange("10.0.9.10", "10.0.9.40")


@pytest.mark.parametrize(
    ("address", "subnet", "has"),
    [
        ("10.77.0.5", "10.244.5.0/24", True),  # the address alone: who has it may run no pods
        ("10.77.0.6", "10.245.7.0/24", True),
        ("10.77.0.6", "10.245.0.0/16", True),
        ("10.77.0.6", "10.244.5.0/24", False),
    ],
)
def test_what_others_have_is_taken_by_address_and_by_subnet_each_for_itself(
    address: str, subnet: str, has: bool
) -> None:
    assert Taken(frozenset({"10.77.0.5"}), frozenset({"10.245.7.0/24"})).has(address, subnet) is has


def test_mac_addresses_differ_by_cluster_and_node() -> None:
    assert mac_address("a", "w1") != mac_address("b", "w1") != mac_address("b", "w2")
    assert mac_address("a", "w1").startswith("52:54:00:")
