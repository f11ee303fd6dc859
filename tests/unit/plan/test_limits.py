"""Plans for some nodes only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.base.errors import ConflictError
from provision.plan import NodeSeen, Observed, Plan, Verb
from provision.plan.compare import plan
from provision.plan.limits import check_names, limited, narrowed
from tests.unit.plan.test_plan import EMPTY, MEMBERS, complete, domain
from tests.unit.sample import CLUSTER, wanted

UNSETTLED = NodeSeen(member=True, unsettled=("sysctl vm.swappiness: wanted 10, found 60",))


def planned(*names: str, observed: Observed) -> Plan:
    narrow = narrowed(wanted(), names)
    return limited(plan(narrow, observed), plan(wanted(), observed), CLUSTER, observed, names)


def changes(found: Plan) -> list[tuple[str, str, str]]:
    return [(action.stage, action.kind, action.name) for action in found.changes]


def test_names_that_are_no_nodes_are_refused_with_near_ones() -> None:
    check_names(CLUSTER, ["w1", "cp1"])
    with pytest.raises(ConflictError, match="--limit w2: there is no such node") as caught:
        check_names(CLUSTER, ["w1", "w2"])
    assert caught.value.hint == "did you mean w1?"
    with pytest.raises(ConflictError) as caught:
        check_names(CLUSTER, ["zzzz"])
    assert caught.value.hint == "its nodes are cp1, w1"


def test_only_the_named_node_is_mended_and_one_note_says_the_others() -> None:
    found = planned("w1", observed=Observed({"hv1": complete()}, {"cp1": UNSETTLED, "w1": UNSETTLED}, ()))
    assert changes(found) == [("guests", "boot", "w1")]
    assert [note for note in found.notes if "--limit" in note] == [
        "--limit leaves what is pending elsewhere: cp1: boot"
    ]
    assert found.concerns("w1")
    assert not found.concerns("cp1")


def test_what_the_node_needs_of_its_host_is_made_and_members_stay_whole() -> None:
    """Routes and /etc/hosts come from the members: they are those of all nodes."""
    found = planned("cp1", observed=Observed({"hv1": EMPTY}, {}, None))
    made = {(kind, name) for _, kind, name in changes(found)}
    assert {("pool", "meshctl"), ("network", "meshctl"), ("guest", "cp1"), ("mesh", "l5d")} <= made
    assert not [name for _, name in made if "w1" in name]
    assert [member.name for member in found.desired.members] == ["cp1", "w1"]
    assert [guest.node for guest in found.desired.guests] == ["cp1"]
    assert found.notes[-1].endswith("w1: root volume, seed, guest, boot, node software, kubeadm join")


def test_a_halted_guest_elsewhere_is_nobodys_concern() -> None:
    host = complete(domains=(domain("cp1"), domain("w1", halted="paused")))
    observed = Observed({"hv1": host}, MEMBERS, ())
    assert planned("cp1", observed=observed).halted == ()
    assert planned("w1", observed=observed).halted != ()


@pytest.mark.parametrize(
    ("cp1", "why"), [(NodeSeen(), "it is no control plane yet"), (NodeSeen(unreachable="no answer"), "no answer")]
)
def test_a_worker_does_not_join_without_a_control_plane(cp1: NodeSeen, why: str) -> None:
    observed = Observed({"hv1": complete()}, {"cp1": cp1, "w1": NodeSeen()}, None)
    with pytest.raises(ConflictError, match=f"w1 cannot join: cp1: {why}") as caught:
        planned("w1", observed=observed)
    assert "--limit cp1 too" in caught.value.hint
    assert ("kubernetes", "kubeadm join", "w1") in changes(planned("cp1", "w1", observed=observed))


def test_who_joins_is_made_known_to_members_that_answer() -> None:
    lacks = NodeSeen(member=True, unprepared=("routes to the other nodes' pods differ",))
    joins = Observed({"hv1": complete()}, {"cp1": lacks, "w1": NodeSeen()}, ("pods l5d: w1: no pod yet",))
    assert ("kubernetes", "node software", "cp1") in changes(planned("w1", observed=joins))
    member = replace(joins, nodes={"cp1": lacks, "w1": UNSETTLED}, mesh=())
    assert changes(planned("w1", observed=member)) == [("guests", "boot", "w1")]


def test_the_meshs_objects_go_with_the_control_plane() -> None:
    stale = ("ConfigMap l5d-config differs or is absent",)
    observed = Observed({"hv1": complete()}, MEMBERS, stale)
    assert ("mesh", "mesh", "l5d") in changes(planned("cp1", observed=observed))
    left = planned("w1", observed=observed)
    assert left.of("mesh") == ()
    assert left.notes[-1].endswith("cluster: mesh")
    joins = planned("w1", observed=Observed({"hv1": complete()}, {"cp1": NodeSeen(member=True)}, stale))
    assert [(one.verb, one.reason) for one in joins.of("mesh")] == [(Verb.CHANGE, "its pods start on w1")]
