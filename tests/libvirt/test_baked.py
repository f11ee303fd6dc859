"""`image bake` on a real libvirtd, whose guests start and have nothing to boot: what is done inside of the guest is for the lab.

From the first killed bake on the tests build on each other, in the order of this file.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from provision import images
from provision.base.content import content_sha256
from provision.base.errors import ConflictError, HypervisorError, MeshctlError, StorageError
from provision.base.events import Event, nowhere
from provision.base.shell import Local
from provision.hosts import Hypervisor, fetch
from provision.inventory import GOLDEN, golden
from provision.libvirt_xml import pool_xml, upload_volume_xml
from provision.plan import Verb
from provision.plan.desired import pool_spec
from provision.run import baking
from provision.run.baking import bake, plan_bake
from provision.run.engine import World, make_plan, opened
from provision.run.stages import baking as stages
from provision.run.stages import guests
from provision.specs import PoolSpec, complete_copy
from tests.libvirt.killing import cluster_of
from tests.libvirt.real_daemon import daemon
from tests.libvirt.throwaway import Ground, lay_ground


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("hv")
    with pytest.MonkeyPatch.context() as patch, daemon(folder / "libvirt") as uri:
        patch.setenv("MESHCTL_CACHE", str(folder / "cache"))
        patch.setenv("MESHCTL_STATE", str(folder / "state"))
        made = lay_ground(folder, uri)
        with made.door() as door:
            door.create_pool(pool_xml(pool_spec(cluster_of(made.inventory.read_text()).hosts[0])))
        yield made


@contextmanager
def oven(ground: Ground, events: list[Event] | None = None) -> Iterator[World]:
    said = golden(cluster_of(ground.inventory.read_text()))
    emit = nowhere if events is None else events.append
    with opened(said, emit, named=True, plain=True) as made:
        yield made


def left(ground: Ground) -> tuple[set[str], set[str], set[str]]:
    """What is there of the throw-away cluster: domains, networks, volumes."""
    with ground.door() as door:
        domains = {one.name for one in door.domains() if one.name.startswith("bake-")}
        networks = {one.name for one in door.networks() if "bake" in one.name}
        pool = next(one.name for one in door.pools())
        volumes = {one.name for one in door.volumes(pool) if one.name.startswith("bake-")}
    return domains, networks, volumes


@pytest.fixture
def without_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest is taken for booted, loaded and cleaned; it is off when its disk is read."""

    def off(plan, doors) -> None:  # type: ignore[no-untyped-def]
        guest = plan.desired.guest(GOLDEN)
        doors.hypervisors[guest.host].stop_domain(guest.domain)

    monkeypatch.setattr(guests, "settle", lambda *_: None)
    steps = {"loading": lambda *_: None, "cleaning": off}
    made = tuple(replace(one, run=steps.get(one.name, one.run)) for one in stages.STAGES)
    monkeypatch.setattr(baking, "STAGES", made)


def test_a_volume_comes_as_it_lies_on_the_host(ground: Ground, tmp_path: Path) -> None:
    with ground.door() as door:
        pool = pool_spec(cluster_of(ground.inventory.read_text()).hosts[0])
        content = bytes(range(256)) * 5000
        door.create_volume(pool.name, upload_volume_xml("some.qcow2", private=False))
        door.upload(pool.name, "some.qcow2", io.BytesIO(content))
        got: list[int] = []
        fetch(door, Local(), pool, "some.qcow2", tmp_path / "by-shell", got.append)
        fetch(door, None, pool, "some.qcow2", tmp_path / "read-twice", got.append)
        assert (tmp_path / "by-shell").read_bytes() == (tmp_path / "read-twice").read_bytes() == content
        assert got[-1] == len(content)

        class Damaging(Hypervisor):
            def download(self, pool, volume, content, on_bytes=None) -> None:  # type: ignore[no-untyped-def]
                content.write(b"x")

        damaging = Damaging(door.host, door.uri)
        with pytest.raises(HypervisorError, match=r"some\.qcow2 arrived damaged: sha256 [0-9a-f]{64} instead of"):
            fetch(
                damaging,
                Local(),
                PoolSpec(pool.host, pool.name, "dir", pool.path),
                "some.qcow2",
                tmp_path / "x",
                got.append,
            )
        damaging.close()
        door.delete_volume(pool.name, "some.qcow2")


def test_it_says_what_it_would_do_and_changes_nothing(ground: Ground) -> None:
    done = ground.meshctl("image", "bake", "INVENTORY", "--dry-run")
    assert done.returncode == 0, done.stderr
    for said in (
        "bake-demo-image",
        "to send",
        "free",
        "in a network of its own",
        "while it is made",
        "Kubernetes v1.20.2",
    ):
        assert said in done.stderr, done.stderr
    assert left(ground) == (set(), set(), set())
    asked = ground.meshctl("image", "bake", "INVENTORY")
    assert (asked.returncode, "say --yes" in asked.stderr) == (2, True)


