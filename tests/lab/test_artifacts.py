"""Base images and bundles on a real libvirt, guests defined and not booted: two laptops, killed and damaged uploads, other bytes."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from provision import bundle, images
from provision.base.content import content_sha256
from provision.base.errors import ConflictError, HypervisorError
from provision.base.events import nowhere
from provision.base.shell import Local, Shell
from provision.base.waiting import NotYet, Ready, wait_until
from provision.bundle import seal
from provision.hosts import Hypervisor, send
from provision.hosts.uploads import content_of
from provision.images.builder import path as image_path
from provision.inventory import load
from provision.lab import Lab, down, up
from provision.libvirt_xml import VolumeSeen, domain_xml
from provision.plan import Plan
from provision.run.destruction import destroy, plan_removal
from provision.run.engine import World, make_plan, opened
from provision.run.stages import guests as guests_stage
from provision.run.stages.order import until
from provision.specs import Artifact, PoolSpec, complete_copy, mark_name
from tests.lab.conftest import for_lab
from tests.unit.bundle.test_bundle import lay_out

pytestmark = pytest.mark.lab

# In a process of its own, so that it can be killed in mid-stream. Arguments: URI, pool, its folder, artifact, file.
UPLOAD = """
import sys
from provision.hosts import Hypervisor, send
from provision.specs import Artifact, PoolSpec
uri, pool, folder, name, path = sys.argv[1:]
artifact = Artifact("base image", "debian-12", name, path, "0" * 64, 1)
send(Hypervisor("host", uri), None, PoolSpec("host", pool, "dir", folder), artifact, lambda sent: None)
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    made = Lab("test-artifacts")
    down(made, Local(), nowhere)
    up(made, Local(), nowhere)
    yield made
    down(made, Local(), nowhere)


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Goes on at a laptop with a cache of its own. Each has built the image, and each has got other bytes."""

    def sit_down(name: str) -> None:
        monkeypatch.setenv("MESHCTL_CACHE", str(tmp_path / name))
        image = image_path(images.recipe("debian-12"))
        if not image.exists():
            image.parent.mkdir(parents=True)
            raw = image.with_suffix(".raw")
            raw.write_bytes((name * 999).encode() * (1 + len(name)) + os.urandom(3 << 20))
            Local().run(["qemu-img", "convert", "-c", "-O", "qcow2", str(raw), str(image)])

    return sit_down


@pytest.fixture
def world(lab: Lab, tmp_path: Path, laptop: Callable[[str], None]) -> Iterator[World]:
    laptop("one")
    folder = lay_out(tmp_path / "bundle", "v1.20.2", "meshctl/l5d-standin:0.8.5", "meshctl/kubectl:v1.20.2")
    seal(folder, "v1.20.2")
    said = for_lab(lab)
    said["kubernetes"]["bundle"] = str(folder)
    inventory = tmp_path / "lab.yaml"
    inventory.write_text(yaml.safe_dump(said, sort_keys=False))
    cluster = load(str(inventory), inventory.read_text())
    # Smaller than any real one, so that all of it can be hashed again and again.
    nodes = tuple(node.model_copy(update={"disk": 64 << 20}) for node in cluster.nodes)
    with opened(cluster.model_copy(update={"nodes": nodes}), nowhere) as made:
        yield made
        destroy(made, plan_removal(made, purge=True), purge=True)
        assert volumes(made) == {}


def host(world: World) -> Hypervisor:
    return next(iter(world.hypervisors.values()))


def pool(world: World) -> PoolSpec:
    return make_plan(world).desired.pools[0]


def shell(world: World) -> Shell:
    return world.reached(world.cluster.hosts[0].name)


def volumes(world: World) -> dict[str, VolumeSeen]:
    return {volume.name: volume for volume in host(world).volumes(world.cluster.hosts[0].pool.name)}


def carry_out(world: World) -> Plan:
    """Everything up to the guests' definitions: they are not started."""
    plan = make_plan(world)
    doors = world.doors(bundle.load(bundle.find(world.cluster.kubernetes.bundle)))
    for stage in until("volumes"):
        stage.run(plan, doors)
    for action in plan.of("guests", "guest"):
        guest = plan.desired.guest(action.name)
        if all(domain.name != guest.domain for domain in host(world).domains()):
            guest = guests_stage._with_bundle(guest, plan, doors)
            host(world).define_domain(domain_xml(guest, guests_stage._put_seed(guest, plan, doors)))
    return plan


def on_hosts(plan: Plan) -> list[tuple[str, str, str]]:
    """What is to be done to base image, bundle, volumes and definitions."""
    stages, verbs = ("hosts", "images", "networks", "volumes"), ("create", "change")
    return [
        (a.kind, a.name, a.verb)
        for a in plan.changes
        if a.stage in stages or (a.kind == "guest" and a.verb.value in verbs)
    ]


def artifact(world: World, kind: str = "base image") -> Artifact:
    return next(one for one in make_plan(world).desired.artifacts if one.kind == kind)


def copy_of(world: World, wanted: Artifact) -> str:
    found = complete_copy(wanted.volume, volumes(world))
    assert found is not None
    return found


