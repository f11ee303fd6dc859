"""What is in the cluster by our label and no longer wanted: part of the stage mesh, for a mesh whose namespaces changed.

The mesh of the former namespace holds its ports on every node, so that the new one's pods wait. Its DaemonSet goes alone, and its pods
node by node, each when the one before has its successor; then what they needed. What a killed run left carries the label still.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from provision.base.errors import StageTimeout
from provision.base.events import Changed, Warned
from provision.base.waiting import NotYet, Ready, wait_until
from provision.kubernetes import ApiStarting, Kubectl
from provision.kubernetes.kubectl import EVERYWHERE, Manifest
from provision.mesh import apps, former_pods, in_words, marks
from provision.run.stages.doors import Doors

EMPTY_S = 180.0
"""A deleted pod has linkerd's grace of 30 s to end; emulation is slow."""

OF_EVERY_NAMESPACE = ("configmap/kube-root-ca.crt", "serviceaccount/default", "secret/default-token-")
"""What the server itself puts into each."""


def let_go(
    kubectl: Kubectl, wanted: Iterable[Manifest], unwanted: Iterable[Manifest], doors: Doors
) -> list[Mapping[str, Any]]:
    """Lets DaemonSets go that are no longer wanted; gives their pods, which stay until somebody replaces them node by node."""
    for one in unwanted:
        if one["kind"] == "DaemonSet":
            _delete(kubectl, one, doors, orphan=True)
    return former_pods(kubectl.items("pods", namespace=EVERYWHERE, labels=marks(doors.cluster.cluster)), apps(wanted))


def prune(kubectl: Kubectl, unwanted: Iterable[Manifest], doors: Doors) -> None:
    """Deletes what is left of it; namespaces last, and only those that hold nothing of anybody else."""
    rest = [one for one in unwanted if one["kind"] != "DaemonSet"]
    for one in sorted(rest, key=lambda one: one["kind"] == "Namespace"):
        if one["kind"] == "Namespace" and (left := _left_in(kubectl, one["metadata"]["name"], doors)):
            _leave(kubectl, one["metadata"]["name"], left, doors)
            continue
        _delete(kubectl, one, doors)


def _leave(kubectl: Kubectl, namespace: str, left: Sequence[str], doors: Doors) -> None:
    """A namespace is theirs who use it: without our label no later plan says that it is to be pruned."""
    kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}])
    doors.emit(Changed("cluster", f"Namespace {namespace}", "leave"))
    doors.emit(Warned(f"namespace {namespace} stays, and is no longer meshctl's: it holds {', '.join(left[:5])}"))


def _left_in(kubectl: Kubectl, namespace: str, doors: Doors) -> tuple[str, ...]:
    """What of others is in a namespace when ours has ended."""
    last: tuple[str, ...] = ()

    def look() -> Ready[None] | NotYet:
        nonlocal last
        try:
            names = kubectl.names_in(namespace)
        except ApiStarting as error:
            return NotYet(error.message)
        last = tuple(name for name in names if not name.startswith(OF_EVERY_NAMESPACE))
        pods = [name for name in last if name.startswith(("pod/", "endpoints/"))]
        return NotYet(f"{', '.join(pods)} still there") if pods and pods == list(last) else Ready(None)

    try:
        wait_until(look, what=f"namespace {namespace} empty", within_s=EMPTY_S, every_s=3.0, emit=doors.emit)
    except StageTimeout:
        return last
    return last


def _delete(kubectl: Kubectl, one: Manifest, doors: Doors, *, orphan: bool = False) -> None:
    metadata: Mapping[str, str] = one["metadata"]
    kubectl.delete(one["kind"].lower(), metadata["name"], namespace=metadata.get("namespace", ""), orphan=orphan)
    doors.emit(Changed("cluster", in_words(one), "prune"))
