"""Zipkin's pod and its database's password: part of the stage mesh, behind the routers, which do not wait for it (ADR 0040)."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from provision.base.events import Changed
from provision.kubernetes import Kubectl, patiently, pods_on
from provision.kubernetes.kubectl import Manifest, stamped, title
from provision.mesh import PASSWORD, POD_DIGEST, SECRET, ZIPKIN, digest_of, node_of, places, pod_digests
from provision.run.stages.doors import Doors
from provision.run.stages.steps import await_nodes

NAME = "mesh"

READY_S = 2400.0
"""A JVM starts, and a database is made: 330 s with a fiftieth of two busy CPUs, and emulation is slower."""

PASSWORD_BYTES = 24

Pod = Mapping[str, Any]


def draw_password(kubectl: Kubectl, manifest: Manifest) -> None:
    """Makes the Secret that is absent, with a new password, which goes over stdin and is known to nobody here afterwards."""
    drawn = base64.b64encode(secrets.token_hex(PASSWORD_BYTES).encode()).decode()
    kubectl.create_secret({**stamped(manifest), "data": {PASSWORD: drawn}}, title(manifest))


def settle(kubectl: Kubectl, wanted: Sequence[dict[str, Any]], nodes: Sequence[str], doors: Doors) -> None:
    """Replaces Zipkin's pod where it is not the wanted one, and waits for it; nothing where its node is not among these."""
    app = ZIPKIN["app"]
    home = places(wanted).get(app)
    if home is None or home not in nodes:
        return
    digest = pod_digests(wanted)[app]
    for pod in patiently(kubectl, partial(_outlived, kubectl, digest, home, doors), within_s=READY_S, emit=doors.emit):
        name = pod["metadata"]["name"]
        kubectl.delete("pod", name, namespace=pod["metadata"]["namespace"])
        doors.emit(Changed(node_of(pod), f"pod {name}", "replace"))
    space, template = doors.cluster.mesh.namespace, {POD_DIGEST: digest}
    look = partial(_ready, kubectl, space, template)
    await_nodes(doors, NAME, "pod zipkin", [home], look, READY_S)


def _ready(kubectl: Kubectl, namespace: str, template: Mapping[str, str], nodes: Sequence[str]) -> Any:
    return pods_on(kubectl, nodes, namespace=namespace, labels=ZIPKIN, annotations=template)


def _outlived(kubectl: Kubectl, digest: str, home: str, doors: Doors) -> list[Pod]:
    """Pods of another template or node, and one that is older than its Secret: its containers have another password, once one of them is
    started again.
    """
    space = doors.cluster.mesh.namespace
    pods = kubectl.items("pods", namespace=space, labels=ZIPKIN)
    held = [
        one for one in kubectl.items("secrets", namespace=space, labels=ZIPKIN) if one["metadata"]["name"] == SECRET
    ]
    since = max((str(one["metadata"].get("creationTimestamp", "")) for one in held), default="")
    return [
        pod
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and (digest_of(pod) != digest or node_of(pod) not in (home, "?") or _made(pod) < since)
    ]


def _made(pod: Pod) -> str:
    """When, in RFC 3339, which sorts as text; what does not say so is taken for new."""
    return str(pod["metadata"].get("creationTimestamp", "9"))
