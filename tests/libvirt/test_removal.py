"""What `destroy` meets beside what meshctl made, on libvirt's test driver: found before anything is touched, or gone with it."""

from __future__ import annotations

from typing import Any

import pytest

from provision.base.errors import ConflictError
from provision.libvirt_xml.domain_xml import upload_volume_xml
from provision.run.destruction import destroy, plan_removal
from provision.run.engine import World, make_plan, provision
from provision.specs.volume_names import volume_name
from tests.libvirt import test_engine
from tests.libvirt.test_engine import guests_too

cluster, events, empty = test_engine.cluster, test_engine.events, test_engine.world
DOMAIN = "demo-w1"
THEIRS = "<domain type='test'><name>theirs</name><memory>1024</memory><os><type>hvm</type></os><devices>{}</devices></domain>"


@pytest.fixture
def world(empty: World) -> World:
    provision(empty, make_plan(empty), "volumes")
    guests_too(empty)
    return empty


@pytest.fixture
def by_hand(world: World) -> Any:
    """The same libvirt, as somebody else has it: the test driver's state is the connection's own."""
    return world.hypervisors["hv1"]._connection.use("do it by hand", changes=True)


def root(world: World) -> str:
    return next(volume.path for volume in make_plan(world).desired.volumes if volume.node == "w1")


def refused(world: World, said: str) -> None:
    """`destroy` says what is in the way, and has touched nothing."""
    before = world.hypervisors["hv1"].domains(), world.calls.mutations
    with pytest.raises(ConflictError, match="nothing was removed") as caught:
        plan_removal(world, purge=False)
    assert said in caught.value.message
    assert (world.hypervisors["hv1"].domains(), world.calls.mutations) == before


def test_snapshots_and_saved_memory_are_said_and_go_with_the_guest(world: World, by_hand: Any) -> None:
    by_hand.lookupByName(DOMAIN).snapshotCreateXML("<domainsnapshot><name>before</name></domainsnapshot>")
    by_hand.lookupByName("demo-cp1").managedSave()
    agreed = plan_removal(world, purge=False)
    assert {one.name: one.detail for one in agreed if one.kind == "guest"} == {
        "demo-cp1": "with saved memory",
        DOMAIN: "with snapshots",
    }
    destroy(world, agreed)
    assert world.hypervisors["hv1"].domains() == ()
    assert plan_removal(world, purge=False) == ()


def test_a_foreign_guest_on_our_disk_is_found_first(world: World, by_hand: Any) -> None:
    by_hand.defineXML(THEIRS.format(f"<disk type='file'><source file='{root(world)}'/><target dev='vda'/></disk>"))
    refused(world, "hv1: domain theirs, which is not the cluster's, uses demo.w1.root.")


def test_a_foreign_volume_over_ours_is_found_first(world: World, by_hand: Any) -> None:
    by_hand.storagePoolLookupByName("meshctl").createXML(
        "<volume><name>copy.qcow2</name><capacity>1</capacity><target><format type='qcow2'/></target>"
        f"<backingStore><path>{root(world)}</path><format type='qcow2'/></backingStore></volume>"
    )
    refused(world, "hv1: volume copy.qcow2, which is not the cluster's, lies over demo.w1.root.")


def test_a_foreign_guest_on_our_network_is_found_first(world: World, by_hand: Any) -> None:
    link = "<interface type='network'><mac address='52:54:00:00:00:01'/><source network='meshctl'/></interface>"
    by_hand.defineXML(THEIRS.format(link))
    refused(world, "hv1: domain theirs, which is not the cluster's, is on network meshctl")


def test_a_pool_that_nobody_can_look_into_is_found_first(world: World, by_hand: Any) -> None:
    by_hand.storagePoolLookupByName("meshctl").destroy()
    refused(world, "hv1: pool meshctl is not active, so that nobody sees its volumes")


def test_console_logs_that_were_turned_over_are_ours(world: World) -> None:
    hypervisor = world.hypervisors["hv1"]
    logs = [volume_name(world.cluster.owner, "w1", "console", f"log{number}") for number in ("", ".0", ".1")]
    theirs = logs[0].replace(".log", ".log.old")
    for name in (*logs, theirs):
        hypervisor.create_volume("meshctl", upload_volume_xml(name, private=False))
    destroy(world, plan_removal(world, purge=False))
    left = {volume.name for volume in hypervisor.volumes("meshctl")}
    assert left & {*logs, theirs} == {theirs}


def test_a_pool_is_not_given_up_while_it_holds_what_nobody_saw(world: World, by_hand: Any) -> None:
    by_hand.storagePoolLookupByName("meshctl").destroy()
    with pytest.raises(ConflictError, match="hv1: pool meshctl holds"):
        world.hypervisors["hv1"].remove_pool("meshctl")
    assert [pool.active for pool in world.hypervisors["hv1"].pools()] == [True]
