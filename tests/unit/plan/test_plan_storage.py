"""Logical volumes and whole devices in plans and removals, and in what the guest gets of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import yaml
from lxml import etree

from provision.guests.seed import render, seed_digest
from provision.inventory.model import Cluster
from provision.libvirt_xml.domain_xml import domain_xml
from provision.plan.compare import Verb, plan
from provision.plan.desired import desired, wishes
from provision.plan.observed import HostSeen, Observed
from provision.plan.removal import removals
from provision.specs import Owner
from provision.specs.objects import Desired, HostTraits
from provision.specs.stamp import Stamp
from provision.specs.volume_names import stem
from provision.storage.allot import Device
from provision.storage.claims import OWN_TAG, READY_TAG, THIN_POOL, Claim, claim_text
from provision.storage.guard import Obstacle
from provision.storage.seen import Group, Logical, Named, StorageSeen
from tests.unit.guests.test_seed import KEY
from tests.unit.sample import ARTIFACTS, CLUSTER, PINNINGS

VOLUMES = ({"name": "tracing", "size": "4GiB", "mount": "/var/lib/tracing"},)
ROOT = stem(Owner("lab"), "w1", "root")
DATA = stem(Owner("lab"), "w1", "data-tracing")
EMPTY = HostSeen((), (), (), (), "kvm")


def cluster(**pool: object) -> Cluster:
    """Of one worker's worth: w1 has a data volume."""
    said = CLUSTER.model_dump(exclude_none=True, mode="python")
    hosts = (CLUSTER.hosts[0].model_copy(update={"pool": CLUSTER.hosts[0].pool.model_copy(update=pool)}),)
    w1 = CLUSTER.nodes[1].__class__.model_validate(
        {**{k: said["nodes"][1][k] for k in ("name", "role", "vcpus", "address")}, "memory": "2GiB", "disk": "12GiB",
         "volumes": VOLUMES}
    )  # fmt: skip
    return CLUSTER.model_copy(update={"hosts": hosts, "nodes": (w1,)})


LOGICAL = cluster(type="logical", volume_group="vg0", thin=True, devices=("/dev/nvme1n1",))
BLOCK = cluster(type="block", devices=("/dev/nvme0n1p3", "/dev/nvme0n1p4"))
DEVICES = {ROOT: Device("/dev/nvme0n1p3", 20_000), DATA: Device("/dev/nvme0n1p4", 10_000)}


def wanted(said: Cluster) -> Desired:
    pins = {"w1": PINNINGS["w1"]}
    return desired(said, pins, {"hv1": HostTraits("kvm")}, {}, ARTIFACTS, {"w1": "d" * 64}, DEVICES)


def actions(said: Cluster, storage: StorageSeen, *wipes: Obstacle) -> list[tuple[Verb, str, str]]:
    member = replace(wanted(said).members[0], role="control-plane")
    found = plan(
        replace(wanted(said), members=(member,)),
        Observed({"hv1": replace(EMPTY, storage=storage)}, wipes={"hv1": wipes}),
    )
    kinds = ("volume group", "thin pool", "device", "root volume", "data volume")
    return [(one.verb, one.kind, one.name) for one in found.actions if one.kind in kinds]


def with_group(*volumes: Logical, tags: tuple[str, ...] = ()) -> StorageSeen:
    return StorageSeen(groups={"vg0": Group("vg0", 1 << 40, 1 << 39, tags, ("/dev/nvme1n1",))}, logicals=volumes)


def on_devices(**claims: Claim) -> StorageSeen:
    return StorageSeen(named={f"/dev/{n}": Named(f"/dev/{n}", n, 1 << 40, claim_text(c)) for n, c in claims.items()})


def test_a_nodes_volumes_are_wished_for_by_stamp_and_size() -> None:
    assert [(wish.name, wish.size_mib) for wish in wishes(LOGICAL, "w1")] == [(ROOT, 12288), (DATA, 4096)]


def test_group_thin_pool_and_volumes_are_made_when_there_are_none() -> None:
    assert actions(LOGICAL, StorageSeen()) == [
        (Verb.CREATE, "volume group", "vg0"),
        (Verb.CREATE, "thin pool", "vg0/meshctl-thin"),
        (Verb.CREATE, "root volume", ROOT),
        (Verb.CREATE, "data volume", DATA),
    ]


def test_what_is_ready_is_left_and_what_was_being_filled_is_filled_again() -> None:
    there = with_group(Logical("vg0", THIN_POOL, 1), Logical("vg0", ROOT, 1), Logical("vg0", DATA, 1, (READY_TAG,)))
    assert [verb for verb, _, _ in actions(LOGICAL, there)] == [Verb.LEAVE, Verb.LEAVE, Verb.CHANGE, Verb.LEAVE]
    claimed = on_devices(nvme0n1p3=Claim(ROOT, ready=False), nvme0n1p4=Claim(DATA, ready=True))
    assert [verb for verb, _, _ in actions(BLOCK, claimed)] == [Verb.CHANGE, Verb.LEAVE]


