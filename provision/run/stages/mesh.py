"""Stage mesh: linkerd and the echo app onto every node."""

from __future__ import annotations

from provision.base.events import Changed
from provision.base.waiting import wait_until
from provision.kubernetes import Kubectl, Outdated, patiently, pods_on, profile_for
from provision.kubernetes.kubectl import title
from provision.mesh import APP, ECHO, Manifest
from provision.plan import Plan
from provision.run.observe import mesh_manifests
from provision.run.stages.doors import Doors

NAME, TITLE = "mesh", "Linkerd on every node"

READY_S = 900.0
"""From apply to ready pods it takes up to two minutes under software emulation, when nothing else runs."""


def run(plan: Plan, doors: Doors) -> None:
    """Applies what is absent or differs, replaces pods of an older template, waits until every node has ready pods."""
    del plan  # what is stale is asked of the cluster itself: the plan is older than the cluster may be
    kubectl = doors.kubectl()
    wanted = mesh_manifests(doors.cluster, doors.bundle)
    patiently(lambda: _put(kubectl, wanted, doors), within_s=READY_S, emit=doors.emit)
    if not profile_for(doors.cluster.kubernetes.generation).workloads.rolls_daemonsets:
        _replace_old_pods(kubectl, wanted, doors)
    for app in (APP, ECHO):
        _await_pods(kubectl, app, doors)


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


def _await_pods(kubectl: Kubectl, app: dict[str, str], doors: Doors) -> None:
    nodes = [node.name for node in doors.cluster.nodes]
    namespace = doors.cluster.mesh.namespace
    wait_until(
        lambda: pods_on(kubectl, nodes, namespace=namespace, labels=app),
        what=f"pods {app['app']} on every node",
        within_s=READY_S,
        every_s=3.0,
        emit=doors.emit,
    )


def _replace_old_pods(kubectl: Kubectl, wanted: tuple[Manifest, ...], doors: Doors) -> None:
    """DaemonSets of 1.5 do not roll: pods of an older template are deleted node by node, each replaced before the next."""
    namespace = doors.cluster.mesh.namespace
    daemonset = next(m for m in wanted if m["kind"] == "DaemonSet" and m["metadata"]["name"] == "l5d")
    digest = daemonset["spec"]["template"]["metadata"]["annotations"]["meshctl/config-digest"]
    for pod in kubectl.items("pods", namespace=namespace, labels=APP):
        if pod["metadata"].get("annotations", {}).get("meshctl/config-digest") != digest:
            kubectl.delete("pod", pod["metadata"]["name"], namespace=namespace)
            doors.emit(Changed(pod["spec"].get("nodeName", "?"), f"pod {pod['metadata']['name']}", "replace"))
            _await_pods(kubectl, APP, doors)
