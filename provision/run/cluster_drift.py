"""What of Kubernetes and of the mesh is no longer as meshctl made it: nodes, objects, pods, and where requests are led. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from provision.base.errors import KubernetesError, MeshError, ShellError
from provision.guests import target
from provision.inventory import Cluster
from provision.kubernetes import Kubectl, NodeState, first_serving, kubectl_for, observe, profile_for
from provision.kubernetes.kubectl import EVERYWHERE, known_nodes
from provision.libvirt_xml import DomainSeen
from provision.mesh import (
    Manifest,
    apps,
    digest_of,
    former_pods,
    in_words,
    marks,
    node_of,
    places,
    pod_digests,
    stale_pods,
)
from provision.plan import Drift, cluster_drift
from provision.run.access import node_target
from provision.run.engine import Intent, World
from provision.run.observe import kubernetes_spec, mesh_manifests

WHERE = "cluster"


def node_state(world: World, meant: Intent, node: str, domains: Sequence[DomainSeen]) -> NodeState:
    """A node as it is. Raises ShellError."""
    spec = kubernetes_spec(world.cluster, meant.wanted, meant.sealed)
    member = next(member for member in meant.wanted.members if member.name == node)
    shell = world.sessions.to(target(world.cluster, node, domains))
    return observe(shell, profile_for(spec.generation), spec, member)


def node_drifts(state: NodeState) -> tuple[Drift, ...]:
    """What differs on a member; one that is none yet has nothing that could have drifted."""
    if not state.joined:
        return ()
    name = state.member.name
    found = [cluster_drift(name, f"node {name}", "software", "as prepared", why) for why in state.unprepared]
    if state.led:
        found.append(cluster_drift(name, f"node {name}", "router", "its own", f"led to {state.led}"))
    return tuple(found)


def mesh_drifts(world: World, meant: Intent, states: Mapping[str, NodeState]) -> tuple[tuple[Drift, ...], str]:
    """What differs in the cluster, asked through the first control plane that serves, if any is one; or why nobody could ask."""
    cluster = world.cluster
    names = [node.name for node in cluster.control_planes if node.name in states and states[node.name].joined]
    if not names:
        return (), ""
    try:
        shell = world.sessions.to(
            node_target(world, first_serving(names, lambda name: world.sessions.to(node_target(world, name))))
        )
        kubectl = kubectl_for(cluster.kubernetes.generation, shell)
        members = [name for name, state in states.items() if state.joined]
        return tuple(cluster_drifts(kubectl, mesh_manifests(cluster, meant.sealed), cluster, members)), ""
    except (KubernetesError, ShellError, MeshError) as error:
        return (), f"Kubernetes was not looked at: {error.message}"


def cluster_drifts(
    kubectl: Kubectl, wanted: tuple[Manifest, ...], cluster: Cluster, members: Sequence[str]
) -> Iterator[Drift]:
    """What differs of the members' state, of our objects and of their pods. Raises ApiStarting or KubernetesError."""
    yield from _nodes(kubectl, members)
    yield from _objects(kubectl, wanted, cluster)


def _nodes(kubectl: Kubectl, members: Sequence[str]) -> Iterator[Drift]:
    known = known_nodes(kubectl)
    for name in members:
        if not known.get(name):
            found = "NotReady" if name in known else "unknown to Kubernetes"
            yield cluster_drift(name, f"node {name}", "state", "Ready", found)


def _objects(kubectl: Kubectl, wanted: tuple[Manifest, ...], cluster: Cluster) -> Iterator[Drift]:
    seen = kubectl.outdated(wanted, marks(cluster.cluster))
    for one in seen.absent:
        yield cluster_drift(WHERE, in_words(one), "state", "there", "absent")
    for one in seen.different:
        by_hand = seen.differences_of(one) or (("text", "as the inventory has it", "of another inventory or release"),)
        yield from (cluster_drift(WHERE, in_words(one), *difference) for difference in by_hand)
    for one in seen.unwanted:
        yield cluster_drift(WHERE, in_words(one), "state", "absent", "there")
    yield from _pods(kubectl, wanted, cluster)


def _pods(kubectl: Kubectl, wanted: tuple[Manifest, ...], cluster: Cluster) -> Iterator[Drift]:
    everywhere = kubectl.items("pods", namespace=EVERYWHERE, labels=marks(cluster.cluster))
    for pod in former_pods(everywhere, apps(wanted)):
        yield cluster_drift(node_of(pod), in_words({"kind": "Pod", **pod}), "state", "absent", "there")
    digests, namespace = pod_digests(wanted), cluster.mesh.namespace
    here = [pod for pod in everywhere if pod["metadata"]["namespace"] == namespace]
    for pod in stale_pods(here, digests):
        app = pod["metadata"]["labels"]["app"]
        yield cluster_drift(
            node_of(pod), f"pod {pod['metadata']['name']}", "template", digests[app], digest_of(pod) or "none of ours"
        )
    running = {(pod["metadata"]["labels"].get("app"), node_of(pod)) for pod in here}
    at = places(wanted)
    for app in digests:
        for node in cluster.nodes:
            if at.get(app, node.name) == node.name and (app, node.name) not in running:
                yield cluster_drift(node.name, f"pod {app}", "state", "there", "absent")
