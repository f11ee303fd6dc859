"""Stage mesh: linkerd and the echo app onto every node."""

from __future__ import annotations

from collections.abc import Sequence

from provision.base.events import Changed
from provision.base.waiting import wait_until
from provision.kubernetes import Kubectl, Outdated, patiently, pods_on, profile_for
from provision.kubernetes.kubectl import title
from provision.mesh import POD_DIGEST, Manifest, pod_digests
from provision.plan import Plan
from provision.run.observe import mesh_manifests
from provision.run.stages.doors import Doors

NAME, TITLE = "mesh", "Linkerd on every node"

READY_S = 900.0
"""From apply to ready pods it takes up to two minutes under software emulation, when nothing else runs."""

ROLL_S = 60.0
"""What a node more may take: a DaemonSet rolls one node at a time, each with linkerd's grace of 30 s and its start."""


def run(plan: Plan, doors: Doors) -> None:
    """Applies what is absent or differs, replaces pods of an older template, waits until every node has ready pods of the
    wanted one.
    """
    del plan  # what is stale is asked of the cluster itself: the plan is older than the cluster may be
    kubectl = doors.kubectl()
    wanted = mesh_manifests(doors.cluster, doors.bundle)
    patiently(lambda: _put(kubectl, wanted, doors), within_s=READY_S, emit=doors.emit)
    rolls = profile_for(doors.cluster.kubernetes.generation).workloads.rolls_daemonsets
    nodes = tuple(node.name for node in doors.cluster.nodes)
    for app, digest in pod_digests(wanted).items():
        if not rolls:
            _replace_old_pods(kubectl, app, digest, doors)
        _await_pods(kubectl, app, digest, nodes, doors)


def _put(kubectl: Kubectl, wanted: tuple[Manifest, ...], doors: Doors) -> None:
    stale = _stale(kubectl, wanted)
    for write, manifests in ((kubectl.create, stale.absent), (kubectl.apply, stale.different)):
        write(manifests)
        for manifest in manifests:
            doors.emit(Changed("cluster", title(manifest), "apply"))


def _stale(kubectl: Kubectl, wanted: tuple[Manifest, ...]) -> Outdated:
    """What is to be written. With the topology the Service l5d wins or loses its address, which nobody uses and nobody can
    change: a different one is made anew.
    """
    stale = kubectl.outdated(wanted)
    front = [manifest for manifest in stale.different if title(manifest) == "Service l5d"]
    for manifest in front:
        kubectl.delete("service", "l5d", namespace=manifest["metadata"]["namespace"])
    return kubectl.outdated(wanted) if front else stale


def _await_pods(kubectl: Kubectl, app: str, digest: str, nodes: Sequence[str], doors: Doors) -> None:
    """Waits for a ready pod of the wanted template on each of these nodes. Raises KubernetesError when one never will be."""
    wait_until(
        lambda: pods_on(
            kubectl,
            nodes,
            namespace=doors.cluster.mesh.namespace,
            labels={"app": app},
            annotations={POD_DIGEST: digest},
        ),
        what=f"pods {app} on {'every node' if len(nodes) > 1 else nodes[0]}",
        within_s=READY_S + ROLL_S * len(nodes),
        every_s=3.0,
        emit=doors.emit,
    )


def _replace_old_pods(kubectl: Kubectl, app: str, digest: str, doors: Doors) -> None:
    """DaemonSets of 1.5 do not roll: pods of an older template are deleted node by node, each replaced before the next."""
    namespace = doors.cluster.mesh.namespace
    known = {node.name for node in doors.cluster.nodes}
    for pod in kubectl.items("pods", namespace=namespace, labels={"app": app}):
        node = pod["spec"].get("nodeName", "?")
        if pod["metadata"].get("annotations", {}).get(POD_DIGEST) != digest:
            kubectl.delete("pod", pod["metadata"]["name"], namespace=namespace)
            doors.emit(Changed(node, f"pod {pod['metadata']['name']}", "replace"))
            if node in known:
                _await_pods(kubectl, app, digest, (node,), doors)
