"""Stage mesh: linkerd and the echo app onto every node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provision.base.errors import MeshError
from provision.base.events import Changed
from provision.base.parallel import for_each
from provision.base.shell import Shell
from provision.kubernetes import Kubectl, Outdated, listens_on, patiently, pods_on
from provision.kubernetes.kubectl import EVERYWHERE, title
from provision.kubernetes.leading import listeners
from provision.mesh import (
    APP,
    POD_DIGEST,
    PROXY_PORT,
    Manifest,
    configuration,
    marks,
    node_of,
    places,
    pod_digests,
    stale_pods,
)
from provision.plan import Plan
from provision.run.observe import mesh_manifests
from provision.run.stages import tracing
from provision.run.stages.doors import Doors, Ways
from provision.run.stages.mesh_roll import Roll
from provision.run.stages.pruning import let_go, prune
from provision.run.stages.steps import await_nodes, each_node

NAME, TITLE = "mesh", "Linkerd on every node"

READY_S = 900.0
"""From apply to ready pods it takes up to two minutes under software emulation, when nothing else runs."""

ADDRESSED = ("Service l5d", "Service zipkin")

ROLL_S = 60.0
"""What a node more may take: images are loaded and linkerds start on all at once, on the CPUs of the same host."""


def run(plan: Plan, doors: Doors) -> None:
    """Applies what is absent or differs, replaces routers' pods of an older template node by node, then Zipkin's, and is done when every
    node that the plan is about has ready pods of the wanted one and its router has proven itself. The objects go with the control plane:
    without it only pods are waited for, of the template that is there.

    A mesh that changed its namespace is moved by a run that is about all nodes, and what is no longer wanted goes.
    What is stale is asked of the cluster itself: the plan is older than the cluster may be.
    """
    kubectl = doors.kubectl()
    wanted = mesh_manifests(doors.cluster, doors.bundle)
    alone = places(wanted)
    digests = {app: digest for app, digest in pod_digests(wanted).items() if app not in alone}
    if not plan.concerns(doors.cluster.control_plane.name):
        for app in digests:
            _await_pods(kubectl, app, {}, doors.nodes(plan), doors)
        return
    shells = doors.shells()
    patiently(
        kubectl, lambda: check_ports(kubectl, shells, doors.nodes(plan), doors), within_s=READY_S, emit=doors.emit
    )
    patiently(kubectl, lambda: _put(kubectl, wanted, doors), within_s=READY_S, emit=doors.emit)
    unwanted = _unwanted(kubectl, wanted, plan, doors)
    former = let_go(kubectl, wanted, unwanted, doors) if _about_all(plan, doors) else []
    roll = Roll(kubectl, doors, shells, digests)
    roll.run(doors.nodes(plan), [*former, *_old_pods(kubectl, digests, doors.nodes(plan), doors)])
    for app, digest in digests.items():
        _await_pods(kubectl, app, {POD_DIGEST: digest}, doors.nodes(plan), doors)
    if doors.bundle.echo is not None:
        each_node(doors, NAME, "router proven", doors.nodes(plan), roll.prove)
    tracing.settle(kubectl, wanted, doors.nodes(plan), doors)
    prune(kubectl, unwanted, doors)


def check_ports(kubectl: Kubectl, shells: Mapping[str, Shell], nodes: Sequence[str], doors: Ways) -> None:
    """Raises MeshError when somebody else listens on a port that linkerd is to have: with hostNetwork its pod would not be scheduled
    without a word, or end again and again. What a linkerd of ours there listens on already is not looked at.
    """
    mesh = doors.cluster.mesh
    ports = {*configuration(mesh).ports.values(), mesh.admin_port, PROXY_PORT}
    held: dict[str, set[int]] = {node: set() for node in nodes}
    labels = {**marks(doors.cluster.cluster), **APP}
    for pod in kubectl.items("pods", namespace=EVERYWHERE, labels=labels):
        held.setdefault(node_of(pod), set()).update(listens_on(pod) | {PROXY_PORT})

    def look(node: str) -> list[str]:
        wanted = sorted(ports - held[node])
        found = listeners(shells[node], wanted) if wanted else {}
        return [f"{node}: port {port} is taken by {process}" for port, process in sorted(found.items())]

    if taken := [text for texts in for_each(nodes, look) for text in texts]:
        raise MeshError(
            "\n    ".join(["linkerd cannot have its ports:", *taken]),
            hint="stop what listens there, or give linkerd others: mesh.port, mesh.admin_port, mesh.incoming_port, mesh.protocols"
            f" ({PROXY_PORT} is kubectl's proxy)",
        )


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
    secrets = [manifest for manifest in stale.absent if manifest["kind"] == "Secret"]
    for manifest in secrets:
        tracing.draw_password(kubectl, manifest)
        doors.emit(Changed("cluster", title(manifest), "create"))
    absent = [manifest for manifest in stale.absent if manifest not in secrets]
    for write, manifests in ((kubectl.create, absent), (kubectl.apply, stale.different)):
        write(manifests)
        for manifest in manifests:
            doors.emit(Changed("cluster", title(manifest), "apply"))


def _stale(kubectl: Kubectl, wanted: tuple[Manifest, ...]) -> Outdated:
    """What is to be written. With the topology the Service l5d wins or loses its address, which nobody uses, and Zipkin's has the
    inventory's: nobody can change an address, so that a different Service of the two is made anew.
    """
    stale = kubectl.outdated(wanted)
    front = [manifest for manifest in stale.different if title(manifest) in ADDRESSED]
    for manifest in front:
        kubectl.delete("service", manifest["metadata"]["name"], namespace=manifest["metadata"]["namespace"])
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


def _old_pods(
    kubectl: Kubectl, digests: Mapping[str, str], nodes: Sequence[str], doors: Doors
) -> list[Mapping[str, Any]]:
    """Pods of an older template. Nodes of the inventory that are not among these keep theirs."""
    left = {node.name for node in doors.cluster.nodes} - set(nodes)
    pods = kubectl.items("pods", namespace=doors.cluster.mesh.namespace, labels=marks(doors.cluster.cluster))
    return [pod for pod in stale_pods(pods, digests) if node_of(pod) not in left]