def test_one_that_fails_leaves_nothing_but_what_was_sent(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, without_inside: None
) -> None:
    def broken(*_: object) -> None:
        assert left(ground)[0] == {"bake-demo-image"}
        raise MeshctlError("image: cloud-init init: broken")

    monkeypatch.setattr(guests, "settle", broken)
    with oven(ground) as world, pytest.raises(MeshctlError, match="cloud-init init: broken"):
        bake(world, plan_bake(world))
    assert left(ground) == (set(), set(), set())
    assert images.all_baked() == ()


def test_what_a_killed_one_left_is_shown_and_goes_first(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, without_inside: None
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(guests, "settle", killed)
        with oven(ground) as world, pytest.raises(Killed):
            bake(world, plan_bake(world))
    domains, networks, volumes = left(ground)
    assert (domains, networks, len(volumes) >= 2) == ({"bake-demo-image"}, {"mesh-bake-demo"}, True)
    with ground.door() as door:
        (stamp,) = [one.stamp for one in door.domains() if one.name == "bake-demo-image"]
    assert stamp is not None
    assert stamp.upkeep.expires, "gc would never take it"
    events: list[Event] = []
    with oven(ground, events) as world:
        agreed = plan_bake(world)
        assert {one.name for one in agreed.leftovers} >= domains | networks
        assert "which an ended bake left" in agreed.as_text()
        made = bake(world, agreed)
    assert left(ground) == (set(), set(), set())
    assert images.all_baked() == (made,)
    said = json.loads(Local().run(["qemu-img", "info", "--output", "json", str(made.path)]).stdout)
    assert (said["virtual-size"], "backing-filename" in said) == (8192 << 20, False)


def test_new_nodes_begin_as_the_baked_image_of_just_this_bundle(ground: Ground, without_inside: None) -> None:
    with oven(ground) as world:
        made = bake(world, plan_bake(world))
        assert make_plan(world).desired.base_image.sha256 != made.sha256, "a bake begins with the plain one"
    with ground.world() as world:
        plan = make_plan(world)
        base = plan.desired.base_image
        assert (base.sha256, base.path) == (made.sha256, str(made.path))
        (sent,) = plan.of("images", "base image")
        assert sent.verb is Verb.CREATE
        assert "debian-12, baked with Kubernetes v1.20.2, is not in pool" in sent.reason
    ground.build()
    with ground.door() as door:
        pool = next(one.name for one in door.pools())
        copy = complete_copy(base.volume, door.volume_names(pool))
        lies_on = {one.name: one.paths for one in door.holders() if one.what == "volume" and ".root." in one.name}
        assert copy is not None
        assert lies_on
        assert all(paths[0].endswith(copy) for paths in lies_on.values())


def test_guests_that_there_are_keep_theirs_when_it_is_gone(ground: Ground) -> None:
    (made,) = images.all_baked()
    aside = made.path.with_suffix(".aside")
    made.path.rename(aside)
    with ground.world() as world:
        plan = make_plan(world)
        assert plan.desired.base_image.volume.startswith("meshctl.debian-12.")
        kinds = {action.kind for action in plan.changes if action.stage in ("images", "volumes", "networks")}
        assert kinds == set()
        assert plan.of("guests", "guest") == ()
    aside.rename(made.path)


def test_baked_again_it_is_there_already(ground: Ground) -> None:
    (made,) = images.all_baked()
    done = ground.meshctl("image", "bake", "INVENTORY", "--yes")
    assert (done.returncode, done.stdout.strip()) == (0, str(made.path))
    assert "is that already" in done.stderr
    listed = ground.meshctl("image", "list").stdout
    assert f"debian-12 with Kubernetes v1.20.2\t{made.path}\tbaked " in listed


def test_a_pool_without_room_is_refused_before_anything_is_made(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made,) = images.all_baked()
    said = made.path.with_suffix(".json")
    text = said.read_text()
    said.unlink()
    monkeypatch.setattr(baking, "SPARE", 1 << 60)
    monkeypatch.setattr(images, "check_room", lambda _: None)
    with oven(ground) as world, pytest.raises(StorageError, match="free, the bake needs"):
        plan_bake(world)
    said.write_text(text)


def test_a_real_cluster_of_the_bakes_name_is_never_taken_away(ground: Ground) -> None:
    ground.build("bake-demo")
    with ground.world("bake-demo") as real, oven(ground) as world:
        mistaken = replace(world, cluster=world.cluster.model_copy(update={"id": real.cluster.id}))
        with pytest.raises(ConflictError, match=r"cluster bake-demo is no bake's: .*bake-demo-cp1"):
            plan_bake(mistaken)
    assert content_sha256(images.all_baked()[0].path)
