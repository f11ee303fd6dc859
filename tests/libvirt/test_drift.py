"""Drift by hand on libvirt's test driver, from the deed to its repair: the plan names it, the stages put it back, none is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import libvirt
import pytest

from provision import bundle
from provision.inventory.model import Cluster
from provision.libvirt_xml.definition import vcpu_pin
from provision.plan.compare import Action, Plan, Verb
from provision.plan.drift import Drift, Mend, View
from provision.report.drift_report import drift_report
from provision.run.engine import World, drifted, intent, make_plan, provision
from provision.run.stages import hosts, networks
from provision.run.stages.doors import Doors
from provision.run.stages.guests import _bring_up, put_back
from provision.run.stages.rolling import start_anew
from tests.libvirt import test_engine
from tests.libvirt.test_engine import guests_too

cluster, events, empty = test_engine.cluster, test_engine.events, test_engine.world
DOMAIN = "demo-w1"


@pytest.fixture
def world(empty: World) -> World:
    """The cluster as far as the test driver has one: nothing drifted."""
    provision(empty, make_plan(empty), "volumes")
    guests_too(empty)
    assert drifts(empty) == ()
    return empty


def drifts(world: World) -> tuple[Drift, ...]:
    return drifted(world, intent(world))[0]


def doors(world: World) -> Doors:
    return world.doors(bundle.load(bundle.find(world.cluster.kubernetes.bundle)))


def mended(world: World, *, restart: bool = False) -> tuple[Action, ...]:
    """Runs what the plan has for the drift, but for what waits for a guest that boots: the test driver's never do."""
    plan = make_plan(world, restart=restart)
    hosts.run(plan, doors(world))
    networks.run(plan, doors(world))
    for action in plan.of("guests", "guest"):
        _bring_up(action, plan, doors(world))
    for action in plan.of("guests", "pins"):
        put_back(action, plan, doors(world))
    for action in plan.of("guests", "restart"):
        start_anew(plan.desired.guest(action.name), doors(world))
    return drift_actions(plan)


def drift_actions(plan: Plan) -> tuple[Action, ...]:
    return tuple(a for a in plan.changes if a.stage in ("hosts", "networks", "guests") and a.kind != "boot")


@pytest.fixture
def by_hand(world: World) -> Any:
    """The same libvirt, as somebody else has it: the test driver's state is the connection's own."""
    return world.hypervisors["hv1"]._connection.use("do it by hand", changes=True)


def map_of(cpu: int) -> tuple[bool, ...]:
    return tuple(number == cpu for number in range(8))


def redefine(connection: Any, change: Callable[[str], str]) -> None:
    """`virsh edit`: the definition only."""
    before = connection.lookupByName(DOMAIN).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    after = change(before)
    assert after != before
    connection.defineXML(after)


def test_vcpupin_by_hand_is_named_and_put_back_without_touching_the_definition(world: World, by_hand: Any) -> None:
    domain = by_hand.lookupByName(DOMAIN)
    number, definition = domain.ID(), domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    domain.pinVcpu(0, map_of(6))
    assert drifts(world) == (Drift("hv1", "guest w1", "vCPU 0 pin", "3", "6", Mend.LIVE, (View.RUNNING,)),)
    (action,) = mended(world)
    assert (action.verb, action.kind, action.name) == (Verb.CHANGE, "pins", "w1")
    assert action.reason == "vCPU 0 pin: wanted 3, found 6 (running)"
    assert drifts(world) == ()
    assert (domain.ID(), domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)) == (number, definition)
    assert domain.vcpuPinInfo()[0] == map_of(3)


def test_emulator_and_iothread_too(world: World, by_hand: Any) -> None:
    domain = by_hand.lookupByName(DOMAIN)
    domain.pinEmulator(map_of(6), libvirt.VIR_DOMAIN_AFFECT_LIVE)
    domain.pinIOThread(1, map_of(7), libvirt.VIR_DOMAIN_AFFECT_LIVE)
    assert [(drift.field, drift.found) for drift in drifts(world)] == [("emulator pin", "6"), ("iothread 1 pin", "7")]
    assert [action.kind for action in mended(world)] == ["pins"]
    assert drifts(world) == ()


def test_a_pin_in_the_definition_is_not_taken_for_a_wish(world: World, by_hand: Any) -> None:
    """As `virsh vcpupin --live --config` leaves it. The guest is not placed anew, and its neighbour's pins stay as they are."""
    wanted = make_plan(world).desired.guests
    redefine(by_hand, lambda xml: xml.replace("<vcpupin vcpu='0' cpuset='3'/>", "<vcpupin vcpu='0' cpuset='6'/>"))
    by_hand.lookupByName(DOMAIN).pinVcpu(0, map_of(6))
    (drift,) = drifts(world)
    assert (drift.field, drift.wanted, drift.found) == (vcpu_pin(0), "3", "6")
    assert drift.seen_in == (View.RUNNING, View.DEFINITION)
    assert make_plan(world).desired.guests == wanted
    assert [action.kind for action in mended(world)] == ["guest", "pins"]
    assert drifts(world) == ()


def test_a_pin_in_the_definition_alone_is_mended_there(world: World, by_hand: Any) -> None:
    redefine(by_hand, lambda xml: xml.replace("<emulatorpin cpuset='0'/>", "<emulatorpin cpuset='5'/>"))
    (drift,) = drifts(world)
    assert (drift.seen_in, drift.mend) == ((View.DEFINITION,), Mend.LIVE)
    (action,) = mended(world)
    assert action.reason == "its definition was changed by hand: emulator pin: wanted 0, found 5 (definition)"
    assert drifts(world) == ()


