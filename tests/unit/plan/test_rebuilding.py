"""Nodes that are made anew: what is thrown away first, what is made, and what a run that was ended has left to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from provision.base.errors import ConflictError
from provision.base.units import MIB
from provision.libvirt_xml import DomainSeen, VolumeSeen
from provision.plan import GIVEN, HostSeen, NodeSeen, Observed, Plan, Verb, limits, rebuilding
from provision.plan.compare import plan
from provision.specs import BUT_DATA, GONE, PUT_BACK, THROWN_AWAY, stem, volume_name
from provision.storage import Claim, StorageSeen, claim_text, claims
from provision.storage.seen import Logical, Named
from tests.unit.plan.test_plan import MEMBERS, complete, domain
from tests.unit.sample import CLUSTER, wanted

OWNER = CLUSTER.owner
DATA = VolumeSeen(volume_name(OWNER, "w1", "data-d", "raw"), "", 1)
CONSOLE = VolumeSeen(volume_name(OWNER, "w1", "console", "log"), "", 1)


def marked(node: str, rebuild: str, **more: object) -> DomainSeen:
    """A guest as a run has left it that was ended in the midst of its rebuild."""
    found = domain(node, **more)
    assert found.stamp is not None
    return replace(found, stamp=replace(found.stamp, rebuild=rebuild))


def host(*domains: DomainSeen) -> HostSeen:
    seen = complete(domains=domains or (domain("cp1"), domain("w1")))
    return replace(seen, volumes=(*seen.volumes, DATA, CONSOLE))


def planned(
    asked: Mapping[str, str],
    seen: HostSeen | None = None,
    *,
    nodes: Mapping[str, NodeSeen] = MEMBERS,
    limit: tuple[str, ...] = (),
    restoring: bool = False,
) -> Plan:
    """As `make_plan` does."""
    observed = Observed({"hv1": seen or host()}, nodes, (), known=dict.fromkeys(MEMBERS, True))
    anew = rebuilding.anew(OWNER, observed.hosts, asked)
    emptied = rebuilding.emptied(observed, CLUSTER, anew)

    def made(names: tuple[str, ...]) -> Plan:
        desired = limits.narrowed(wanted(), names) if names else wanted()
        found = plan(desired, emptied, restoring=restoring, anew=anew)
        return rebuilding.throwing_away(found, CLUSTER, observed, anew)

    return limits.limited(made(limit), made(()), CLUSTER, observed, limit) if limit else made(())


def deeds(found: Plan) -> list[tuple[str, Verb, str, str]]:
    names = {volume.name: f"{volume.kind} {volume.node}" for volume in found.desired.volumes}
    names |= {seed.name: f"seed {seed.node}" for seed in found.desired.seeds}
    return [(one.stage, one.verb, one.kind, names.get(one.name, one.name)) for one in found.changes]


def test_a_worker_is_thrown_away_before_it_is_made_and_nothing_else_is_touched() -> None:
    assert deeds(planned({"w1": THROWN_AWAY}, limit=("w1",))) == [
        ("rebuild", Verb.REMOVE, "node", "w1"),
        ("volumes", Verb.CREATE, "root volume", "root w1"),
        ("volumes", Verb.CREATE, "seed", "seed w1"),
        ("guests", Verb.CREATE, "guest", "w1"),
        ("guests", Verb.CREATE, "boot", "w1"),
        ("kubernetes", Verb.CREATE, "node software", "w1"),
        ("kubernetes", Verb.CREATE, "kubeadm join", "w1"),
        ("mesh", Verb.CHANGE, "mesh", "l5d"),
    ]


def test_it_says_what_goes_and_what_is_kept() -> None:
    (whole, *_) = planned({"w1": THROWN_AWAY}).changes
    assert whole.reason.startswith("drained if it is Ready, deleted from Kubernetes, stopped; deleted: ")
    assert all(kind in whole.reason for kind in ("root volume", "seed volume", "console volume", DATA.name))
    assert "kept" not in whole.reason
    assert "guest lab-w1" not in whole.reason
    (part, *_) = planned({"w1": BUT_DATA}).changes
    assert (part.kind, part.reason.split("; ")[2:]) == (
        "node but its data",
        [f"kept: {DATA.name}", "put back when it has joined: its labels and taints"],
    )
    assert DATA.name not in part.reason.partition("; kept: ")[0]


def test_its_guest_takes_the_place_of_the_one_that_remembers() -> None:
    found = planned({"w1": THROWN_AWAY})
    (guest,) = found.of("guests", "guest")
    assert guest.basis == rebuilding.ANEW
    assert guest.reason.startswith("made anew: 2 vCPUs on CPUs 3,4")
    assert found.of("rebuild")[0].basis


@pytest.mark.parametrize(("mark", "kind"), [(THROWN_AWAY, "node"), (BUT_DATA, "node but its data")])
def test_what_an_ended_run_has_marked_any_run_goes_on_with(mark: str, kind: str) -> None:
    """Kubernetes may know it no more, or still."""
    found = planned({}, host(domain("cp1"), marked("w1", mark)))
    assert [one.kind for one in found.of("rebuild")] == [kind]
    assert [one.name for one in found.of("kubernetes", "kubeadm join")] == ["w1"]
    assert [one.reason for one in found.of("mesh")] == ["its pods start on w1"]


def test_what_somebody_gave_it_any_run_gives_back() -> None:
    owed = domain("w1")
    assert owed.stamp is not None
    stamp = replace(owed.stamp, labels="disk=nvme,zone=", taints="for=db:NoSchedule")
    found = planned({}, host(domain("cp1"), replace(owed, stamp=stamp)))
    (action,) = found.of("kubernetes")
    assert (action.kind, action.where, action.verb) == (GIVEN, "w1", Verb.CHANGE)
    assert action.reason == "it had them before it was made anew: disk=nvme, zone=, for=db:NoSchedule"
    assert planned({}).of("kubernetes", GIVEN) == ()


def test_what_is_thrown_away_is_not_thrown_away_again() -> None:
    gone = host(domain("cp1"), marked("w1", GONE, active=False))
    for asked in ({}, {"w1": THROWN_AWAY}):
        found = planned(asked, gone)
        assert found.of("rebuild") == ()
        assert [one.kind for one in found.of("volumes")] == ["seed"]  # the root volume was made already
        assert [one.basis for one in found.of("guests", "guest")] == [rebuilding.ANEW]
        assert [note for note in found.notes if "w1 was thrown away by a run that was ended" in note]


def test_a_run_for_other_nodes_leaves_it_as_it_is() -> None:
    found = planned({}, host(domain("cp1"), marked("w1", THROWN_AWAY)), limit=("cp1",))
    assert found.changes == ()
    assert [note for note in found.notes if note.startswith("--limit leaves")]


def test_a_definition_of_later_says_the_same() -> None:
    """A mark is written into the definition; what runs does not know it."""
    running = replace(domain("w1"), next_start=marked("w1", GONE))
    assert rebuilding.marks(OWNER, {"hv1": complete(domains=(running,))}) == {"w1": GONE}
    stranger = marked("w1", GONE, name="x")
    assert rebuilding.marks(OWNER, {"hv1": complete(domains=(replace(stranger, stamp=None),))}) == {}


def test_what_is_thrown_away_is_asked_for_nothing() -> None:
    """Neither whether it lets us in, nor whether it is paused."""
    observed = Observed({"hv1": host()}, {**MEMBERS, "w1": NodeSeen(refused=True)})
    found = observed.without("lab", {"w1"})
    assert (set(found.nodes), [one.name for one in found.hosts["hv1"].domains]) == ({"cp1"}, ["lab-cp1"])
    paused = host(domain("cp1"), domain("w1", halted="paused"))
    assert planned({}, paused).halted
    assert planned({"w1": THROWN_AWAY}, paused).halted == ()


@pytest.mark.parametrize("cp1", [NodeSeen(unreachable="no answer"), NodeSeen()])
def test_a_worker_goes_only_if_it_can_come_back(cp1: NodeSeen) -> None:
    with pytest.raises(ConflictError, match="w1 cannot be rebuilt, as it could not join again: cp1: ") as caught:
        planned({"w1": THROWN_AWAY}, nodes={**MEMBERS, "cp1": cp1})
    assert "meshctl restore INVENTORY FILE" in caught.value.hint


def test_a_worker_does_not_come_back_newer_than_the_control_plane() -> None:
    nodes = {**MEMBERS, "cp1": NodeSeen(member=True, version="v1.20.1")}
    with pytest.raises(ConflictError, match=r"w1 cannot join with Kubernetes v1\.20\.2 while cp1 has v1\.20\.1"):
        planned({"w1": THROWN_AWAY}, nodes=nodes, limit=("w1",))


@pytest.mark.parametrize("mark", [THROWN_AWAY, BUT_DATA, GONE, PUT_BACK])
def test_of_a_control_plane_that_is_being_rebuilt_no_other_run_makes_anything(mark: str) -> None:
    seen = host(marked("cp1", mark), domain("w1"))
    with pytest.raises(
        ConflictError, match=r"cp1, the control plane, is being rebuilt .*meshctl rebuild INVENTORY cp1"
    ):
        planned({}, seen)
    found = planned({}, seen, restoring=True)
    assert bool(found.of("rebuild")) == (mark in rebuilding.KINDS)
    assert bool(found.of("guests", "guest")) == (mark != PUT_BACK)


def test_a_smaller_disk_is_no_hindrance_to_who_throws_it_away() -> None:
    root = next(volume for volume in wanted().volumes if volume.node == "w1")
    larger = VolumeSeen(root.name, "", 1, capacity=(root.size_mib + 1024) * MIB)
    seen = host()
    seen = replace(seen, volumes=(*(one for one in seen.volumes if one.name != root.name), larger))
    with pytest.raises(ConflictError, match="a filesystem is not made smaller"):
        planned({}, seen)
    assert planned({"w1": THROWN_AWAY}, seen).of("volumes")


@pytest.mark.parametrize(("mark", "left"), [(THROWN_AWAY, set()), (BUT_DATA, {"data-d"}), (GONE, {"root", "data-d"})])
def test_logical_volumes_and_devices_are_as_files(mark: str, left: set[str]) -> None:
    names = {stem(OWNER, "w1", kind): kind for kind in ("root", "data-d")}
    named = {f"/dev/{n}": Named(f"/dev/{n}", "sdx", 1, claim_text(Claim(n, ready=True))) for n in names}
    storage = StorageSeen(logicals=tuple(Logical("vg", name, 1) for name in (*names, "foreign")), named=named)
    observed = Observed({"hv1": replace(host(), storage=storage)})
    found = rebuilding.emptied(observed, CLUSTER, {"w1": mark}).hosts["hv1"].storage
    assert {names[one.name] for one in found.logicals if one.name != "foreign"} == left
    assert {names[claim.name] for claim in claims(found).values()} == left
    assert found.named.keys() == named.keys()
