"""An inventory as the template of other clusters: what they have of their own, and which range of addresses they get."""

from __future__ import annotations

import netaddr
import pytest

from provision.base.errors import InventoryError
from provision.inventory import Cluster, bridge_names, free_range, named, placed_in
from provision.libvirt_xml import parse_network
from provision.run.named_network import settled
from tests.unit.sample import CLUSTER

FULL = CLUSTER.model_copy(
    update={
        "network": CLUSTER.network.model_copy(
            update={
                "gateway": "10.77.0.254",
                "nodes": "10.77.0.10-10.77.0.99",
                "nameservers": ("10.77.0.254", "1.1.1.1"),
            }
        )
    }
)
BRIDGED = CLUSTER.model_copy(update={"network": CLUSTER.network.model_copy(update={"mode": "bridge", "bridge": "br0"})})


@pytest.mark.parametrize(
    ("name", "better"), [("PR_12", "pr-12"), ("feature/x y", "feature-x-y"), ("-a-", "a"), ("a" * 64, "a" * 63)]
)
def test_a_name_is_one_as_in_an_inventory(name: str, better: str) -> None:
    with pytest.raises(InventoryError, match="is not a name") as caught:
        named(CLUSTER, name)
    assert caught.value.hint.endswith(f": {better}")


def test_the_inventorys_own_name_is_none_for_another() -> None:
    with pytest.raises(InventoryError, match="lab is the inventory's own cluster"):
        named(CLUSTER, "lab")


def test_the_id_follows_from_the_inventorys_and_is_another_for_each_name() -> None:
    said = CLUSTER.model_copy(update={"id": "0123456789abcdef"})
    ids = {named(said, name).id for name in ("pr-1", "pr-2")} | {said.id}
    assert len(ids) == 3
    assert all(Cluster.model_validate(said.model_copy(update={"id": id_})) for id_ in ids)
    assert named(said, "pr-1").id == named(said, "pr-1").id
    assert named(CLUSTER, "pr-1").id is None
    kept = CLUSTER.model_copy(update={"id_file": "/x/id"})
    assert named(kept, "pr-1").id_file == "/x/id-pr-1"


def test_a_bridged_one_keeps_the_range_and_no_address_of_the_inventorys_own() -> None:
    found = named(BRIDGED, "pr-1")
    assert (found.network.cidr, found.network.bridge, found.network.name) == ("10.77.0.0/24", "br0", "mesh-pr-1")
    assert {node.address for node in found.nodes} == {None}


def test_addresses_keep_their_place_in_the_range() -> None:
    found = placed_in(named(FULL, "pr-1"), "10.9.3.0/24", "meshx")
    network = found.network
    assert (network.cidr, network.gateway, network.nodes) == ("10.9.3.0/24", "10.9.3.254", "10.9.3.10-10.9.3.99")
    assert network.nameservers == ("10.9.3.254", "1.1.1.1")
    assert [node.address for node in found.nodes] == ["10.9.3.11", "10.9.3.12"]
    assert network.node_range() == ("10.9.3.10", "10.9.3.99")


def test_a_range_is_free_of_others_and_of_the_inventorys_own() -> None:
    taken: list[str] = []
    for number in range(20):
        taken.append(free_range(named(CLUSTER, f"pr-{number % 2}"), taken))
    assert len(netaddr.IPSet(taken)) == 20 * 256
    own = netaddr.IPSet(["10.77.0.0/24", "10.244.0.0/16", "10.96.0.0/12"])
    assert own.isdisjoint(netaddr.IPSet(taken))
    assert all(netaddr.IPNetwork(one) in netaddr.IPNetwork("10.0.0.0/8") for one in taken)


def test_where_the_inventorys_block_is_full_another_is_taken_and_then_it_is_said() -> None:
    found = free_range(named(CLUSTER, "pr-1"), ["10.0.0.0/8"])
    assert netaddr.IPNetwork(found) in netaddr.IPNetwork("172.16.0.0/12")
    with pytest.raises(InventoryError, match="no private range of a /24 is free for cluster pr-1"):
        free_range(named(CLUSTER, "pr-1"), ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"])


def test_a_bridge_has_a_name_that_linux_takes() -> None:
    names = bridge_names("a-cluster-with-a-rather-long-name-of-a-branch")
    assert all(len(next(names)) == 12 for _ in range(3))


def routes() -> list[str]:
    return []


def test_its_network_is_found_again_by_its_stamp() -> None:
    mine = named(CLUSTER, "pr-1")
    first = settled(mine, (), (), routes)
    theirs = parse_network(
        f"<network><name>x</name><bridge name='{first.network.bridge}'/>"
        f"<ip address='{first.network.gateway_address}' prefix='24'/></network>",
        active=True,
    )
    second = settled(mine, (), (theirs,), routes)
    assert second.network.cidr != first.network.cidr
    assert second.network.bridge != first.network.bridge
    stamp = "<metadata><m:stamp xmlns:m='urn:meshctl:stamp:1' cluster='pr-1'/></metadata><ip address='10.5.5.1' prefix='24'/>"
    own = parse_network(f"<network><name>mesh-pr-1</name><bridge name='meshq'/>{stamp}</network>", active=True)
    again = settled(mine, (), (theirs, own), lambda: pytest.fail("a host is asked for a range that is known"))
    assert (again.network.cidr, again.network.bridge) == ("10.5.5.0/24", "meshq")


def test_what_the_host_has_a_way_to_is_not_taken() -> None:
    mine = named(CLUSTER, "pr-1")
    first = settled(mine, (), (), routes).network.cidr
    assert settled(mine, (), (), lambda: [first]).network.cidr != first
