"""Disks that are gone from the pool while their guests are defined, on libvirt's test driver with doubles of Kubernetes for the nodes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from provision.base.errors import ConflictError
from provision.plan import Verb
from provision.run import plan_restore
from provision.run.backup_file import Backup, described
from provision.run.engine import World, go_through, make_plan
from provision.run.stages import images, rebuild
from provision.run.stages.guests import _bring_up
from provision.run.stages.order import STAGES
from provision.specs import PUT_BACK, THROWN_AWAY, is_bundle, marked_copy
from tests.libvirt import test_rebuild
from tests.libvirt.test_engine import _sealed
from tests.libvirt.test_rebuild import doors, files, made, planned, seen, stamp
from tests.unit.kubernetes.test_kubernetes_1_5 import Cluster as Kube
from tests.unit.run.test_backup_file import backup

events, kube, world = test_rebuild.events, test_rebuild.kube, test_rebuild.world


def lose(world: World, *kinds: str, node: str = "w1") -> None:
    """Somebody deletes what a node has in the pool, of these kinds."""
    door = world.hypervisors["hv1"]
    for name in [one.name for one in door.volumes("meshctl") if one.name.startswith(f"demo.{node}.")]:
        if name.split(".")[2].partition("-")[0] in kinds:
            door.delete_volume("meshctl", name)


def test_nothing_blank_is_made_in_the_place_of_a_root_volume_that_is_gone(world: World) -> None:
    lose(world, "root")
    world.hypervisors["hv1"].stop_domain("demo-w1")
    before = world.calls.mutations
    with pytest.raises(
        ConflictError, match=r"guest w1 cannot start: its root volume demo\.w1\.root\..* `meshctl rebuild INVENTORY w1`"
    ):
        make_plan(world)
    assert world.calls.mutations == before
    assert make_plan(world, limit=("cp1",)).of("volumes") == ()


def test_who_has_lost_all_disks_is_rebuilt_as_who_it_was(world: World, kube: Kube) -> None:
    was, before = seen(world), stamp(world)
    lose(world, "root", "seed", "data")
    world.hypervisors["hv1"].stop_domain("demo-w1")
    rebuild.run(planned(world, {"w1": THROWN_AWAY}), doors(world, kube))
    made(world)
    now, after = seen(world), stamp(world)
    assert (now.uuid, now.macs, now.active) == (was.uuid, was.macs, True)
    assert (after.address, after.pod_subnet, after.rebuild) == (before.address, before.pod_subnet, "")
    assert files(world) == {"root", "seed", "data"}


def test_a_guest_that_is_off_gets_another_disk_for_the_bundle_that_is_gone(world: World) -> None:
    door = world.hypervisors["hv1"]
    for name in [
        one.name for one in door.volumes("meshctl") if is_bundle(one.name) or is_bundle(marked_copy(one.name) or "")
    ]:
        door.delete_volume("meshctl", name)
    door.stop_domain("demo-w1")
    found, ways = make_plan(world), doors(world)
    images.run(found, ways)
    (guest,) = found.of("guests", "guest")
    assert guest.verb is Verb.CHANGE
    _bring_up(guest, found, ways)
    (bundle,) = (path.rpartition("/")[2] for path in seen(world).disks if is_bundle(path.rpartition("/")[2]))
    assert bundle in {one.name for one in door.volumes("meshctl")}
    assert (seen(world).active, stamp(world).bundle) == (True, bundle)
    assert make_plan(world).of("guests", "guest") == ()


# ── a control plane that is put back ──────────────────────────────────────────────────────────────────────────────


def copy(world: World) -> Backup:
    """A backup of cp1."""
    owner, address = world.cluster.owner, make_plan(world, restoring=True).desired.members[0].address
    state = replace(backup().state, kubernetes="v1.20.2")
    return described(owner.cluster, owner.id, "cp1", address, state, datetime.now(UTC))


def guest_again(world: World) -> None:
    """The guest's part of a restore, as far as guests that never boot let it; the run is killed then."""
    found, ways = plan_restore(world, copy(world)).guests, world.doors(_sealed(world))
    go_through(found, [stage for stage in STAGES if stage.name in ("rebuild", "volumes")], ways)
    for action in found.of("guests", "guest"):
        _bring_up(action, found, ways)


@pytest.mark.parametrize("active", [True, False])
def test_a_restore_makes_a_control_plane_anew_whose_disk_is_gone(world: World, active: bool) -> None:
    was, before = seen(world, "cp1"), stamp(world, "cp1")
    lose(world, "root", node="cp1")
    if not active:
        world.hypervisors["hv1"].stop_domain("demo-cp1")
    assert [one.kind for one in plan_restore(world, copy(world)).guests.of("rebuild")] == ["control plane but its data"]
    guest_again(world)
    now, after = seen(world, "cp1"), stamp(world, "cp1")
    assert (now.uuid, now.macs, now.active, files(world, "cp1")) == (
        was.uuid,
        was.macs,
        True,
        {"root", "seed", "state"},
    )
    assert (after.address, after.rebuild) == (before.address, PUT_BACK)
    assert after.host_key != before.host_key


def test_a_guest_that_a_restore_has_made_is_nobodys_to_begin_a_cluster_on(world: World) -> None:
    """Killed then, `provision` would run kubeadm init beside workers that trust another authority."""
    world.hypervisors["hv1"].remove_domain("demo-cp1")
    lose(world, "root", "seed", node="cp1")
    guest_again(world)
    key = stamp(world, "cp1").host_key
    assert stamp(world, "cp1").rebuild == PUT_BACK
    with pytest.raises(
        ConflictError, match=r"cp1, the control plane, is being rebuilt .* `meshctl restore INVENTORY FILE`"
    ):
        make_plan(world)
    guest_again(world)
    assert stamp(world, "cp1").host_key == key  # not thrown away again
    rebuild.unmark("cp1", "hv1", world.doors(_sealed(world)))
    assert [one.name for one in make_plan(world).of("kubernetes", "kubeadm init")] == ["cp1"]


def test_workers_whose_disks_are_gone_wait_until_there_is_a_control_plane_again(world: World) -> None:
    world.hypervisors["hv1"].stop_domain("demo-w1")
    for node in ("cp1", "w1"):
        lose(world, "root", "seed", node=node)
    found = plan_restore(world, copy(world)).guests
    assert {one.name for one in found.of("guests", "guest")} == {"cp1"}
    assert {one.name.split(".")[1] for one in found.of("volumes")} == {"cp1"}
