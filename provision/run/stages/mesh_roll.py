"""The mesh's pods of a node replaced without losing a request, one node after the other: part of the stage mesh (ADR 0037).

A node's ports are led to a neighbour's router first, and come back when its new one has proven itself. What a killed run left led, the
next one takes up first. Nothing goes on past a node whose new router does not prove itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from provision.base.curl import answers
from provision.base.errors import MeshctlError, MeshError, ShellError, StageTimeout
from provision.base.events import Changed, Output, StepFinished, Warned
from provision.base.parallel import for_each
from provision.base.shell import Shell
from provision.base.waiting import NotYet, Ready, wait_until
from provision.kubernetes import Kubectl, Watched, address_of, listens_on, patiently, pods_on, wait_on
from provision.kubernetes.leading import connections, free, lead, led_to
from provision.mesh import APP, POD_DIGEST, configuration, judge_route, node_of, route_argv
from provision.run.stages.doors import Doors
from provision.run.stages.verify import ask_mesh, require_echo

NAME = "mesh"

READY_S = 900.0
"""From a deleted pod to a new router that answers: a JVM needed 209 s on two busy emulated cores."""

ASKED = "echo"
"""Whom a request is for that proves a router."""

Pods = Sequence[Mapping[str, Any]]


@dataclass
class Roll:
    """What replacing pods node by node needs. `digests` are the wanted ones, by app; `shells` must hold every node's."""

    kubectl: Kubectl
    doors: Doors
    shells: Mapping[str, Shell]
    digests: Mapping[str, str]
    led: dict[str, str] = field(default_factory=dict)
    """The nodes whose ports are led, and to which address."""

    def run(self, nodes: Sequence[str], pods: Iterable[Mapping[str, Any]]) -> None:
        """Replaces these pods and proves the new ones, on these nodes. Raises MeshError at the first that does not prove itself."""
        by_node: dict[str, list[Mapping[str, Any]]] = {}
        for pod in pods:
            by_node.setdefault(node_of(pod), []).append(pod)
        self.led = self._look()
        turn = [node for node in nodes if node in by_node or node in self.led]
        if turn:
            require_echo(self.doors)
        for node in self._order(turn):
            self._one(node, by_node.get(node, ()))
        for node in [node for node in by_node if node not in nodes]:  # of no node of ours: nobody asks there
            self._delete(node, by_node[node])

    def _look(self) -> dict[str, str]:
        """Which nodes are led, and to which address: of all, as none of them can be a neighbour."""
        nodes = self.doors.given_up.without(self.shells)
        found = for_each(nodes, self._led_to)
        return {node: to for node, to in zip(nodes, found, strict=True) if to}

    def _led_to(self, node: str) -> str:
        try:
            return led_to(self.shells[node])
        except ShellError:
            return ""  # who does not answer is no neighbour either

    def _order(self, nodes: Sequence[str]) -> list[str]:
        """Those first that are led, then those whose router does not answer: nothing of theirs can be lost."""
        waiting = [node for node in nodes if node not in self.led]
        routing = dict(zip(waiting, for_each(waiting, self._routes), strict=True)) if len(waiting) > 1 else {}
        return sorted(nodes, key=lambda node: (node not in self.led, routing.get(node, True)))

    def _routes(self, node: str) -> bool:
        return isinstance(ask_mesh(self.shells[node], self.doors), Ready)

    def _one(self, node: str, pods: Pods) -> None:
        started = time.monotonic()
        routers = [pod for pod in pods if pod["metadata"]["labels"].get("app") == APP["app"]]
        if any(self.doors.cluster.mesh.port in listens_on(pod) for pod in routers):
            self._lead_away(node)
        elif routers:  # who asks at the former port is asked to move, and nobody answers at the new one yet
            self.doors.emit(
                Warned(f"{node}: its router moves to port {self.doors.cluster.mesh.port}: the former one is closed")
            )
        self._delete(node, pods)
        if routers or node in self.led:
            self._prove_and_return(node)
        else:
            self._await(node)
        self.doors.emit(StepFinished(NAME, node, "replaced", time.monotonic() - started))

    def _lead_away(self, node: str) -> None:
        found = self._neighbour(node)
        if found is None:
            return
        neighbour, address = found
        lead(self.shells[node], address, self._ports)
        self.led[node] = address
        self.doors.emit(Changed(node, "its router", f"led to {neighbour}"))
        self._drain(node)

    def _neighbour(self, node: str) -> tuple[str, str] | None:
        """A node whose router answers requests from this one and is not led itself, and its address. None where a gap is to be taken;
        raises MeshError where it is not.
        """
        for name, address in self._others(node):
            if self._reaches(node, address):
                return name, address
        cluster = self.doors.cluster
        if len(cluster.nodes) > 1 and not cluster.mesh.roll.gap and self._routes(node):
            raise MeshError(
                f"{node}: no other node's router answers it, so that its requests would fail while its own is replaced",
                hint="`meshctl mesh status INVENTORY` shows the others; `mesh.roll.gap: true` goes on with a gap",
            )
        self.doors.emit(Warned(f"{node}: no other router takes its requests: they fail until its new one answers"))
        return None

    def _others(self, node: str) -> Iterator[tuple[str, str]]:
        """The nodes that are Ready and not led, by name and address, from the next one on."""
        names = [one.name for one in self.doors.cluster.nodes]
        at = names.index(node)
        known = {one["metadata"]["name"]: one for one in self._nodes()}
        for name in (*names[at + 1 :], *names[:at]):
            if name in known and name not in self.led:
                yield name, address_of(known[name])

    def _nodes(self) -> list[dict[str, Any]]:
        ask, emit = partial(self.kubectl.items, "nodes"), self.doors.emit
        return patiently(self.kubectl, ask, within_s=READY_S, emit=emit)

    def _reaches(self, node: str, address: str) -> bool:
        argv = route_argv(ASKED, self.doors.cluster.mesh.port, address=address, unled=False)
        said = answers(self.shells[node].read(argv, check=False).stdout)
        return bool(said) and not isinstance(judge_route(said[0]), str)

    def _drain(self, node: str) -> None:
        """Lets connections to the old router end, for `mesh.roll.drain_s` seconds at the most."""

        def look() -> Ready[None] | NotYet:
            count = connections(self.shells[node], self._ports)
            return NotYet(f"{count} connections") if count else Ready(None)

        within_s = float(self.doors.cluster.mesh.roll.drain_s)
        try:
            wait_until(look, what=f"{node}: connections end", within_s=within_s, every_s=0.5, emit=self.doors.emit)
        except StageTimeout as error:
            self.doors.emit(Output(NAME, f"{error.message}; linkerd is asked to end all the same"))

    def _delete(self, node: str, pods: Pods) -> None:
        for pod in pods:
            name = pod["metadata"]["name"]
            self.kubectl.delete("pod", name, namespace=pod["metadata"]["namespace"])
            self.doors.emit(Changed(node, f"pod {name}", "replace"))

    def _prove_and_return(self, node: str) -> None:
        try:
            self._await(node)
            self.prove(node, steady_s=float(self.doors.cluster.mesh.roll.steady_s))
        except MeshctlError as error:
            raise self._stopped(node, error) from error
        if node in self.led:
            free(self.shells[node])
            del self.led[node]
            self.doors.emit(Changed(node, "its router", "serves again"))

    def _stopped(self, node: str, error: MeshctlError) -> MeshError:
        where = f"its requests stay with {self.led[node]}" if node in self.led else "its requests fail"
        return MeshError(
            f"{node}: its new router does not prove itself, so the roll stops here: {where}, and the other nodes keep what they have\n"
            f"    {error.message}",
            hint="`meshctl provision` with the inventory as it was goes back the same way; `meshctl logs INVENTORY"
            f" {node} linkerd` says why" + (f". {error.hint}" if error.hint else ""),
        )

    def _await(self, node: str) -> None:
        """Waits until a node has ready pods of the wanted templates. Raises KubernetesError when one never will be."""
        namespace = self.doors.cluster.mesh.namespace
        for app, digest in self.digests.items():
            look = partial(
                pods_on,
                self.kubectl,
                [node],
                namespace=namespace,
                labels={"app": app},
                annotations={POD_DIGEST: digest},
            )
            self._wait(node, f"pod {app}", look)

    def prove(self, node: str, *, steady_s: float = 0.0) -> None:
        """Waits until a node's own router has answered ping and routed each request for `steady_s` seconds, wherever its port is led."""
        since: list[float] = []

        def look() -> Ready[Any] | NotYet:
            answer = ask_mesh(self.shells[node], self.doors)
            if isinstance(answer, NotYet):
                since.clear()
                return answer
            since.append(time.monotonic())
            left_s = steady_s - (since[-1] - since[0])
            return answer if left_s <= 0 else NotYet(f"it routes, for {left_s:.0f} s more to be sure")

        self._wait(node, "a request through its own router", look)

    def _wait(self, node: str, what: str, look: Callable[[], Ready[Any] | NotYet]) -> None:
        names = tuple(dict.fromkeys((self.doors.cluster.control_plane.name, node)))
        watched = Watched(names, lambda: self.shells, self.doors.cluster.kubernetes.generation)
        wait_on(watched, look, what=f"{node}: {what}", within_s=READY_S, emit=self.doors.emit)

    @property
    def _ports(self) -> tuple[int, ...]:
        return configuration(self.doors.cluster.traced_mesh).led
