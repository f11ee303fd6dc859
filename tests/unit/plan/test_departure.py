"""Nodes that the inventory no longer has: members until they are named, and what is removed then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.base.errors import ConflictError
from provision.inventory import Cluster
from provision.plan import NodeSeen, Observed, Plan, Verb
from provision.plan.compare import plan
from provision.plan.departure import leaving, taking_away
from provision.specs import Member, Stamp
from tests.unit.plan.test_plan import MEMBERS, complete, domain
from tests.unit.sample import CLUSTER, wanted

STAMP = Stamp("lab", "w9", "x", "10.77.0.19", owner=CLUSTER.owner.id)
HOST = complete(domains=(domain("cp1"), domain("w1"), domain("w1", name="lab-w9", stamp=STAMP)))


def planned(*names: str, nodes: dict[str, NodeSeen] | None = None, cluster: Cluster = CLUSTER) -> Plan:
    observed = Observed({"hv1": HOST}, MEMBERS if nodes is None else nodes, ())
    desired = replace(wanted(), leaving=leaving(cluster, observed.hosts))
    return taking_away(plan(desired, observed), cluster, observed, names)


@pytest.mark.parametrize(("said", "subnet"), [("10.99.0.0/24", "10.99.0.0/24"), ("", "10.244.19.0/24")])
def test_who_left_the_inventory_is_a_member_as_its_stamp_says(said: str, subnet: str) -> None:
    """A stamp from before it said the pods' subnet: that follows from the address."""
    gone = domain("w1", name="lab-w9", stamp=replace(STAMP, pod_subnet=said))
    assert leaving(CLUSTER, {"hv1": complete(domains=(domain("cp1"), gone))}) == (
        Member("w9", "worker", "hv1", "10.77.0.19", subnet),
    )


def test_guests_of_others_do_not_leave() -> None:
    others = (
        domain("w1", name="x", stamp=None),
        domain("w1", name="beta-w9", stamp=replace(STAMP, cluster="beta")),
        domain("w1", name="lab-w9", stamp=replace(STAMP, owner="f" * 16)),
    )
    assert leaving(CLUSTER, {"hv1": complete(domains=others)}) == ()


def test_without_a_word_it_stays_and_is_noted() -> None:
    found = planned()
    assert found.changes == ()
    assert [note for note in found.notes if "provision --remove w9" in note]


def test_by_name_it_goes_and_the_plan_says_with_what() -> None:
    (action,) = planned("w9").changes
    assert (action.stage, action.verb, action.where, action.name) == ("removal", Verb.REMOVE, "hv1", "w9")
    assert "drained if it is Ready, deleted from Kubernetes" in action.reason
    assert "guest lab-w9" in action.reason
    assert "lab-w1" not in action.reason
    assert not [note for note in planned("w9").notes if "w9" in note]


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("w1", "w1 is in the inventory", "take it out of nodes first"),
        ("w8", "there is no guest w8 of cluster lab", "those that the inventory lacks: w9"),
    ],
)
def test_any_other_name_is_refused(name: str, message: str, hint: str) -> None:
    with pytest.raises(ConflictError, match=message) as caught:
        planned("w9", name)
    assert hint in caught.value.hint


@pytest.mark.parametrize("cp1", [None, NodeSeen(unreachable="no answer"), NodeSeen(member=False)])
def test_nothing_goes_while_the_inventory_has_no_control_plane_of_its_own(cp1: NodeSeen | None) -> None:
    """Its name may have changed: the one that leaves is the cluster's then."""
    nodes = {name: seen for name, seen in {**MEMBERS, "cp1": cp1}.items() if seen is not None}
    with pytest.raises(ConflictError, match=r"cp1 is no control plane yet.*w9 may be the cluster's last one"):
        planned("w9", nodes=nodes)
