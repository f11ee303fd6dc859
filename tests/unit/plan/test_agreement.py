"""What is agreed to with a plan, and what departs from it."""

from __future__ import annotations

from dataclasses import replace

from provision.plan import NodeSeen, Plan
from tests.unit.plan.test_plan import EMPTY, complete, planned


def departures(now: Plan, then: Plan) -> tuple[str, ...]:
    return now.agreement.departures(then.agreement)


def test_the_same_in_other_words_and_from_another_folder_is_agreed_to() -> None:
    then = planned(EMPTY, {}, None)
    artifacts = tuple(replace(one, path="/elsewhere/x") for one in then.desired.artifacts)
    reworded = tuple(replace(action, reason="other words") for action in then.actions)
    now = replace(then, actions=reworded, desired=replace(then.desired, artifacts=artifacts))
    assert departures(now, then) == ()


def test_each_departure_has_a_line() -> None:
    then = planned(EMPTY, {}, None)
    network = next(one for one in then.actions if one.kind == "network")
    guest = replace(then.desired.guests[1], memory_mib=4096)
    wanted = replace(then.desired, guests=(then.desired.guests[0], guest), seeds=then.desired.seeds[:1])
    now = replace(then, actions=tuple(one for one in then.actions if one != network), desired=wanted)
    assert departures(now, then) == (
        "no longer to do: create network meshctl on hv1",
        "should be otherwise: guest w1",
        "should exist no longer: seed of w1",
    )
    assert departures(then, now)[0] == "new: create network meshctl on hv1"


def test_what_is_no_longer_to_do_is_not_beyond_what_was_agreed_to() -> None:
    then = planned(EMPTY, {}, None)
    less = replace(then, actions=tuple(one for one in then.actions if one.kind != "network")).agreement
    assert (less.beyond(then.agreement), less.departures(then.agreement)) == ((), less.done_since(then.agreement))
    assert less.done_since(then.agreement) == ("no longer to do: create network meshctl on hv1",)
    assert then.agreement.beyond(less) == ("new: create network meshctl on hv1",)


def test_what_somebody_else_changed_meanwhile_is_one_line() -> None:
    """The deed is the same, and what it begins from is another."""
    then = planned(complete(), {"cp1": NodeSeen(), "w1": NodeSeen(unsettled=("sysctl",))})
    changed = tuple(replace(one, basis="other") for one in then.actions)
    lines = departures(replace(then, actions=changed), then)
    assert "changed by somebody: change boot w1" in lines
    assert not [line for line in lines if line.startswith(("new", "no longer"))]
