"""Stage mesh: linkerd and the echo app onto every node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provision.base.events import Changed
from provision.kubernetes import Kubectl, Outdated, patiently, pods_on, profile_for
from provision.kubernetes.kubectl import title
from provision.mesh import POD_DIGEST, Manifest, marks, pod_digests
from provision.plan import Plan
from provision.run.observe import mesh_manifests
from provision.run.stages.doors import Doors
from provision.run.stages.pruning import prune, replace_former
from provision.run.stages.steps import await_nodes

NAME, TITLE = "mesh", "Linkerd on every node"

READY_S = 900.0
"""From apply to ready pods it takes up to two minutes under software emulation, when nothing else runs."""

ROLL_S = 60.0
"""What a node more may take: a DaemonSet rolls one node at a time, each with linkerd's grace of 30 s and its start."""


def run(plan: Plan, doors: Doors) -> None:
    """Applies what is absent or differs, replaces pods of an older template, waits until every node that the plan is about has ready
    pods of the wanted one. The objects go with the control plane: without it only pods are waited for, of the template that is there.

    A mesh that changed its namespace is moved by a run that is about all nodes: its pods node by node, and what is no longer wanted goes.
    What is stale is asked of the cluster itself: the plan is older than the cluster may be.
    """
    kubectl = doors.kubectl()
    wanted = mesh_manifests(doors.cluster, doors.bundle)
    whole = plan.concerns(doors.cluster.control_plane.name)
    if whole:
        patiently(kubectl, lambda: _put(kubectl, wanted, doors), within_s=READY_S, emit=doors.emit)
    unwanted = _unwanted(kubectl, wanted, plan, doors)
    digests = pod_digests(wanted)

    def settled(node: str) -> None:
        for app, digest in digests.items():
            _await_pods(kubectl, app, {POD_DIGEST: digest}, (node,), doors)

    if _about_all(plan, doors):
        replace_former(kubectl, wanted, unwanted, doors, settled)
    rolls = profile_for(doors.cluster.kubernetes.generation).workloads.rolls_daemonsets
    for app, digest in digests.items():
        if whole and not rolls:
            _replace_old_pods(kubectl, app, digest, doors.nodes(plan), doors)
        _await_pods(kubectl, app, {POD_DIGEST: digest} if whole else {}, doors.nodes(plan), doors)
    prune(kubectl, unwanted, doors)


def _about_all(plan: Plan, doors: Doors) -> bool:
    return set(doors.nodes(plan)) >= {node.name for node in doors.cluster.nodes}


def _unwanted(
    kubectl: Kubectl, wanted: tuple[Manifest, ...], plan: Plan, doors: Doors
) -> tuple[Mapping[str, Any], ...]:
    """What of ours is no longer wanted; nothing where a run leaves nodes out that still need it."""
    if not _about_all(plan, doors):
        return ()
    label = marks(doors.cluster.cluster)
    return patiently(kubectl, lambda: kubectl.outdated(wanted, label).unwanted, within_s=READY_S, emit=doors.emit)


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


def _await_pods(kubectl: Kubectl, app: str, template: Mapping[str, str], nodes: Sequence[str], doors: Doors) -> None:
    """Waits for a ready pod of this template on each of these nodes. Raises KubernetesError when one never will be."""
    space, labels = doors.cluster.mesh.namespace, {"app": app}
    await_nodes(
        doors,
        NAME,
        f"pods {app}",
        nodes,
        lambda names: pods_on(kubectl, names, namespace=space, labels=labels, annotations=template),
        READY_S + ROLL_S * len(nodes),
    )


def _replace_old_pods(kubectl: Kubectl, app: str, digest: str, nodes: Sequence[str], doors: Doors) -> None:
    """DaemonSets of 1.5 do not roll: pods of an older template are deleted node by node, each replaced before the next. Nodes of the
    inventory that are not among these keep theirs.
    """
    namespace = doors.cluster.mesh.namespace
    left = {node.name for node in doors.cluster.nodes} - set(nodes)
    for pod in kubectl.items("pods", namespace=namespace, labels={"app": app}):
        node = pod["spec"].get("nodeName", "?")
        if node not in left and pod["metadata"].get("annotations", {}).get(POD_DIGEST) != digest:
            kubectl.delete("pod", pod["metadata"]["name"], namespace=namespace)
            doors.emit(Changed(node, f"pod {pod['metadata']['name']}", "replace"))
            if node in nodes:
                _await_pods(kubectl, app, {POD_DIGEST: digest}, (node,), doors)
