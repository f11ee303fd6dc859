"""Base images and bundles in pools, against libvirt's test driver: two laptops, ended uploads, what others live on."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from provision import images
from provision.base import data
from provision.base.errors import ConflictError
from provision.base.events import Event, Warned
from provision.hosts import remove_copy
from provision.images.builder import path as image_path
from provision.inventory.model import Cluster
from provision.libvirt_xml import upload_volume_xml
from provision.plan import Plan, Verb
from provision.run.destruction import destroy, plan_removal
from provision.run.engine import World, make_plan, provision
from provision.run.stages.order import until
from tests.libvirt.test_engine import _sealed, cluster, events, guests_too, world

__all__ = ["cluster", "events", "world"]

LEFT = "meshctl.debian-12.0123456789abcdef0123456789abcdef-00c0ffee.qcow2"
"""An upload that has no mark."""

OVERLAY = """<volume><name>theirs.qcow2</name><capacity unit="MiB">9</capacity><target><format type="qcow2"/></target>
<backingStore><path>{base}</path><format type="qcow2"/></backingStore></volume>"""

FOREIGN = """<domain type="test"><name>theirs</name><memory>1024</memory><os><type>hvm</type></os><devices>
<disk type="file" device="disk"><source file="/elsewhere/top.qcow2"/><backingStore type="file"><format type="qcow2"/>
<source file="{base}"/></backingStore><target dev="vda"/></disk></devices></domain>"""


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes], None]:
    """Goes on at a laptop with a cache of its own, in which the image has this content."""

    def sit_down(name: str, content: bytes) -> None:
        monkeypatch.setenv("MESHCTL_CACHE", str(tmp_path / name))
        image = image_path(images.recipe("debian-12"))
        image.parent.mkdir(parents=True, exist_ok=True)
        if not image.exists():
            image.write_bytes(content)

    return sit_down


def made(world: World) -> None:
    provision(world, make_plan(world), "volumes")
    guests_too(world)


def names(world: World) -> set[str]:
    return {volume.name for volume in world.hypervisors["hv1"].volumes("meshctl")}


def copies(world: World, what: str = "debian-12") -> set[str]:
    return {name for name in names(world) if name.startswith(f"meshctl.{what}.") and not name.endswith(".verified")}


def changed(plan: Plan) -> set[tuple[str, str]]:
    """What is to be done on the host: the test driver's guests answer nobody."""
    return {(a.stage, a.kind) for a in plan.changes if a.stage not in ("kubernetes", "mesh") and a.kind != "boot"}


def with_node(cluster: Cluster, name: str) -> Cluster:
    added = cluster.nodes[1].model_copy(update={"name": name, "vcpus": 1})
    return cluster.model_copy(update={"nodes": (*cluster.nodes, added)})


def carry_out(world: World, plan: Plan) -> None:
    """The stages up to volumes, without a second look: guests of the test driver fail to answer in changing words."""
    doors = world.doors(_sealed(world))
    for stage in until("volumes"):
        stage.run(plan, doors)


def test_what_was_sent_is_complete_afterwards(world: World) -> None:
    provision(world, make_plan(world), "images")
    assert make_plan(world).of("images") == ()


def test_an_image_rebuilt_on_another_laptop_plans_nothing_for_guests_that_there_are(
    world: World, laptop: Callable[[str, bytes], None]
) -> None:
    laptop("one", b"built by one")
    made(world)
    before = names(world)
    for name in ("two", "one", "two"):
        laptop(name, f"built by {name}, with other bytes".encode())
        plan = make_plan(world)
        assert changed(plan) == set()
        mutations = world.calls.mutations
        carry_out(world, plan)
        assert world.calls.mutations == mutations
    assert names(world) == before


def test_a_new_node_gets_the_new_image_and_the_others_keep_theirs(
    world: World, laptop: Callable[[str, bytes], None]
) -> None:
    laptop("one", b"built by one")
    made(world)
    (old,) = copies(world)
    laptop("two", b"built by two, with other bytes")
    grown = replace(world, cluster=with_node(world.cluster, "w2"))
    plan = make_plan(grown)
    assert changed(plan) == {
        ("images", "base image"),
        ("volumes", "root volume"),
        ("volumes", "seed"),
        ("guests", "guest"),
    }
    carry_out(grown, plan)
    (new,) = copies(world) - {old}
    volumes = [holder for holder in grown.hypervisors["hv1"].holders() if holder.what == "volume"]
    below = {holder.name.rpartition("/")[2].split(".")[1]: holder.paths for holder in volumes}
    folder = grown.cluster.hosts[0].pool.path
    assert below["w2"] == (f"{folder}/{new}",)
    assert below["cp1"] == below["w1"] == (f"{folder}/{old}",)


