"""Stage verify: the pod network and the mesh, proven by requests. Reads only."""

from __future__ import annotations

from collections.abc import Mapping

from provision.base.curl import answers
from provision.base.errors import MeshError, StageTimeout
from provision.base.events import Output
from provision.base.parallel import for_each
from provision.base.waiting import NotYet, Ready, wait_until
from provision.guests import Ssh
from provision.kubernetes import Pod, pods_on, reach
from provision.mesh import (
    ECHO,
    ECHO_PORT,
    Routed,
    configuration,
    judge_metrics,
    judge_ping,
    judge_route,
    probe_argv,
)
from provision.plan import Plan
from provision.run.stages.doors import Doors, Ways

NAME, TITLE = "verify", "pod network and mesh, by real requests"

ROUTE_S = 180.0
"""The mesh learns of endpoints by its watch: a moment after the pods are ready, longer on busy emulated CPUs."""


def run(plan: Plan, doors: Doors) -> None:
    """From every node a request goes through the node's own mesh; after changes, every pod also reaches the others.

    Without changes the pods' network is not gone through again: the requests cross it anyhow.
    """
    if doors.bundle.echo is None:
        raise MeshError(
            "the bundle holds no echo app, so no request can prove the mesh",
            hint="copy images/echo.tar of a built bundle into it and seal again",
        )
    shells = doors.shells()
    if plan.changes:
        _pod_network(shells, doors)
    for_each(shells, lambda node: _mesh(node, shells[node], doors))


def _pod_network(shells: Mapping[str, Ssh], doors: Doors) -> None:
    kubectl = doors.kubectl()
    pods = wait_until(
        lambda: pods_on(kubectl, tuple(shells), namespace=doors.cluster.mesh.namespace, labels=ECHO),
        what="pods echo on every node",
        within_s=ROUTE_S,
        every_s=3.0,
        emit=doors.emit,
    )
    for_each(shells, lambda node: reach(shells[node], pods[node], _others(node, pods), port=ECHO_PORT))


def _others(node: str, pods: Mapping[str, Pod]) -> list[Pod]:
    return [pod for name, pod in pods.items() if name != node]


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


def ask_mesh(shell: Ssh, doors: Ways) -> Ready[Routed] | NotYet:
    """One request through a node's own mesh; for `wait_until`."""
    mesh, label = doors.cluster.mesh, configuration(doors.cluster.mesh).label
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
