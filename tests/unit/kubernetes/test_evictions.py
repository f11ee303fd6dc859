"""What a drain makes go, by the objects of 1.5 and of 1.20, and which budget holds a pod."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision.kubernetes.evictions import Eviction, judge_budgets, judge_evictions


def pod(name: str, *, kind: str = "ReplicaSet", volumes: list[Any] | None = None, **metadata: Any) -> dict[str, Any]:
    owner = [{"kind": kind, "name": "x", "controller": True}] if kind else []
    return {
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": name}, "ownerReferences": owner, **metadata},
        "spec": {"nodeName": "w1", "volumes": volumes or []},
        "status": {"phase": "Running"},
    }


def created_by(kind: str) -> dict[str, str]:
    return {"kubernetes.io/created-by": json.dumps({"kind": "SerializedReference", "reference": {"kind": kind}})}


def titles(*pods: dict[str, Any]) -> list[str]:
    return [str(one) for one in judge_evictions(pods)]


def test_pods_of_daemonsets_and_of_files_stay() -> None:
    assert titles(
        pod("l5d", kind="DaemonSet"),
        pod("proxy", kind="", annotations=created_by("DaemonSet")),
        pod("apiserver", kind="", annotations={"kubernetes.io/config.mirror": "1f"}),
        pod("web"),
        pod("cache", kind="", annotations=created_by("ReplicationController")),
    ) == ["shop/cache", "shop/web"]


def test_what_is_lost_is_said() -> None:
    scratch = [{"name": "token", "secret": {}}, {"name": "scratch", "emptyDir": {}}]
    assert titles(pod("tool", kind=""), pod("web", volumes=scratch), pod("both", kind="", volumes=scratch)) == [
        "shop/both (nothing makes it anew, its emptyDir is lost)",
        "shop/tool (nothing makes it anew)",
        "shop/web (its emptyDir is lost)",
    ]


def test_with_a_pod_that_has_ended_nothing_is_lost() -> None:
    ended = pod("job", kind="", volumes=[{"emptyDir": {}}]) | {"status": {"phase": "Succeeded"}}
    assert titles(ended) == ["shop/job"]


def budget(selector: dict[str, Any], allowed: int = 0, namespace: str = "shop") -> dict[str, Any]:
    return {
        "metadata": {"name": "keep", "namespace": namespace},
        "spec": {"selector": selector},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1},
    }


HELD = ("shop/web is held by PodDisruptionBudget shop/keep (1 healthy, 1 must stay)",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (budget({"matchLabels": {"app": "web"}}), HELD),
        (budget({"matchLabels": {"app": "web"}}, allowed=1), ()),
        (budget({"matchLabels": {"app": "web"}}, namespace="other"), ()),
        (budget({"matchLabels": {"app": "web", "tier": "front"}}), ()),
        (budget({}), ()),
        (budget({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]}), HELD),
        (budget({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}), ()),
        (budget({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["back"]}]}), HELD),
        (budget({"matchExpressions": [{"key": "app", "operator": "Exists"}]}), HELD),
        (budget({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}), ()),
        (budget({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}), HELD),
    ],
)
def test_the_budget_that_holds_a_pod_is_named(given: dict[str, Any], said: tuple[str, ...]) -> None:
    assert judge_budgets([given], [Eviction("shop", "web", (("app", "web"),))]) == said
