"""Disks that are gone from the pool while their guests are defined, on libvirt's test driver with doubles of Kubernetes for the nodes."""

from __future__ import annotations

import pytest

from provision.base.errors import ConflictError
from provision.plan import Verb
from provision.run.engine import World, make_plan
from provision.run.stages import images, rebuild
from provision.run.stages.guests import _bring_up
from provision.specs import THROWN_AWAY, is_bundle, marked_copy
from tests.libvirt import test_rebuild
from tests.libvirt.test_rebuild import doors, files, made, planned, seen, stamp
from tests.unit.kubernetes.test_kubernetes_1_5 import Cluster as Kube

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
