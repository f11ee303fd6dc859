"""Guests started anew, one at a time. A worker is emptied first and takes pods again when its mesh routes; what a run that was ended left
empty, the next one takes back.
"""

from __future__ import annotations

from collections.abc import Callable

from provision.base.errors import KubernetesError
from provision.base.events import Changed
from provision.base.waiting import NotYet, Ready, wait_until
from provision.guests import Ssh
from provision.kubernetes import Kubectl, is_member, kubectl_for, nodes_ready, set_aside, take_back
from provision.plan import Action, Plan
from provision.run.stages.doors import Doors
from provision.run.stages.verify import ask_mesh
from provision.specs import GuestSpec

SHUTDOWN_S = 300.0
"""systemd gives a unit 90 s to stop (DefaultTimeoutStopSec), and kubelet's pods theirs before; emulation is slow."""

READY_S = 900.0
"""As for a node that joins, and for linkerd's start after that."""

Settle = Callable[[GuestSpec, Ssh, Doors], None]


def restart(plan: Plan, actions: tuple[Action, ...], doors: Doors, settle: Settle) -> None:
    """Starts guests anew, workers before the control plane; each is back before the next goes down."""
    control_plane, shells = doors.cluster.control_plane.name, doors.shells()
    kubectl = kubectl_for(doors.cluster.kubernetes.generation, shells[control_plane])
    for action in sorted(actions, key=lambda action: action.name == control_plane):
        guest, shell = plan.desired.guest(action.name), shells[action.name]
        # While the control plane is down nobody moves a pod, and its own may be the only ones of their kind.
        if action.name != control_plane and is_member(shell) and is_member(shells[control_plane]):
            _aside(guest, shell, kubectl, doors, settle)
        else:
            _anew(guest, shell, doors, settle)


def _aside(guest: GuestSpec, shell: Ssh, kubectl: Kubectl, doors: Doors, settle: Settle) -> None:
    meshed = _has_mesh(kubectl, guest.node, doors)
    try:
        set_aside(shell, kubectl, guest.node, doors.emit)
    except KubernetesError:
        take_back(shell, kubectl, guest.node, doors.emit)
        raise
    _anew(guest, shell, doors, settle)
    wait_until(
        lambda: nodes_ready(kubectl, [guest.node]),
        what=f"{guest.node}: Ready again",
        within_s=READY_S,
        every_s=3.0,
        emit=doors.emit,
    )
    if meshed:
        wait_until(
            lambda: ask_mesh(shell, doors),
            what=f"{guest.node}: a request through the mesh",
            within_s=READY_S,
            every_s=3.0,
            emit=doors.emit,
        )
    take_back(shell, kubectl, guest.node, doors.emit)


def _has_mesh(kubectl: Kubectl, node: str, doors: Doors) -> bool:
    pods = kubectl.items("pods", namespace=doors.cluster.mesh.namespace, labels={"app": "l5d"})
    return any(pod["spec"].get("nodeName") == node for pod in pods)


def _anew(guest: GuestSpec, shell: Ssh, doors: Doors, settle: Settle) -> None:
    shell.close()
    start_anew(guest, doors)
    settle(guest, shell, doors)


def start_anew(guest: GuestSpec, doors: Doors) -> None:
    """Shuts a guest down gracefully and starts it. Raises StageTimeout when it does not shut down: it is left running."""
    hypervisor = doors.hypervisors[guest.host]
    hypervisor.shut_down(guest.domain)
    wait_until(
        lambda: NotYet("it runs") if hypervisor.runs(guest.domain) else Ready(None),
        what=f"{guest.node}: shutdown",
        within_s=SHUTDOWN_S,
        every_s=1.0,
        emit=doors.emit,
        hint=f"it is left as it is, and so are those that had to follow: virsh console {guest.domain} shows what it waits for",
    )
    hypervisor.start_domain(guest.domain)
    doors.emit(Changed(guest.host, f"guest {guest.node}", "start anew"))