def test_a_guest_keeps_its_bundle_by_its_stamp_and_without_one_by_its_disk(world: World) -> None:
    made(world)
    (bundle,) = copies(world, "bundle")
    for domain in world.hypervisors["hv1"].domains():
        assert domain.stamp is not None
        assert domain.stamp.bundle == bundle
        assert any(disk.endswith(f"/{bundle}") for disk in domain.disks)


def test_an_upload_that_was_ended_is_left_aside_and_removed(world: World) -> None:
    provision(world, make_plan(world), "hosts")
    world.hypervisors["hv1"].create_volume("meshctl", upload_volume_xml(LEFT, private=False))
    plan = make_plan(world)
    assert [(a.verb, a.name) for a in plan.of("images", "unfinished upload")] == [(Verb.CHANGE, LEFT)]
    provision(world, plan, "images")
    assert LEFT not in names(world)
    assert len(copies(world)) == 1


def test_an_upload_of_another_process_is_not_touched(world: World) -> None:
    """Its lock is held as long as it lives, and the kernel frees it whatever its end is."""
    provision(world, make_plan(world), "hosts")
    world.hypervisors["hv1"].create_volume("meshctl", upload_volume_xml(LEFT, private=False))
    lock = data.cache("uploads", "00c0ffee")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        plan = make_plan(world)
        assert plan.of("images", "unfinished upload") == ()
        assert any(LEFT in note for note in plan.notes)
        destroy(world, plan_removal(world, purge=True), purge=True)
        assert LEFT in names(world)
    assert make_plan(world).of("images", "unfinished upload")
    destroy(world, plan_removal(world, purge=True), purge=True)
    assert world.hypervisors["hv1"].pools() == ()
    assert not lock.exists()


@pytest.mark.parametrize("by", ["volume", "domain"])
def test_purge_leaves_what_somebody_elses_domain_or_volume_lies_on(world: World, events: list[Event], by: str) -> None:
    made(world)
    hypervisor = world.hypervisors["hv1"]
    (base,) = copies(world)
    path = f"{world.cluster.hosts[0].pool.path}/{base}"
    if by == "volume":
        hypervisor.create_volume("meshctl", OVERLAY.format(base=path))
    else:
        hypervisor.define_domain(FOREIGN.format(base=path))
    destroy(world, plan_removal(world, purge=True), purge=True)
    assert copies(world) == {base}
    assert copies(world, "bundle") == set()
    assert any(isinstance(event, Warned) and f"{base} stays: needed by {by} " in event.message for event in events)


def test_a_copy_is_looked_at_once_more_before_it_is_deleted(world: World) -> None:
    made(world)
    agreed = plan_removal(world, purge=True)
    hypervisor, (base,) = world.hypervisors["hv1"], copies(world)
    hypervisor.define_domain(FOREIGN.format(base=f"/elsewhere/{base}"))
    with pytest.raises(ConflictError, match="the world changed"):
        destroy(world, agreed, purge=True)
    users = remove_copy(hypervisor, "meshctl", base)
    assert "domain theirs" in users
    assert {base, f"{base}.verified"} <= names(world)


def test_nothing_goes_while_somebody_else_lies_on_a_root_volume(world: World) -> None:
    made(world)
    root = next(name for name in names(world) if name.startswith("demo.w1.root."))
    hypervisor, (base,) = world.hypervisors["hv1"], copies(world)
    hypervisor.create_volume("meshctl", OVERLAY.format(base=f"{world.cluster.hosts[0].pool.path}/{root}"))
    before = names(world)
    with pytest.raises(
        ConflictError, match=r"nothing was removed(.|\n)*volume theirs.qcow2, which is not the cluster's, lies over"
    ):
        plan_removal(world, purge=True)
    assert {root, base, f"{base}.verified", "theirs.qcow2"} <= names(world) == before
