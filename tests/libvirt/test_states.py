"""States of guests and hosts that a plan must not pass over, on libvirt's test driver; and how often libvirt is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provision.base.errors import ConflictError, HostUnfit
from provision.plan.compare import Verb
from provision.run import cluster_status
from provision.run.engine import World, _require_kvm, drifted, intent, make_plan, opened, provision
from tests.benchmarks.plan_scale import complete, counted, prepared
from tests.libvirt import test_engine
from tests.libvirt.test_engine import guests_too

cluster, events, empty = test_engine.cluster, test_engine.events, test_engine.world
DOMAIN = "demo-w1"
NEXT_STEP = "paused by somebody: `virsh resume demo-w1` when nothing speaks against it"


@pytest.fixture
def world(empty: World) -> World:
    provision(empty, make_plan(empty), "volumes")
    guests_too(empty)
    return empty


@pytest.fixture
def by_hand(world: World) -> Any:
    """The same libvirt, as somebody else has it: the test driver's state is the connection's own."""
    return world.hypervisors["hv1"]._connection.use("do it by hand", changes=True)


def test_a_paused_guest_is_said_everywhere_and_nothing_is_started_over(world: World, by_hand: Any) -> None:
    number = by_hand.lookupByName(DOMAIN).ID()
    by_hand.lookupByName(DOMAIN).suspend()
    plan = make_plan(world)
    (action,) = [action for action in plan.actions if (action.kind, action.name) == ("guest", "w1")]
    assert (action.verb, action.reason.partition("; ")[0]) == (Verb.LEAVE, f"ours, {NEXT_STEP}")
    (boot,) = [action for action in plan.actions if (action.kind, action.name) == ("boot", "w1")]
    assert boot.reason == f"its guest is {NEXT_STEP}"
    assert [(d.object, d.field, d.found) for d in drifted(world, intent(world))[0]] == [
        ("guest w1", "state", NEXT_STEP)
    ]
    assert {guest.node: guest.state for guest in cluster_status(world).guests} == {
        "cp1": "running",
        "w1": "paused by somebody",
    }
    with pytest.raises(ConflictError, match=r"hv1: guest w1 is paused by somebody"):
        provision(world, plan, None)
    assert by_hand.lookupByName(DOMAIN).ID() == number
    by_hand.lookupByName(DOMAIN).resume()
    assert make_plan(world).halted == ()


def test_a_guest_whose_memory_was_saved_says_so(world: World, by_hand: Any) -> None:
    by_hand.lookupByName(DOMAIN).managedSave()
    (action,) = make_plan(world).of("guests", "guest")
    assert (action.verb, action.reason) == (
        Verb.START,
        "it is defined but not running: its memory is saved, and it goes on from there",
    )


def test_a_host_without_kvm_is_refused_with_libvirts_error_unless_the_inventory_takes_it(empty: World) -> None:
    meant = intent(empty)
    host = empty.cluster.hosts[0].model_copy(
        update={"uri": "qemu:///system"}
    )  # the test driver runs nothing: not asked
    real = empty.cluster.model_copy(update={"hosts": (host,)})
    with pytest.raises(HostUnfit, match=r"hv1: .*virConnectGetDomainCapabilities") as caught:
        _require_kvm(real, meant)
    assert "hosts[].require: any" in caught.value.hint
    any_host = real.model_copy(update={"hosts": (host.model_copy(update={"require": "any"}),)})
    _require_kvm(any_host, meant)
    assert any("virConnectGetDomainCapabilities" in note for note in make_plan(empty).notes)


def test_a_network_that_another_run_made_is_left_when_it_cannot_be_started_again(world: World, by_hand: Any) -> None:
    network = by_hand.networkLookupByName("meshctl")
    world.hypervisors["hv1"].create_network(network.XMLDesc())
    assert (network.isActive(), network.isPersistent()) == (1, 1)


def test_one_odd_object_of_others_ends_no_run(world: World, by_hand: Any) -> None:
    by_hand.networkDefineXML("<network><name>old</name><bridge name='virbr-o'/><ip address='192.168.99.1'/></network>")
    by_hand.defineXML(
        "<domain type='test'><name>odd</name><memory>1024</memory><os><type>hvm</type></os>"
        "<metadata><meshctl:stamp xmlns:meshctl='urn:meshctl:stamp:1' cluster='demo' node='w1' address='?'"
        " vcpu_pins='all' host_key=''/></metadata></domain>"
    )
    plan = make_plan(world)
    assert not [action for action in plan.changes if action.kind in ("guest", "network", "pool")]
    assert any(
        "domain odd carries a stamp like ours that cannot be read (address '?', vcpu_pins 'all')" in n
        for n in plan.notes
    )


BULK = 16
"""Calls for a host with its pool and its network, however many guests there are: measured 14."""

EACH = 2
"""A guest's own: its XML, running and defined, for which libvirt has no bulk call."""


@pytest.mark.parametrize("nodes", [3, 8])
def test_a_look_at_a_host_costs_two_calls_for_each_guest_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nodes: int
) -> None:
    monkeypatch.setenv("MESHCTL_CACHE", str(tmp_path / "cache"))
    with opened(prepared(tmp_path, 1, nodes), lambda _: None) as world:
        complete(world)
        with counted() as calls:
            make_plan(world)
    assert calls["virDomainGetXMLDesc"] == EACH * nodes
    assert calls.total() - EACH * nodes - calls["virStorageVolGetInfo"] <= BULK + 10, calls
