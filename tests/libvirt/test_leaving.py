"""Nodes that are taken away by name, as far as hosts notice it: on libvirt's test driver with doubles of Kubernetes 1.5 for the nodes."""

from __future__ import annotations

from dataclasses import replace

from provision.base.events import Event, Warned
from provision.plan import Action, Plan, Verb, departure
from provision.run.engine import World, intent, with_pods
from provision.run.stages import rebuild, removal
from provision.specs import THROWN_AWAY, Member
from tests.libvirt import test_rebuild
from tests.libvirt.test_rebuild import changes, doors, files, made, planned
from tests.unit.kubernetes.test_kubernetes_1_5 import Cluster as Kube
from tests.unit.kubernetes.test_kubernetes_1_5 import put

events, kube, world = test_rebuild.events, test_rebuild.kube, test_rebuild.world

W1 = Member("w1", "worker", "hv1", "10.77.0.11", "10.244.11.0/24")


def warnings(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Warned)]


def test_which_pods_go_for_good_is_in_the_plan(world: World, kube: Kube) -> None:
    """The drain evicts them all, also those that nothing makes anew and those with an emptyDir."""
    pod = {
        "name": "tool", "namespace": "shop", "node": "w1", "labels": {}, "annotations": {}, "container": "c1",
        "address": "10.244.11.9", "waiting": "", "message": "", "gone": False, "maker": "", "volumes": [{"name": "d", "emptyDir": {}}],
    }  # fmt: skip
    put(kube, {"shop/tool": pod}, {})
    nobody = Plan("demo", intent(world).wanted, ())
    action = Action(departure.STAGE, Verb.REMOVE, "hv1", "node", "w1", "")
    try:
        found = with_pods(replace(nobody, actions=(action,)), doors(world, kube))
        assert found.notes == ("w1: with it goes pod shop/tool (nothing makes it anew, its emptyDir is lost)",)
        assert with_pods(nobody, doors(world)).notes == ()  # nobody is asked
    finally:
        put(kube, {}, {}, "shop/tool")


def test_one_whose_guest_is_gone_is_made_anew_by_a_rebuild(world: World, events: list[Event], kube: Kube) -> None:
    world.hypervisors["hv1"].remove_domain("demo-w1")
    events.clear()
    rebuild.run(planned(world, {"w1": THROWN_AWAY}), doors(world, kube))
    assert "node w1: delete from Kubernetes" in changes(events)
    assert files(world) == set()
    made(world)
    assert [domain.name for domain in world.domains() if domain.active] == ["demo-cp1", "demo-w1"]


def test_of_one_that_is_off_nobody_waits_for_pods_while_kubernetes_calls_it_ready(
    world: World, events: list[Event], kube: Kube
) -> None:
    world.hypervisors["hv1"].stop_domain("demo-w1")
    events.clear()
    rebuild.run(planned(world, {"w1": THROWN_AWAY}), doors(world, kube))
    assert warnings(events) == ["w1 is off, so nobody there would end a pod: it is not drained"]
    assert "node w1: drain" not in changes(events)


def test_one_that_hangs_goes_without_a_drain_that_would_wait_in_vain(
    world: World, events: list[Event], kube: Kube
) -> None:
    kube.shells["w1"].run(["systemctl", "stop", "kubelet"])
    kube.kubectl.delete("node", "w1")
    ways = doors(world, kube)
    events.clear()
    removal._take_leave(W1, ways.kubectl(), ways)
    assert warnings(events) == ["w1 is not Ready, so nobody there would end a pod: it is not drained"]
    assert "node w1: drain" not in changes(events)
    assert files(world) == set()
    assert [domain.name for domain in world.domains()] == ["demo-cp1"]