def seen_by_guest(path: str) -> str:
    """The sha256 of all that a guest sees on a disk: through the overlay, down to its base."""
    flat = f"{path}.flat"
    Local().run(["qemu-img", "convert", "-O", "raw", path, flat], within_s=120)
    with open(flat, "rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    os.unlink(flat)
    return found


def disks(world: World) -> dict[str, str]:
    """What each guest sees on its root disk."""
    roots = [volume.path for name, volume in volumes(world).items() if ".root." in name]
    return {path: seen_by_guest(path) for path in roots}


def test_two_laptops_take_turns_and_no_guest_loses_a_byte(world: World, laptop: Callable[[str], None]) -> None:
    carry_out(world)
    for path in disks(world):  # the guest wrote something
        Local().run(["qemu-io", "-c", "write -P 0x42 8M 1M", path])
    before, there = disks(world), volumes(world)
    old = copy_of(world, artifact(world))
    for name in ("two", "one", "two", "one"):
        laptop(name)
        mutations = world.calls.mutations
        assert on_hosts(carry_out(world)) == []
        assert world.calls.mutations == mutations
        assert disks(world) == before
    assert volumes(world) == there

    laptop("two")
    added = world.cluster.nodes[1].model_copy(update={"name": "w9", "address": None})
    grown = replace(world, cluster=world.cluster.model_copy(update={"nodes": (*world.cluster.nodes, added)}))
    kinds = [kind for kind, _, _ in on_hosts(carry_out(grown))]
    assert kinds == ["base image", "root volume", "seed", "guest"]
    new = copy_of(grown, artifact(grown))
    assert new != old
    on = {one.name: one.paths for one in host(grown).holders() if one.what == "volume"}
    assert {path: below[0].rpartition("/")[2] for path, below in on.items()} == {
        path: new if ".w9." in path else old for path in disks(grown)
    }
    assert {path: seen for path, seen in disks(grown).items() if ".w9." not in path} == before


def test_what_is_in_the_pool_is_what_was_built(world: World) -> None:
    carry_out(world)
    for kind in ("base image", "bundle"):
        wanted = artifact(world, kind)
        copy = copy_of(world, wanted)
        assert content_sha256(Path(wanted.path)) == wanted.sha256
        by_shell, read_back = (content_of(host(world), door, pool(world), copy) for door in (shell(world), None))
        assert by_shell == read_back == wanted.sha256
        assert wanted.sha256[:32] in copy


def test_an_upload_that_is_killed_in_mid_stream_is_seen_and_cleared(world: World, lab: Lab, tmp_path: Path) -> None:
    wanted, fifo = artifact(world), tmp_path / "fifo"
    doors = world.doors(bundle.load(bundle.find(world.cluster.kubernetes.bundle)))
    until("hosts")[0].run(make_plan(world), doors)
    os.mkfifo(fifo)
    place = world.cluster.hosts[0].pool
    argv = [sys.executable, "-c", UPLOAD, lab.uri, place.name, place.path, wanted.volume, str(fifo)]
    sending = Local().background(argv, log=str(tmp_path / "log"))
    with fifo.open("wb") as content:
        content.write(bytes(1 << 20))
        content.flush()

        def arrived() -> Ready[str] | NotYet:
            found = [
                v.name for v in volumes(world).values() if v.name.startswith("meshctl.") and v.physical >= 256 << 10
            ]
            return Ready(found[0]) if found else NotYet("nothing has come")

        left = wait_until(arrived, what="the first bytes", within_s=30, every_s=0.1)
        during = make_plan(world)
        assert during.of("images", "unfinished upload") == ()
        assert any(left in note for note in during.notes)
        os.kill(sending, signal.SIGKILL)
        os.waitpid(sending, 0)
    after = make_plan(world)
    assert [action.name for action in after.of("images", "unfinished upload")] == [left]
    carry_out(world)
    assert left not in volumes(world)
    assert on_hosts(make_plan(world)) == []


def test_what_arrives_damaged_is_refused_and_leaves_nothing(world: World) -> None:
    doors = world.doors(bundle.load(bundle.find(world.cluster.kubernetes.bundle)))
    until("hosts")[0].run(make_plan(world), doors)
    wrong = replace(artifact(world), sha256="0" * 64)
    for door in (shell(world), None):
        with pytest.raises(HypervisorError, match=r"arrived damaged: sha256 [0-9a-f]{64} instead of 0{64}"):
            send(host(world), door, pool(world), wrong, lambda sent: None)
    assert volumes(world) == {}


def test_a_verified_copy_with_other_bytes_is_refused_by_name_and_left(world: World) -> None:
    """As large as before: only its time says that somebody wrote to it."""
    carry_out(world)
    wanted = artifact(world)
    copy = copy_of(world, wanted)
    path = Path(volumes(world)[copy].path)
    whole = path.read_bytes()
    added = world.cluster.nodes[1].model_copy(update={"name": "w9", "address": None})
    grown = replace(world, cluster=world.cluster.model_copy(update={"nodes": (*world.cluster.nodes, added)}))
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    wrong = path.read_bytes()
    with pytest.raises(ConflictError, match=f"volume {copy} in pool .* was changed: its sha256 is "):
        carry_out(grown)
    assert path.read_bytes() == wrong
    assert not any(".w9." in name for name in volumes(grown))
    path.write_bytes(whole)
    carry_out(grown)
    assert any(".w9.root" in name for name in volumes(grown))
    assert make_plan(grown).of("images") == ()
    path.write_bytes(whole + b"x")
    with pytest.raises(ConflictError, match=f"volume {copy} in pool .* bytes now instead of"):
        make_plan(grown)
    host(grown).delete_volume(pool_name(grown), mark_name(copy))
    assert on_hosts(make_plan(grown)) == []
    destroy(grown, plan_removal(grown, purge=True), purge=True)
    assert list(volumes(grown)) == [copy], "nobody knows of whom it is: perhaps it is still being sent"
    host(grown).delete_volume(pool_name(grown), copy)


def pool_name(world: World) -> str:
    return world.cluster.hosts[0].pool.name
