"""Stage verify: the pod network and the mesh, proven by requests. Reads only."""

from __future__ import annotations

from collections.abc import Sequence

from provision.base.curl import answers
from provision.base.errors import MeshError, StageTimeout
from provision.base.events import Output
from provision.base.shell import Shell
from provision.base.waiting import NotYet, Ready, wait_until
from provision.guests import Ssh
from provision.kubernetes import Kubectl, all_ready, kubectl_for, pods_on, reach
from provision.mesh import (
    ECHO,
    ECHO_PORT,
    Routed,
    configuration,
    judge_metrics,
    judge_ping,
    judge_route,
    marks,
    probe_argv,
)
from provision.plan import Plan
from provision.run.stages.doors import Doors, Shells, Ways
from provision.run.stages.steps import await_nodes, each_node

NAME, TITLE = "verify", "pod network and mesh, by real requests"

ROUTE_S = 600.0
"""The mesh learns of endpoints by its watch: a moment after the pods are ready. A rebuilt worker's linkerd may be starting still: a JVM
needed 209 s from apply to Ready on two busy emulated cores.
"""


def run(plan: Plan, doors: Doors) -> None:
    """From every node that the plan is about a request goes through the node's own mesh; after changes, every pod also reaches the others.

    Without changes the pods' network is not gone through again: the requests cross it anyhow.
    """
    require_echo(doors)
    shells = doors.shells()
    if plan.changes:
        _pod_network(doors.nodes(plan), shells, doors)
    each_node(doors, NAME, "mesh", doors.nodes(plan), lambda node: _mesh(node, shells[node], doors))


def require_echo(doors: Doors) -> None:
    """Raises MeshError where the bundle has nobody who would answer a request."""
    if doors.bundle.echo is None:
        raise MeshError(
            "the bundle holds no echo app, so no request can prove the mesh",
            hint="copy images/echo.tar of a built bundle into it and seal again",
        )


def _pod_network(nodes: Sequence[str], shells: Shells, doors: Doors) -> None:
    """From these nodes each other one of them is reached, and the control plane in any case: one node alone proves nothing."""
    control_plane = shells.asked()
    kubectl = kubectl_for(doors.cluster.kubernetes.generation, shells[control_plane])
    pods = await_nodes(
        doors,
        NAME,
        "pods echo",
        tuple(dict.fromkeys((control_plane, *nodes))),
        lambda names: pods_on(kubectl, names, namespace=doors.cluster.mesh.namespace, labels=ECHO),
        ROUTE_S,
    )

    def reaches(source: str, targets: Sequence[str]) -> None:
        reach(shells[source], pods[source], [pods[name] for name in targets], port=ECHO_PORT)

    if doors.given_up.keep_going:  # else a node that nobody reaches would be the fault of all others
        workers = [name for name in pods if name != control_plane]
        each_node(doors, NAME, "reached from the control plane", workers, lambda name: reaches(control_plane, [name]))
    well = doors.given_up.without(pods)
    each_node(doors, NAME, "pod network", nodes, lambda node: reaches(node, [other for other in well if other != node]))


def _mesh(node: str, shell: Ssh, doors: Doors) -> None:
    routed = _routed(node, shell, doors)
    standin = " (a stand-in for linkerd)" if doors.bundle.mesh is not None and doors.bundle.mesh.standin else ""
    where = f"{node}:{doors.cluster.mesh.port}"
    doors.emit(Output("verify", f"{where} with Host: echo → 200 by {routed.pod} on {routed.node}{standin}"))


def _routed(node: str, shell: Ssh, doors: Doors) -> Routed:
    try:
        return wait_until(
            lambda: ask_mesh(shell, doors),
            what=f"{node}: a request through the mesh",
            within_s=ROUTE_S,
            every_s=3.0,
            emit=doors.emit,
        )
    except StageTimeout as error:
        hint = f"meshctl ssh INVENTORY {node} -- curl -si -H 'Host: echo' http://127.0.0.1:{doors.cluster.mesh.port}/"
        raise MeshError(error.message, hint=hint) from error


def ask_mesh(shell: Shell, doors: Ways) -> Ready[Routed] | NotYet:
    """One request through a node's own mesh, wherever its port is led; for `wait_until`."""
    mesh, label = doors.cluster.mesh, configuration(doors.cluster.traced_mesh).label
    # Its status is that of the last request only; each answer carries its own.
    asked = shell.read(probe_argv("echo", mesh.port, mesh.admin_port), within_s=90, check=False)
    route, ping, metrics = answers(asked.stdout) or answers(asked.checked().stdout)
    routed = judge_route(route)
    faults = [
        fault
        for fault in (routed if isinstance(routed, str) else "", judge_ping(ping), judge_metrics(metrics, label))
        if fault
    ]
    return NotYet("; ".join(faults)) if faults or isinstance(routed, str) else Ready(routed)


def ask_pods(kubectl: Kubectl, node: str, ways: Ways) -> Ready[None] | NotYet:
    """Whether the pods that meshctl has on a node are ready; for `wait_until`. The mesh routes a moment before Kubernetes says so."""
    mine = marks(ways.cluster.cluster)
    return all_ready(kubectl, node, namespace=ways.cluster.mesh.namespace, labels=mine)
