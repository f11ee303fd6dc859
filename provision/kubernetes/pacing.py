"""A workload whose pods are all on the node that is emptied: one of them is moved first, so that the others are not missed.

kubectl drain evicts all pods of a node at once. Where nodes are emptied one after the other, what the first gave away lies on the second,
both replicas of a Deployment of two: without a PodDisruptionBudget nobody would serve until the next starts elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from provision.base.errors import StageTimeout
from provision.base.events import Changed, Emit, Output
from provision.base.waiting import NotYet, Ready, wait_until
from provision.kubernetes.api import ApiStarting
from provision.kubernetes.evictions import BUDGETS, PODS, Eviction, judge_budgets, judge_evictions, maker
from provision.kubernetes.given import taints_of
from provision.kubernetes.kubectl import Kubectl

Item = Mapping[str, Any]
Workload = tuple[str, str]
"""Namespace, and kind and name of what makes the pods."""

MOVED_S = 300.0
"""A pod starts elsewhere in seconds, emulated in a minute. One that does not start at all must not keep a node from being emptied."""


def move_ahead(
    kubectl: Kubectl, node: str, emit: Emit, *, cordon: Callable[[], object], within_s: float = MOVED_S
) -> None:
    """Moves one pod of each workload whose pods are all on this node, and waits until it serves elsewhere; `cordon` lets the node take no
    new ones before. What a budget holds is left to its eviction. Raises ApiStarting or KubernetesError.
    """
    moved = all_here(kubectl.everywhere(PODS), node)
    if moved:
        moved = without_budget(moved, kubectl.everywhere(BUDGETS)) if _others(kubectl, node) else {}
    if not moved:
        return
    cordon()
    for pod in moved.values():
        kubectl.delete("pod", pod.name, namespace=pod.namespace)
        emit(Changed("cluster", f"pod {pod.title}", "move"))
    try:
        look = partial(_elsewhere, kubectl, moved.keys(), node)
        wait_until(look, what="pods elsewhere", within_s=within_s, every_s=2.0, emit=emit)
    except StageTimeout as error:
        emit(Output("cluster", f"{node} is emptied all the same: {error.message}"))


def all_here(pods: Iterable[Item], node: str) -> dict[Workload, Eviction]:
    """The workloads of which two pods or more serve on a node and none elsewhere, each with the pod to move. Pure."""
    serving: dict[Workload, list[Item]] = defaultdict(list)
    for pod in pods:
        if (workload := _workload(pod)) and _serves(pod):
            serving[workload].append(pod)
    here = {key: judge_evictions(those) for key, those in serving.items() if {_node(pod) for pod in those} == {node}}
    return {key: evicted[0] for key, evicted in here.items() if len(evicted) > 1}


def without_budget(moved: Mapping[Workload, Eviction], budgets: Iterable[Item]) -> dict[Workload, Eviction]:
    """Those that no PodDisruptionBudget covers, whether it is used up or not. Pure."""
    used_up = [{**one, "status": {**one.get("status", {}), "disruptionsAllowed": 0}} for one in budgets]
    return {key: pod for key, pod in moved.items() if not judge_budgets(used_up, [pod])}


def _elsewhere(kubectl: Kubectl, moved: Collection[Workload], node: str) -> Ready[None] | NotYet:
    try:
        pods = kubectl.everywhere(PODS)
    except ApiStarting as error:
        return NotYet(error.message)
    there = {_workload(pod) for pod in pods if _serves(pod) and _node(pod) != node}
    waiting = sorted(f"{namespace}/{name}" for namespace, name in set(moved) - there)
    return NotYet(f"no pod of {', '.join(waiting)} serves elsewhere yet") if waiting else Ready(None)


def _others(kubectl: Kubectl, node: str) -> bool:
    """Whether any other node takes pods that ask for nothing special."""
    return any(takes_pods(one) for one in kubectl.items("nodes") if one["metadata"]["name"] != node)


def takes_pods(node: Item) -> bool:
    """Whether a node is Ready, not cordoned, and has no taint that keeps pods away. Pure."""
    conditions = {one["type"]: one["status"] for one in node.get("status", {}).get("conditions", ())}
    kept_away = any(one["effect"] in ("NoSchedule", "NoExecute") for one in taints_of(node))
    shut = node["spec"].get("unschedulable") or kept_away
    return conditions.get("Ready") == "True" and not shut


def _workload(pod: Item) -> Workload | None:
    """What makes a pod anew elsewhere, None for nothing."""
    made_by = maker(pod)
    return (pod["metadata"].get("namespace", "default"), made_by) if made_by else None


def _node(pod: Item) -> str:
    return str(pod["spec"].get("nodeName", ""))


def _serves(pod: Item) -> bool:
    conditions = {one["type"]: one["status"] for one in pod.get("status", {}).get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]
