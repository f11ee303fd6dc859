"""Which pod is moved before a node is emptied, and which node takes it. Pure; the lab tries it (rolling-restart-of-all)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision.kubernetes.pacing import all_here, takes_pods, without_budget

Item = dict[str, Any]


def pod(name: str, node: str, maker: str = "ReplicaSet/pair-1", *, ready: bool = True, **metadata: Any) -> Item:
    kind, _, owner = maker.partition("/")
    owners = [{"kind": kind, "name": owner, "controller": True}] if owner else []
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {"app": "pair"},
            "ownerReferences": owners,
            **metadata,
        },
        "spec": {"nodeName": node},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


PAIR = (pod("a", "w2"), pod("b", "w2"))
WORKLOAD = ("shop", "ReplicaSet/pair-1")


def moved(*pods: Item) -> dict[tuple[str, str], str]:
    return {key: one.title for key, one in all_here(pods, "w2").items()}


def test_one_of_two_that_are_all_there_is_moved() -> None:
    assert moved(*PAIR) == {WORKLOAD: "shop/a"}


@pytest.mark.parametrize(
    "pods",
    [
        (PAIR[0], pod("b", "w1")),  # one serves elsewhere
        (PAIR[0],),  # alone: nothing would be won
        (PAIR[0], pod("b", "w2", ready=False)),
        (PAIR[0], pod("b", "w2", deletionTimestamp="2026-12-01T00:00:00Z")),
        (pod("a", "w2", "DaemonSet/l5d"), pod("b", "w2", "DaemonSet/l5d")),  # stays
        (pod("a", "w2", ""), pod("b", "w2", "")),  # nothing makes them anew
        (pod("a", "w1"), pod("b", "w1")),  # of another node
    ],
)
def test_nothing_is_moved_where_nothing_is_won(pods: tuple[Item, ...]) -> None:
    assert moved(*pods) == {}


def test_one_that_does_not_serve_elsewhere_does_not_count() -> None:
    assert moved(*PAIR, pod("c", "w1", ready=False)) == {WORKLOAD: "shop/a"}


def test_1_5_notes_the_maker_in_an_annotation() -> None:
    said = {"kubernetes.io/created-by": json.dumps({"reference": {"kind": "ReplicaSet", "name": "pair-1"}})}
    assert moved(*(pod(name, "w2", "", annotations=said) for name in "ab")) == {WORKLOAD: "shop/a"}


@pytest.mark.parametrize(("labels", "left"), [({"app": "pair"}, False), ({"app": "other"}, True)])
def test_what_a_budget_covers_is_left_to_it_also_while_it_allows_one(labels: dict[str, str], left: bool) -> None:
    budget = {
        "metadata": {"name": "b", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": labels}},
        "status": {"disruptionsAllowed": 1},
    }
    assert (without_budget(all_here(PAIR, "w2"), [budget]) != {}) is left


@pytest.mark.parametrize(
    ("change", "takes"),
    [
        ({}, True),
        ({"spec": {"unschedulable": True}}, False),
        ({"spec": {"taints": [{"key": "node-role.kubernetes.io/master", "effect": "NoSchedule"}]}}, False),
        ({"spec": {"taints": [{"key": "slow", "effect": "PreferNoSchedule"}]}}, True),
        ({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}, False),
        (
            {
                "metadata": {
                    "name": "w1",
                    "annotations": {
                        "scheduler.alpha.kubernetes.io/taints": '[{"key": "dedicated", "effect": "NoSchedule"}]'
                    },
                }
            },
            False,
        ),
    ],
)
def test_which_node_takes_pods(change: Item, takes: bool) -> None:
    node = {"metadata": {"name": "w1"}, "spec": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert takes_pods({**node, **change}) is takes
