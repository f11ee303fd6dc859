"""What Kubernetes knows of a node that will not come back as it is: its object, its pods, the certificates that it asked for."""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from provision.base.errors import StageTimeout
from provision.base.events import Changed, Emit, Warned
from provision.base.waiting import NotYet, Ready, wait_until
from provision.kubernetes.certificate import requested_name
from provision.kubernetes.evictions import PODS
from provision.kubernetes.kubectl import EVERYWHERE, Kubectl

MOVED_S = 60.0
"""How long those who serve requests may take to hear that pods are gone: a second, and more on busy emulated CPUs."""


def forget_node(kubectl: Kubectl, node: str, emit: Emit) -> None:
    """Deletes a node from Kubernetes, with its pods and its certificate requests, and waits until no Service leads to it any more.

    The control plane would find out by itself, 40 s after the object is gone: until then requests would still be sent there.
    Raises ApiStarting or KubernetesError; done in part, the same again does the rest.
    """
    kubectl.delete("node", node)
    emit(Changed("cluster", f"node {node}", "delete from Kubernetes"))
    for namespace, names in _pods(kubectl, node).items():
        kubectl.delete("pod", *names, namespace=namespace, at_once=True)
        emit(Changed("cluster", f"pods {', '.join(names)} of {node}", "delete from Kubernetes"))
    if requests := stale_requests(kubectl.get("csr").get("items", ()), node):
        kubectl.delete("csr", *requests)
        emit(Changed("cluster", f"{len(requests)} certificate request(s) of {node}", "delete from Kubernetes"))
    _await_moved(kubectl, node, emit)


def _pods(kubectl: Kubectl, node: str) -> dict[str, list[str]]:
    """The names of the pods that are on a node, by namespace."""
    found: dict[str, list[str]] = defaultdict(list)
    for pod in kubectl.everywhere(PODS, {"spec.nodeName": node}):
        if pod["spec"].get("nodeName") == node:
            found[pod["metadata"].get("namespace", "default")].append(pod["metadata"]["name"])
    return found


def stale_requests(items: Iterable[dict[str, Any]], node: str) -> tuple[str, ...]:
    """The names of the CertificateSigningRequests that a node's kubelets have made: the next one makes its own."""
    return tuple(item["metadata"]["name"] for item in items if _asker(item) == f"system:node:{node}")


def _asker(item: dict[str, Any]) -> str:
    try:
        return requested_name(base64.b64decode(item["spec"]["request"]).decode())
    except (KeyError, binascii.Error, UnicodeDecodeError):
        return ""


def _await_moved(kubectl: Kubectl, node: str, emit: Emit) -> None:
    what = f"{node}: no Service leads to it"
    try:
        wait_until(lambda: leads_to(kubectl, node), what=what, within_s=MOVED_S, every_s=2.0, emit=emit)
    except StageTimeout as error:
        emit(Warned(f"{error.message}: it goes all the same"))


def leads_to(kubectl: Kubectl, node: str) -> Ready[None] | NotYet:
    """Whether a Service sends requests to a node; for `wait_until`."""
    found = [one for one in kubectl.items("endpoints", namespace=EVERYWHERE) if node in _nodes(one)]
    names = ", ".join(one["metadata"]["name"] for one in found)
    return NotYet(f"{names} leads to it still") if found else Ready(None)


def _nodes(endpoints: dict[str, Any]) -> set[str]:
    subsets = endpoints.get("subsets") or ()
    return {address.get("nodeName", "") for subset in subsets for address in subset.get("addresses") or ()}
