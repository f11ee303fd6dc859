"""Work on nodes: who fails is gone on without, or ends the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from provision.base.calls import Calls
from provision.base.errors import KubernetesError, MeshctlError, SomeFailed, StageTimeout
from provision.base.events import Event, GaveUp, StepFinished
from provision.base.waiting import NotYet, Ready
from provision.guests import Sessions, nobody
from provision.run.stages.doors import Doors
from provision.run.stages.given_up import GivenUp
from provision.run.stages.steps import await_nodes, each_host, each_node
from tests.unit.plan.test_plan import EMPTY, planned
from tests.unit.sample import CLUSTER

NODES = ("cp1", "w1", "w2")


def doors(events: list[Event], *, keep_going: bool = True) -> Doors:
    """Doors that lead nowhere: how work is arranged needs none."""
    none = cast(Any, None)
    return Doors(
        CLUSTER, {}, Sessions(CLUSTER, Calls(), nobody), events.append, none, none, GivenUp(keep_going=keep_going)
    )


def failing(*bad: str) -> Callable[[str], None]:
    def work(node: str) -> None:
        if node in bad:
            raise StageTimeout(f"{node}: first boot: not within 1 s", hint="look")

    return work


def given_up(events: list[Event]) -> list[str]:
    return [event.node for event in events if isinstance(event, GaveUp)]


def finished(events: list[Event]) -> list[tuple[str, str]]:
    return sorted((event.node, event.step) for event in events if isinstance(event, StepFinished))


def test_the_others_are_finished_and_who_failed_is_left_alone_from_then_on() -> None:
    events: list[Event] = []
    ours = doors(events)
    each_node(ours, "guests", "boot", NODES, failing("w1"))
    each_node(ours, "kubernetes", "join", NODES, failing())
    assert given_up(events) == ["w1"]
    assert finished(events) == [("cp1", "boot"), ("cp1", "join"), ("w2", "boot"), ("w2", "join")]
    with pytest.raises(SomeFailed, match=r"1 node\(s\) were given up, all else is done:\n  w1: first boot") as caught:
        ours.given_up.tell(events.append)
    assert "hint: look" in caught.value.message


@pytest.mark.parametrize(("keep_going", "bad"), [(False, "w1"), (True, "cp1")])
def test_without_the_word_or_for_the_control_plane_the_failure_is_the_runs(keep_going: bool, bad: str) -> None:
    events: list[Event] = []
    with pytest.raises(StageTimeout, match=f"{bad}: first boot"):
        each_node(doors(events, keep_going=keep_going), "guests", "boot", NODES, failing(bad))
    assert given_up(events) == []


def test_a_host_that_fails_takes_its_nodes_with_it_and_the_control_planes_ends_the_run() -> None:
    plan = planned(EMPTY, {}, None)
    with pytest.raises(MeshctlError, match="hv1: no"):
        each_host(doors([]), "hosts", plan, ["hv1"], _refusing)
    with pytest.raises(MeshctlError, match="hv9: no"):  # it has none of the nodes that the plan is about
        each_host(doors([]), "hosts", plan, ["hv9"], _refusing)


def _refusing(host: str) -> None:
    raise MeshctlError(f"{host}: no")


def test_one_question_is_asked_for_all_until_it_ends_badly() -> None:
    """Then each is looked at alone, and the answer is that of the rest."""
    events: list[Event] = []
    asked: list[tuple[str, ...]] = []

    def look(nodes: Sequence[str]) -> Ready[tuple[str, ...]] | NotYet:
        asked.append(tuple(nodes))
        return NotYet("w2: NotReady") if "w2" in nodes else Ready(tuple(nodes))

    assert await_nodes(doors(events), "kubernetes", "Ready", NODES, look, 0) == ("cp1", "w1")
    assert asked == [NODES, ("cp1",), ("w1",), ("w2",), ("cp1", "w1")]
    (event,) = [one for one in events if isinstance(one, GaveUp)]
    assert (event.message, event.error) == ("w2: Ready: NotReady", "StageTimeout")
    assert finished(events) == [("cp1", "Ready"), ("w1", "Ready")]


def test_a_pod_that_never_will_be_ready_is_its_nodes_failure() -> None:
    def look(nodes: Sequence[str]) -> Ready[None] | NotYet:
        if "w1" in nodes:
            raise KubernetesError("w1: pod l5d-x: CrashLoopBackOff", hint="docker logs")
        return Ready(None)

    events: list[Event] = []
    await_nodes(doors(events), "mesh", "pods l5d", NODES, look, 60)
    (event,) = [one for one in events if isinstance(one, GaveUp)]
    assert (event.message, event.hint) == ("w1: pods l5d: pod l5d-x: CrashLoopBackOff", "docker logs")
    with pytest.raises(KubernetesError, match="w1: pod l5d-x"):
        await_nodes(doors([], keep_going=False), "mesh", "pods l5d", NODES, look, 60)


def test_a_wait_that_ends_badly_for_all_ends_the_run() -> None:
    def look(nodes: Sequence[str]) -> Ready[None] | NotYet:
        return NotYet("the API server does not answer")

    with pytest.raises(StageTimeout, match="cp1: Ready: the API server does not answer"):
        await_nodes(doors([]), "kubernetes", "Ready", NODES, look, 0)
