"""Intended against found: each kind of drift once, what mends it, and what is no drift although it looks different."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from provision.inventory.model import Node
from provision.libvirt_xml.definition import DomainState, domain_settings, is_pin, vcpu_pin
from provision.libvirt_xml.domain_states import halted
from provision.libvirt_xml.domain_xml import domain_xml, network_xml
from provision.libvirt_xml.libvirt_seen import DomainSeen, PoolSeen, parse_domain, parse_network
from provision.placement import Pinning, Tenant
from provision.plan.compare import Plan, Verb, plan
from provision.plan.drift import (
    Drift,
    Live,
    Mend,
    View,
    guest_drifts,
    host_drifts,
    network_drifts,
    pool_drifts,
    sysctl_drift,
    trespasses,
)
from provision.plan.observed import HostSeen, Observed
from provision.plan.repair import repaired
from provision.specs import Owner
from provision.specs.objects import Desired, GuestSpec, digest
from provision.specs.stamp import Stamp
from tests.unit.placement.test_topology import machine
from tests.unit.plan.test_plan import MEMBERS, complete
from tests.unit.sample import CLUSTER, SPLIT, split_guest, wanted

RUNNING, DEFINITION, KERNEL = View.RUNNING, View.DEFINITION, View.KERNEL
GUEST = split_guest()
"""Two NUMA nodes, huge pages, locked: a value for every setting."""

STAMP = Stamp("lab", "cp1", digest(GUEST), "10.77.0.11", "ssh-ed25519 AAAA")
XML = domain_xml(GUEST, STAMP)


def edited(before: str, after: str, xml: str = XML) -> str:
    assert before in xml, before
    return xml.replace(before, after)


def seen(running: str = XML, definition: str = XML) -> DomainSeen:
    return replace(parse_domain(running, active=True), next_start=parse_domain(definition, active=False))


def found(running: str = XML, definition: str = XML, live: Live | None = None, guest: GuestSpec = GUEST) -> list[Drift]:
    return guest_drifts(guest, seen(running, definition), live or Live())


def test_nothing_has_drifted_where_both_are_what_we_gave() -> None:
    assert found() == []


KINDS = [
    ('vcpupin vcpu="1" cpuset="34"', 'vcpupin vcpu="1" cpuset="4"', "vCPU 1 pin", "34", "4"),
    ('emulatorpin cpuset="0,32"', 'emulatorpin cpuset="0"', "emulator pin", "0,32", "0"),
    ('iothreadpin iothread="1" cpuset="0,32"', 'iothreadpin iothread="1" cpuset="3"', "iothread 1 pin", "0,32", "3"),
    ('<vcpu placement="static">4<', '<vcpu placement="static" current="2">4<', "vCPUs", "4", "2 of 4"),
    ('<memory unit="MiB">3072<', '<memory unit="MiB">4096<', "memory", "3072 MiB", "4096 MiB"),
    ('Memory unit="MiB">3072<', 'Memory unit="KiB">1048577<', "current memory", "3072 MiB", "1048577 KiB"),
    ("<locked/>", "", "locked memory", "yes", "no"),
    ("<nosharepages/>", "", "page sharing", "no", "allowed"),
    ('threads="4"', 'threads="2"', "allocation", "immediate, 4 threads", "immediate, 2 threads"),
    ('memballoon model="none"', 'memballoon model="virtio"', "balloon", "none", "virtio"),
    ('cache="none"', 'cache="writeback"', "disk vda cache", "none", "writeback"),
    (' io="native"', "", "disk vda io", "native", "default"),
    (' discard="unmap"', "", "disk vda discard", "unmap", "default"),
    (' discard="unmap" iothread="1"', ' discard="unmap"', "disk vda iothread", "1", "default"),
    ('iothread="1" queues="4"', 'iothread="1" queues="1"', "disk vda queues", "4", "1"),
    ("<serial>", "<serial>other-", "disk vda serial", "root", "other-root"),
    ('type="qcow2"', 'type="raw"', "disk vda format", "qcow2", "raw"),
    ('mtu size="1500"', 'mtu size="9000"', f"interface {GUEST.mac} MTU", "1500", "9000"),
    ('<driver queues="4"', '<driver queues="1"', f"interface {GUEST.mac} queues", "4", "1"),
    ('<poll-control state="on"/>', "", "KVM hints", "hint-dedicated, poll-control", "hint-dedicated"),
    ('mode="host-passthrough"', 'mode="host-model"', "CPU mode", "host-passthrough", "host-model"),
]


@pytest.mark.parametrize(("before", "after", "setting", "wanted_", "other"), KINDS, ids=[kind[2] for kind in KINDS])
def test_each_setting(before: str, after: str, setting: str, wanted_: str, other: str) -> None:
    """In the running domain, in the definition, in both: who mends it depends on that, and on what it is."""
    changed = edited(before, after)
    live = Mend.LIVE if is_pin(setting) else Mend.RESTART
    name = "guest cp1"
    assert found(running=changed) == [Drift("hv1", name, setting, wanted_, other, live, (RUNNING,))]
    assert found(definition=changed) == [Drift("hv1", name, setting, wanted_, other, Mend.LIVE, (DEFINITION,))]
    assert found(changed, changed) == [Drift("hv1", name, setting, wanted_, other, live, (RUNNING, DEFINITION))]


def test_settings_of_several_parts() -> None:
    settings = parse_domain(XML, active=True).settings
    assert settings["huge pages"] == "2 MiB for guest cells 0-1"
    assert settings["memory binding"] == "strict 0-1; guest cell 0 strict 0; guest cell 1 strict 1"
    assert settings["guest cells"] == "0: vCPUs 0-1, 1536 MiB; 1: vCPUs 2-3, 1536 MiB"
    assert settings["CPU topology"] == "2 sockets × 1 dies × 1 cores × 2 threads"
    assert settings["memory limit"] == "5488 MiB"
    for name, before, after in (
        ("huge pages", 'page size="2048"', 'page size="1048576"'),
        ("memory binding", 'cellid="1" mode="strict" nodeset="1"', 'cellid="1" mode="strict" nodeset="0"'),
        ("guest cells", 'cpus="0-1"', 'cpus="0,2"'),
        ("CPU topology", 'threads="2"/>', 'threads="1"/>'),
        ("memory limit", 'hard_limit unit="MiB">', 'hard_limit unit="GiB">'),
    ):
        assert [drift.field for drift in found(running=edited(before, after))] == [name]


SAME = [
    ('cpuset="0,32"', 'cpuset="32,0"'),
    ('<memory unit="MiB">3072<', '<memory unit="KiB">3145728<'),
    ('nodeset="0-1"', 'nodeset="0,1"'),
    ('page size="2048" unit="KiB"', 'page size="2" unit="MiB"'),
    ('type arch="x86_64" machine="q35"', 'type arch="x86_64" machine="pc-q35-7.2"'),
    ('dev="vda" bus="virtio"/>', 'dev="vda" bus="virtio"/><alias name="virtio-disk0"/><backingStore/>'),
    ('dies="1" ', ""),
    ("</devices>", '<input type="mouse" bus="ps2"/></devices>'),
    ('mode="host-passthrough"', 'mode="host-passthrough" check="none"'),
]


@pytest.mark.parametrize(("before", "after"), SAME, ids=[after for _, after in SAME])
def test_another_notation_and_what_libvirt_adds_is_no_drift(before: str, after: str) -> None:
    assert found(running=edited(before, after)) == []


def test_a_guest_that_does_not_run_is_named_with_the_next_step() -> None:
    halt = halted("lab-cp1", 3, 5, {"vda": 2})
    assert halt == (
        "paused after an I/O error, vda: no space left: see what its disks lie on (`df`, `dmesg`), make room, then `virsh resume lab-cp1`"
    )
    (drift,) = guest_drifts(GUEST, replace(seen(), halted=halt), Live())
    assert (drift.field, drift.wanted, drift.found, drift.mend) == ("state", "running", halt, Mend.NONE)


def test_an_affinity_behind_libvirts_back_is_the_kernels() -> None:
    live = Live(threads={GUEST.domain: {vcpu_pin(2): "9"}})
    assert found(live=live) == [
        Drift("hv1", "guest cp1", "vCPU 2 pin", "3", "9", Mend.LIVE, (KERNEL,)),
    ]
    same = Live(threads={GUEST.domain: {vcpu_pin(2): "3", "emulator pin": "0,32"}})
    assert found(live=same) == []


def test_what_the_kernel_has_because_libvirt_said_so_is_told_once() -> None:
    changed = edited('vcpupin vcpu="1" cpuset="34"', 'vcpupin vcpu="1" cpuset="4"')
    (drift,) = found(running=changed, live=Live(threads={GUEST.domain: {vcpu_pin(1): "4"}}))
    assert drift.seen_in == (RUNNING,)


def test_live_and_definition_changed_apart_are_two() -> None:
    one = edited('emulatorpin cpuset="0,32"', 'emulatorpin cpuset="0"')
    other = edited('emulatorpin cpuset="0,32"', 'emulatorpin cpuset="32"')
    assert {(drift.found, drift.seen_in) for drift in found(one, other)} == {("0", (RUNNING,)), ("32", (DEFINITION,))}


def test_a_disk_that_somebody_attached_is_one_line() -> None:
    disk = '<disk type="file"><driver type="raw" cache="none"/><source file="/x"/><target dev="vdx"/></disk></devices>'
    assert found(running=edited("</devices>", disk)) == [
        Drift("hv1", "guest cp1", "disk vdx", "none", "/x", Mend.RESTART, (RUNNING,)),
    ]


def test_a_guest_that_is_planned_elsewhere_is_not_moved_while_it_runs() -> None:
    """Its memory stays where it is: new pins come with a restart."""
    moved = replace(GUEST, vcpu_pins=(4, 36, 5, 37))
    drifts = guest_drifts(moved, seen(definition=domain_xml(moved, replace(STAMP, digest=digest(moved)))), Live())
    assert {(drift.field, drift.mend) for drift in drifts} == {(vcpu_pin(n), Mend.RESTART) for n in range(4)}


def test_an_older_stamp_has_no_pins_and_its_digest_says_whether_it_may_be_moved() -> None:
    older = edited(' vcpu_pins="2,34,3,35" emulator_cpus="0,32" iothread_cpus="0,32"', "")
    by_hand = edited('vcpupin vcpu="1" cpuset="34"', 'vcpupin vcpu="1" cpuset="4"', older)
    (drift,) = found(by_hand, older)
    assert drift.mend is Mend.LIVE
    (drift, *_) = found(edited(digest(GUEST), "0123456789abcdef", by_hand), older)
    assert drift.mend is Mend.RESTART


def test_a_definition_of_another_digest_that_looks_the_same_is_drift() -> None:
    older = edited(digest(GUEST), "0123456789abcdef")
    assert found(definition=older) == [
        Drift("hv1", "guest cp1", "digest", digest(GUEST), "0123456789abcdef", Mend.LIVE, (DEFINITION,)),
    ]


def test_a_guest_that_was_started_with_another_digest_and_the_same_settings_waits_for_nothing() -> None:
    """Its pins were put back live, and the definition is as wanted: a start would change nothing."""
    assert found(running=edited(digest(GUEST), "0123456789abcdef")) == []


def test_permanence_and_autostart() -> None:
    live = Live({GUEST.domain: DomainState(autostart=False, persistent=False)})
    assert [(drift.field, drift.mend) for drift in found(live=live)] == [
        ("definition", Mend.LIVE),
        ("autostart", Mend.LIVE),
    ]


def test_absent_stopped_and_not_ours() -> None:
    assert [drift.found for drift in guest_drifts(GUEST, None, Live())] == ["absent"]
    stopped = parse_domain(XML, active=False)
    assert [drift.found for drift in guest_drifts(GUEST, stopped, Live())] == ["shut off"]
    theirs = parse_domain(edited('cluster="lab"', 'cluster="other"'), active=True)
    assert [(drift.field, drift.mend) for drift in guest_drifts(GUEST, theirs, Live())] == [("stamp", Mend.NONE)]


# ── pools and networks ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, []),
        ({"active": False}, [("state", "inactive", Mend.LIVE)]),
        ({"autostart": False}, [("autostart", "no", Mend.LIVE)]),
        ({"autostart": False, "uuid": "theirs"}, []),
        ({"path": "/elsewhere"}, [("path", "/elsewhere", Mend.NONE)]),
        ({"type": "logical"}, [("type", "logical", Mend.NONE)]),
        ({"name": "other"}, [("state", "absent", Mend.LIVE)]),
    ],
)
def test_pools(more: dict[str, object], told: list[tuple[str, str, Mend]]) -> None:
    pool: PoolSeen = replace(complete().pools[0], **more)  # type: ignore[arg-type]
    drifts = pool_drifts(wanted().pools[0], complete(pools=(pool,)))
    assert [(drift.field, drift.found, drift.mend) for drift in drifts] == told


NETWORK = wanted().networks[0]


def network(running: str, definition: str = "", *, mtu: int = 1500, **more: bool) -> list[tuple[str, str, Mend]]:
    found = parse_network(running, **{"active": True, "definition": definition, **more})  # type: ignore[arg-type]
    drifts = network_drifts(NETWORK, HostSeen((), (found,), (), ()), Live(mtus={"meshbr0": mtu}))
    return [(drift.field, drift.found, drift.mend) for drift in drifts]


def test_networks() -> None:
    xml = network_xml(NETWORK, Owner("lab"))
    nat = xml.replace(
        '<forward mode="nat"/>', '<forward mode="nat"><nat><port start="1024" end="65535"/></nat></forward>'
    )
    assert network(nat, xml) == []
    assert network(xml, active=False) == [("state", "inactive", Mend.LIVE)]
    assert network(xml, autostart=False) == [("autostart", "no", Mend.LIVE)]
    larger = edited('mtu size="1500"', 'mtu size="9000"', xml)
    assert network(larger) == [("MTU", "9000", Mend.RECREATE)]
    assert network(xml, larger) == [("MTU", "9000", Mend.LIVE)]
    assert network(edited('name="meshbr0"', 'name="br7"', xml)) == [("bridge", "br7", Mend.RECREATE)]
    assert network(edited('cluster="lab"', 'cluster="other"', xml)) == [("stamp", "cluster other", Mend.NONE)]
    assert network(edited(digest(NETWORK), "0123456789abcdef", xml)) == [("digest", "0123456789abcdef", Mend.RECREATE)]
    assert network(xml, mtu=1400) == [("MTU of meshbr0", "1400", Mend.NONE)]
    assert network_drifts(NETWORK, HostSeen((), (), (), ()), Live())[0].found == "absent"


def test_a_hosts_own_bridge_may_carry_more_and_not_less() -> None:
    own = replace(NETWORK, mode="bridge")
    seen_ = HostSeen((), (parse_network(network_xml(own, Owner("lab")), active=True),), (), ())
    assert network_drifts(own, seen_, Live(mtus={"meshbr0": 9000})) == []
    assert [drift.mend for drift in network_drifts(own, seen_, Live(mtus={"meshbr0": 1400}))] == [Mend.NONE]


# ── others, and what the plan makes of it ────────────────────────────────────────────────────────────────────────


def test_foreign_guests_on_cpus_that_are_ours_alone() -> None:
    theirs = Tenant("hv1", "theirs", None, (frozenset({34, 40}),), 1024)
    (found,) = strangers(theirs)
    assert found == Drift("hv1", "domain theirs", "CPUs", "none of 34 (cp1)", "34,40", Mend.NONE)
    assert strangers(theirs, replace(SPLIT, exclusive=False)) == []
    floating = replace(theirs, vcpu_cpus=(frozenset(range(64)),))
    beside = replace(theirs, vcpu_cpus=(frozenset({40}),))
    assert strangers(floating) == strangers(beside) == strangers(replace(theirs, node="w9")) == []


def test_foreign_guests_on_what_is_idle_for_ours() -> None:
    theirs = Tenant("hv1", "theirs", None, (frozenset({40}),), 1024, emulator_cpus=frozenset({34}))
    idle = CLUSTER.nodes[0].model_copy(update={"cpu": CLUSTER.nodes[0].cpu.model_copy(update={"threads": "isolate"})})
    (found,) = strangers(theirs, replace(SPLIT, vcpu_pins=(2, 4)), idle)
    assert found.wanted == "none of 34 (idle for cp1)"


def strangers(tenant: Tenant, pinning: Pinning = SPLIT, node: Node = CLUSTER.nodes[0]) -> list[Drift]:
    cluster = CLUSTER.model_copy(update={"nodes": (node,)})
    return list(trespasses([pinning], cluster, {"hv1": machine("two-sockets-smt")}, [tenant]))


def with_drifts(*drifts: Drift, restart: bool = False, host: HostSeen | None = None) -> Plan:
    whole = plan(wanted(), Observed({"hv1": host or complete()}, MEMBERS, ()))
    return repaired(whole, drifts, restart=restart)


def drift(setting: str, mend: Mend, *views: View, about: str = "guest w1") -> Drift:
    return Drift("hv1", about, setting, "1", "2", mend, views or (RUNNING,))


def changes(found: Plan) -> list[tuple[str, str, str]]:
    return [(action.kind, action.name, action.reason) for action in found.changes]


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        (drift(vcpu_pin(0), Mend.LIVE), ["pins"]),
        (drift(vcpu_pin(0), Mend.LIVE, KERNEL), ["pins"]),
        (drift(vcpu_pin(0), Mend.LIVE, DEFINITION), ["guest"]),
        (drift(vcpu_pin(0), Mend.LIVE, RUNNING, DEFINITION), ["guest", "pins"]),
        (drift("memory", Mend.LIVE, DEFINITION), ["guest"]),
        (drift("autostart", Mend.LIVE, DEFINITION), ["guest"]),
        (drift("memory", Mend.RESTART), []),
        (drift("memory", Mend.RESTART, RUNNING, DEFINITION), ["guest"]),
        (drift("autostart", Mend.LIVE, DEFINITION, about="pool meshctl"), ["pool autostart"]),
        (drift("MTU", Mend.LIVE, DEFINITION, about="network meshctl"), ["network definition"]),
        (drift("MTU", Mend.RECREATE, about="network meshctl"), []),
        (drift("CPUs", Mend.NONE, about="domain theirs"), []),
        (sysctl_drift(wanted().guest("w1"), "net.x", "1", "2"), []),
    ],
    ids=str,
)
def test_what_the_plan_does_about_it(given: Drift, kinds: list[str]) -> None:
    found = with_drifts(given)
    assert [kind for kind, _, _ in changes(found)] == kinds
    assert all(str(given) in reason for _, _, reason in changes(found))
    assert {action.verb for action in found.changes} <= {Verb.CHANGE}
    assert all(str(given) in note for note in (*found.notes, *found.pending))
    assert len(found.pending) == (given.mend is Mend.RESTART)
    assert len(found.notes) == (given.mend in (Mend.RECREATE, Mend.NONE))


def test_a_restart_is_an_action_only_when_it_is_asked_for() -> None:
    given = (drift("memory", Mend.RESTART), drift("balloon", Mend.RESTART), drift(vcpu_pin(0), Mend.LIVE))
    left = with_drifts(*given)
    assert [kind for kind, _, _ in changes(left)] == ["pins"]
    assert left.pending == (
        "hv1: guest w1 goes on as it is until `provision --restart`: "
        "memory: wanted 1, found 2 (running); balloon: wanted 1, found 2 (running)",
    )
    done = with_drifts(*given, restart=True)
    assert [(kind, name) for kind, name, _ in changes(done)] == [("pins", "w1"), ("restart", "w1")]
    assert done.pending == ()


def test_a_guest_of_a_running_and_another_next_definition_is_not_defined_again() -> None:
    """It was, and waits for its restart: the plan has nothing to do."""
    guest = wanted().guest("w1")
    domain = complete().domains[1]
    running = replace(domain, stamp=Stamp("lab", "w1", "old", seed=domain.stamp.seed if domain.stamp else ""))
    host = complete(domains=(complete().domains[0], replace(running, next_start=domain)))
    assert guest.domain == domain.name
    assert with_drifts(host=host).changes == ()


def test_all_of_a_host() -> None:
    desired: Desired = wanted()
    drifts = host_drifts(desired, {"hv1": HostSeen((), (), (), ())}, {})
    assert [(drift.object, drift.found) for drift in drifts] == [
        ("pool meshctl", "absent"),
        ("network meshctl", "absent"),
        ("guest cp1", "absent"),
        ("guest w1", "absent"),
    ]
    assert drifts[0].as_data()["seen_in"] == ["running"]


def test_the_reader_takes_a_domain_that_says_nothing() -> None:
    bare = domain_settings(etree.fromstring("<domain><name>x</name></domain>"))
    assert (bare["vCPUs"], bare["vCPU 0 pin"], bare["balloon"], bare["memory"]) == ("1", "any", "default", "none")
