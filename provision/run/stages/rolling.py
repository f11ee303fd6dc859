"""Guests started anew, so many at once as may be down. A worker is emptied first and takes pods again when its mesh routes; what a run
that was ended left empty, the next one takes back. What a person has cordoned stays so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from provision.base.errors import StageTimeout, Unreachable
from provision.base.events import Changed, Warned
from provision.base.parallel import for_each
from provision.base.waiting import NotYet, Ready, wait_until
from provision.guests import Ssh
from provision.kubernetes import (
    Kubectl,
    Watched,
    await_serving,
    is_member,
    nodes_ready,
    profile_for,
    require_quorum_without,
    set_aside,
    take_back,
    wait_on,
)
from provision.plan import Action, Plan
from provision.run.stages.doors import Doors, Guest, Shells, Ways
from provision.run.stages.verify import ask_mesh, ask_pods

SHUTDOWN_S = 300.0
"""systemd gives a unit 90 s to stop (DefaultTimeoutStopSec), and kubelet's pods theirs before; emulation is slow."""

READY_S = 900.0
"""As for a node that joins, and for linkerd's start after that."""

T = TypeVar("T")
Settle = Callable[[Guest, Ssh, Ways], None]


def restart(plan: Plan, actions: tuple[Action, ...], doors: Doors, settle: Settle) -> None:
    """Starts the guests of a plan's actions anew, as `in_turn` does."""
    in_turn([plan.desired.guest(action.name) for action in actions], doors.shells(), doors, settle)


def in_turn(guests: Sequence[Guest], shells: Shells, ways: Ways, settle: Settle, *, force: bool = False) -> None:
    """Starts guests anew: workers first, `kubernetes.max_unavailable` at once, each lot back before the next goes down; control
    planes last, each alone, so that the others of several serve. `force`: what does not shut down in time is stopped hard, and
    who does not answer is not emptied.

    `shells` must hold the control planes', and each guest's.
    """
    names = {node.name for node in ways.cluster.control_planes}
    workers = [guest for guest in guests if guest.node not in names]
    turn = _Turn(ways, shells, shells.kubectl(), settle, force)
    for lot in lots(workers, ways.cluster.kubernetes.max_unavailable):
        for_each(lot, turn.worker)
    for guest in guests:
        if guest.node in names:
            turn = replace(turn, kubectl=shells.kubectl(but=guest.node))
            turn.control_plane(guest)


def lots(guests: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Those that are done at once, lot by lot."""
    return (guests[start : start + size] for start in range(0, len(guests), size))


@dataclass(frozen=True)
class _Turn:
    """What starting one guest anew needs; `force` as for `in_turn`."""

    ways: Ways
    shells: Shells
    kubectl: Kubectl
    settle: Settle
    force: bool

    def worker(self, guest: Guest) -> None:
        """Empties it, starts it anew, and lets it take pods again when its mesh routes."""
        shell, node = self.shells[guest.node], guest.node
        # Without a control plane nobody moves a pod.
        empty = self._answers(guest) and self._is_member(node)
        ours = empty and set_aside(shell, self.kubectl, node, self.ways.emit)
        self._anew(guest)
        if ours:
            take_back(shell, self.kubectl, node, self.ways.emit)

    def control_plane(self, guest: Guest) -> None:
        """Starts it anew. It is not emptied: while the only one is down nobody moves a pod, and its own may be the only ones of their
        kind. Of several it is waited for until its own API server serves, as the next one takes its etcd away too.
        """
        if len(self.ways.cluster.control_planes) == 1:
            self._anew(guest)
            return
        self._require_majority(guest)
        self._anew(guest)
        await_serving(self.shells[guest.node], self.kubectl.generation, self.ways.emit, within_s=READY_S)

    def _require_majority(self, guest: Guest) -> None:
        """Raises KubernetesError when the others could not write without it."""
        etcd = profile_for(self.kubectl.generation).etcd
        if etcd is not None and self._is_member(guest.node) and not self.force:
            owner = self.ways.cluster.owner
            stamps = (domain.stamp for domain in self.shells.domains if owner.owns(domain.stamp))
            address = next(stamp.address for stamp in stamps if stamp and stamp.node == guest.node)
            require_quorum_without(self.kubectl.shell, etcd, guest.node, address)

    def _is_member(self, node: str) -> bool:
        return is_member(self.shells[node]) and is_member(self.kubectl.shell)

    def _answers(self, guest: Guest) -> bool:
        """Whether it can be looked at. Raises Unreachable when not, unless that is no hindrance."""
        try:
            self.shells[guest.node].open()
        except Unreachable as error:
            if not self.force:
                error.hint = error.hint or "`meshctl restart --force` starts anew without emptying who does not answer"
                raise
            self.ways.emit(Warned(f"{error.message}: it is not emptied first"))
            return False
        return True

    def _anew(self, guest: Guest) -> None:
        shell = self.shells[guest.node]
        shell.close()
        start_anew(guest, self.ways, force=self.force)
        self.settle(guest, shell, self.ways)
        if self._is_member(guest.node):
            self._serves(guest.node)

    def _serves(self, node: str) -> None:
        """Waits until a node is Ready, and routes if it has a mesh."""
        ways = self.ways
        boot = self.shells[node].read(["cat", "/proc/sys/kernel/random/boot_id"]).stdout.strip()
        wait_on(
            Watched.by(self.kubectl.generation, self.kubectl.shell, self.shells[node]),
            lambda: nodes_ready(self.kubectl, [node], {node: boot}),
            what=f"{node}: Ready again",
            within_s=READY_S,
            emit=ways.emit,
        )
        if not _has_mesh(self.kubectl, node, ways):
            return
        proofs: dict[str, Callable[[], Ready[Any] | NotYet]] = {
            "a request through the mesh": lambda: ask_mesh(self.shells[node], ways),
            "pods of the mesh": lambda: ask_pods(self.kubectl, node, ways),
        }
        for what, look in proofs.items():
            wait_until(look, what=f"{node}: {what}", within_s=READY_S, every_s=3.0, emit=ways.emit)


def _has_mesh(kubectl: Kubectl, node: str, ways: Ways) -> bool:
    pods = kubectl.items("pods", namespace=ways.cluster.mesh.namespace, labels={"app": "l5d"})
    return any(pod["spec"].get("nodeName") == node for pod in pods)


def start_anew(guest: Guest, ways: Ways, *, force: bool = False) -> None:
    """Shuts a guest down gracefully and starts it. Raises StageTimeout when it does not shut down: it is left running, unless `force`
    has it stopped hard.
    """
    hypervisor = ways.hypervisors[guest.host]
    try:
        _shut_down(guest, ways)
    except StageTimeout as error:
        if not force:
            raise
        ways.emit(Warned(f"{error.message}: stopped hard"))
        hypervisor.stop_domain(guest.domain)
    hypervisor.start_domain(guest.domain)
    ways.emit(Changed(guest.host, f"guest {guest.node}", "start anew"))


def _shut_down(guest: Guest, ways: Ways) -> None:
    hypervisor = ways.hypervisors[guest.host]
    hypervisor.shut_down(guest.domain)
    wait_until(
        lambda: NotYet("it runs") if hypervisor.runs(guest.domain) else Ready(None),
        what=f"{guest.node}: shutdown",
        within_s=SHUTDOWN_S,
        every_s=1.0,
        emit=ways.emit,
        hint="it is left as it is, and so are those that had to follow: "
        f"`meshctl console INVENTORY {guest.node}` shows what it waits for, `meshctl restart --force` stops it hard",
    )