def test_a_volume_of_another_group_is_not_ours() -> None:
    there = with_group(Logical("vg1", ROOT, 1, (READY_TAG,)))
    assert (Verb.CREATE, "root volume", ROOT) in actions(LOGICAL, there)


def test_what_is_wiped_stands_in_the_plan_before_anything_is_made_of_it() -> None:
    found = actions(BLOCK, StorageSeen(), Obstacle("/dev/nvme0n1p3", ("ext4",), (), ("S1",)))
    assert found[0] == (Verb.CHANGE, "device", "/dev/nvme0n1p3")


def test_a_logical_volume_is_a_raw_block_disk_of_the_guest() -> None:
    root, data = _disks(LOGICAL)
    assert root.get("type") == "block"
    assert root.find("driver").get("type") == "raw"
    assert root.find("source").get("dev") == f"/dev/vg0/{ROOT}"
    assert data.find("source").get("dev") == f"/dev/vg0/{DATA}"
    assert (data.find("target").get("dev"), data.findtext("serial")) == ("vdd", "data-tracing")


def test_of_a_device_the_guest_sees_all_but_the_claim() -> None:
    root, data = _disks(BLOCK)
    assert root.find("source").get("dev") == "/dev/nvme0n1p3"
    piece = root.find("source/slices/slice")
    assert (piece.get("type"), piece.get("offset"), piece.get("size")) == ("storage", "0", str(20_000 << 20))
    assert data.find("source/slices/slice").get("size") == str(10_000 << 20)


def _disks(said: Cluster) -> list[Any]:
    xml = domain_xml(wanted(said).guests[0], Stamp("lab", "w1", "d"))
    return [disk for disk in etree.fromstring(xml).findall("devices/disk") if disk.find("readonly") is None]


def test_destroy_takes_our_volumes_and_claims_and_leaves_others() -> None:
    theirs = stem(Owner("prod"), "w1", "root")
    there = with_group(Logical("vg0", ROOT, 1), Logical("vg0", "data", 1), Logical("vg0", theirs, 1))
    found = removals(Owner("lab"), [(LOGICAL.hosts[0], replace(EMPTY, storage=there))], purge=True)
    assert [(one.kind, one.name, one.pool, one.store) for one in found] == [("root volume", ROOT, "vg0", "logical")]
    claimed = on_devices(nvme0n1p3=Claim(ROOT, ready=True), nvme0n1p4=Claim(theirs, ready=True))
    found = removals(Owner("lab"), [(BLOCK.hosts[0], replace(EMPTY, storage=claimed))], purge=False)
    assert [(one.kind, one.name, one.store) for one in found] == [("root volume", "/dev/nvme0n1p3", "block")]


def test_purge_takes_a_group_of_ours_that_is_empty_then() -> None:
    volumes = (Logical("vg0", THIN_POOL, 1, (OWN_TAG,)), Logical("vg0", ROOT, 1))
    for tags, kinds in (((OWN_TAG,), ["root volume", "thin pool", "volume group"]), ((), ["root volume", "thin pool"])):
        there = replace(EMPTY, storage=with_group(*volumes, tags=tags))
        assert [one.kind for one in removals(Owner("lab"), [(LOGICAL.hosts[0], there)], purge=True)] == kinds


def test_purge_leaves_a_group_of_ours_that_somebody_else_has_a_volume_in() -> None:
    for other in ("data", stem(Owner("prod"), "w1", "root"), stem(Owner("lab", "0123456789abcdef"), "w1", "root")):
        volumes = (Logical("vg0", THIN_POOL, 1, (OWN_TAG,)), Logical("vg0", ROOT, 1), Logical("vg0", other, 1))
        there = replace(EMPTY, storage=with_group(*volumes, tags=(OWN_TAG,)))
        found = removals(Owner("lab"), [(LOGICAL.hosts[0], there)], purge=True)
        assert [one.kind for one in found] == ["root volume"]


def test_the_seed_formats_blank_volumes_only_and_mounts_them() -> None:
    member = wanted(LOGICAL).members[0]
    said = yaml.safe_load(render(LOGICAL, member, (member,), "ssh-ed25519 AAAA", KEY).user_data.reveal())
    (command,) = said["bootcmd"]
    assert command[:2] == ["sh", "-c"]
    assert command[3:] == ["meshctl", "data-tracing", "/var/lib/tracing", "ext4"]
    plain = LOGICAL.model_copy(update={"nodes": (LOGICAL.nodes[0].model_copy(update={"volumes": ()}),)})
    assert seed_digest(LOGICAL, member, "k") != seed_digest(plain, member, "k")
    assert "bootcmd" not in render(plain, member, (member,), "k", KEY).user_data.reveal()