def test_an_older_stamp_without_pins_remembers_those_of_the_definition(world: World, by_hand: Any) -> None:
    wanted = make_plan(world).desired.guests
    redefine(by_hand, lambda xml: xml.replace(' vcpu_pins="3,4" emulator_cpus="0" iothread_cpus="0"', ""))
    domain = by_hand.lookupByName(DOMAIN)
    domain.destroy()
    domain.create()
    assert drifts(world) == ()
    domain.pinVcpu(1, map_of(7))
    assert make_plan(world).desired.guests == wanted
    assert [action.kind for action in mended(world)] == ["pins"]
    assert drifts(world) == ()


def test_what_needs_a_restart_is_left_until_it_is_asked_for(world: World, by_hand: Any, cluster: Cluster) -> None:
    larger = cluster.nodes[1].model_copy(update={"memory": 3 * 1024**3})
    asked = world.cluster.model_copy(update={"nodes": (cluster.nodes[0], larger)})
    changed = replace(world, cluster=asked)
    number = by_hand.lookupByName(DOMAIN).ID()
    (definition,) = mended(changed)
    assert (definition.kind, definition.verb) == ("guest", Verb.CHANGE)
    left = make_plan(changed)
    assert drift_actions(left) == ()
    (note,) = left.pending
    assert (
        "guest w1 goes on as it is until `provision --restart`: memory: wanted 3072 MiB, found 2048 MiB (running)"
        in note
    )
    assert by_hand.lookupByName(DOMAIN).ID() == number
    assert [action.kind for action in mended(changed, restart=True)] == ["restart"]
    assert by_hand.lookupByName(DOMAIN).ID() != number
    assert drifts(changed) == ()
    assert make_plan(changed).pending == ()


def test_a_definition_changed_by_hand_is_defined_again_and_nothing_restarts(world: World, by_hand: Any) -> None:
    redefine(by_hand, lambda xml: xml.replace("cache='none'", "cache='writeback'").replace("io='native' ", ""))
    found = {(drift.field, drift.wanted, drift.found) for drift in drifts(world)}
    assert found == {("disk vda cache", "none", "writeback"), ("disk vda io", "native", "default")}
    assert [action.kind for action in mended(world)] == ["guest"]
    assert drifts(world) == ()


def test_what_was_changed_by_hand_and_runs_waits_for_a_restart(world: World, by_hand: Any) -> None:
    redefine(by_hand, lambda xml: xml.replace("<memballoon model='none'/>", "<memballoon model='virtio'/>"))
    domain = by_hand.lookupByName(DOMAIN)
    domain.destroy()
    domain.create()
    (drift,) = drifts(world)
    assert (drift.field, drift.seen_in, drift.mend) == ("balloon", (View.RUNNING, View.DEFINITION), Mend.RESTART)
    assert [action.kind for action in mended(world)] == ["guest"]
    assert [action.kind for action in mended(world, restart=True)] == ["restart"]
    assert drifts(world) == ()


def test_an_undefined_guest_is_kept_and_a_stopped_one_runs_again(world: World, by_hand: Any) -> None:
    by_hand.lookupByName(DOMAIN).undefine()
    by_hand.lookupByName("demo-cp1").destroy()
    assert {(drift.object, drift.field, drift.found) for drift in drifts(world)} >= {
        ("guest w1", "definition", "for this run only"),
        ("guest cp1", "state", "shut off"),
    }
    mended(world)
    assert drifts(world) == ()
    assert by_hand.lookupByName(DOMAIN).isPersistent()


def test_autostart_that_somebody_took_off(world: World, by_hand: Any) -> None:
    by_hand.lookupByName(DOMAIN).setAutostart(0)
    by_hand.networkLookupByName("meshctl").setAutostart(0)
    by_hand.storagePoolLookupByName("meshctl").setAutostart(0)
    assert [(drift.object, drift.field) for drift in drifts(world)] == [
        ("pool meshctl", "autostart"),
        ("network meshctl", "autostart"),
        ("guest w1", "autostart"),
    ]
    assert [action.kind for action in mended(world)] == ["pool autostart", "network definition", "guest"]
    assert drifts(world) == ()


def test_a_foreign_guest_on_our_cpus_is_named_and_moves_nobody(world: World, by_hand: Any) -> None:
    wanted = make_plan(world).desired.guests
    by_hand.defineXML(
        "<domain type='test'><name>theirs</name><memory>1024</memory><vcpu>1</vcpu>"
        "<cputune><vcpupin vcpu='0' cpuset='4'/></cputune><os><type>hvm</type></os></domain>"
    )
    (drift,) = drifts(world)
    assert (drift.object, drift.wanted, drift.found) == ("domain theirs", "none of 4 (w1)", "4")
    plan = make_plan(world)
    assert plan.desired.guests == wanted
    assert drift_actions(plan) == ()
    assert any("domain theirs: CPUs: wanted none of 4" in note for note in plan.notes)


def test_the_report_says_what_it_could_not_see(world: World) -> None:
    report = drift_report(world)
    assert report.drifts == ()
    assert report.notes[0] == "hv1: its threads' affinities were not looked at: its URI leads to no shell"
    assert [note.partition(":")[0] for note in report.notes[1:]] == ["cp1", "w1"]  # nobody answers there
