"""What emptying a node means: which pods go, what is lost with them, and which PodDisruptionBudget holds one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provision.kubernetes.api import Kind
from provision.kubernetes.kubectl import Kubectl

PODS, BUDGETS = Kind("v1", "pods"), Kind("policy/v1beta1", "poddisruptionbudgets")
"""The budgets' version is there from 1.5 to 1.24."""

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Eviction:
    """A pod that a drain makes go. `orphan`: nothing makes it anew elsewhere; `local_data`: what its emptyDir holds is lost."""

    namespace: str
    name: str
    labels: tuple[tuple[str, str], ...] = ()
    orphan: bool = False
    local_data: bool = False

    @property
    def title(self) -> str:
        """`default/web-1`."""
        return f"{self.namespace}/{self.name}"

    def __str__(self) -> str:
        """With what is lost."""
        losses = ["nothing makes it anew"] * self.orphan + ["its emptyDir is lost"] * self.local_data
        return self.title + (f" ({', '.join(losses)})" if losses else "")


def evictions(kubectl: Kubectl, node: str) -> tuple[Eviction, ...]:
    """The pods that a drain of a node makes go now. Raises ApiStarting or KubernetesError."""
    pods = kubectl.everywhere(PODS, {"spec.nodeName": node})
    return judge_evictions(pod for pod in pods if pod["spec"].get("nodeName") == node)


def judge_evictions(pods: Iterable[Item]) -> tuple[Eviction, ...]:
    """Of the pods of one node. Those of DaemonSets stay, and so do those that the kubelet makes from its own files."""
    return tuple(sorted((_eviction(pod) for pod in pods if not _stays(pod)), key=lambda one: one.title))


def held_by(kubectl: Kubectl, pods: Iterable[Eviction]) -> tuple[str, ...]:
    """A line for each pod that a PodDisruptionBudget allows nobody to evict now. Raises ApiStarting or KubernetesError."""
    return judge_budgets(kubectl.everywhere(BUDGETS), pods)


def judge_budgets(budgets: Iterable[Item], pods: Iterable[Eviction]) -> tuple[str, ...]:
    """The same of budgets that were asked for."""
    exhausted = [one for one in budgets if int(one.get("status", {}).get("disruptionsAllowed", 0)) < 1]
    return tuple(f"{pod.title} is held by {_budget(one)}" for pod in pods for one in exhausted if _covers(one, pod))


def _eviction(pod: Item) -> Eviction:
    metadata = pod["metadata"]
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return Eviction(
        metadata.get("namespace", "default"),
        metadata["name"],
        tuple(sorted(metadata.get("labels", {}).items())),
        orphan=not ended and not _maker(pod),
        local_data=not ended and any("emptyDir" in volume for volume in pod["spec"].get("volumes", ())),
    )


def _stays(pod: Item) -> bool:
    return _maker(pod) == "DaemonSet" or "kubernetes.io/config.mirror" in pod["metadata"].get("annotations", {})


def _maker(pod: Item) -> str:
    """The kind that makes a pod anew, "" for none."""
    return maker(pod).partition("/")[0]


def maker(pod: Item) -> str:
    """What makes a pod anew, as `ReplicaSet/web-1`, "" for nothing. Kubernetes 1.5 notes most of them in an annotation only."""
    metadata = pod["metadata"]
    for owner in metadata.get("ownerReferences", ()):
        if owner.get("controller"):
            return f"{owner['kind']}/{owner.get('name', '')}"
    said = metadata.get("annotations", {}).get("kubernetes.io/created-by")
    reference = json.loads(said)["reference"] if said else {}
    return f"{reference['kind']}/{reference.get('name', '')}" if reference else ""


def _budget(budget: Item) -> str:
    status, metadata = budget.get("status", {}), budget["metadata"]
    healthy, needed = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    return (
        f"PodDisruptionBudget {metadata.get('namespace', 'default')}/{metadata['name']}"
        f" ({healthy} healthy, {needed} must stay)"
    )


def _covers(budget: Item, pod: Eviction) -> bool:
    here = budget["metadata"].get("namespace", "default") == pod.namespace
    return here and _chooses(budget.get("spec", {}).get("selector") or {}, dict(pod.labels))


def _chooses(selector: Item, labels: Mapping[str, str]) -> bool:
    equal, demands = selector.get("matchLabels") or {}, selector.get("matchExpressions") or ()
    # In policy/v1beta1 an empty selector chooses nothing.
    return bool(equal or demands) and equal.items() <= labels.items() and all(_meets(labels, one) for one in demands)


def _meets(labels: Mapping[str, str], demand: Item) -> bool:
    found, values = labels.get(demand["key"]), demand.get("values") or ()
    match demand["operator"]:
        case "In":
            return found in values
        case "NotIn":
            return found not in values
        case "Exists":
            return found is not None
        case _:  # DoesNotExist
            return found is None
