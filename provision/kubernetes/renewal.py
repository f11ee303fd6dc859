"""Certificates renewed on a node, and what works with them started anew, one after the other. Killed anywhere, the same again goes on."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from provision.base.events import Changed, Emit, Output
from provision.base.shell import Shell
from provision.base.waiting import NotYet, Ready
from provision.kubernetes.api import ApiStarting
from provision.kubernetes.expiry import Expiry, called
from provision.kubernetes.holders import RENEWING, sign_anew
from provision.kubernetes.kubectl import Kubectl, nodes_ready
from provision.kubernetes.lookout import Watched, wait_on
from provision.kubernetes.places import STATE
from provision.kubernetes.profile import Holder, Renewal
from provision.kubernetes.put_back import awaken

BACK_S = 900.0
"""For a static pod, the API server behind it, or a node that comes again: 30 s to 3 min under software emulation."""

_KUBEADM = f"""
set -eu
mkdir -p {STATE}
echo 1 > {STATE}/{RENEWING}
exec "$@"
"""

# $1: a static pod. The kubelet starts it again at once.
_CONTAINER = 'docker ps -q --filter "name=k8s_$1[^_]*_$1-[^_]*_kube-system_"'
_STOP = f"{_CONTAINER} | xargs -r docker stop --time 30 > /dev/null"


def unfinished(shell: Shell) -> bool:
    """Whether a renewal was ended on a node before what works with the certificates was started anew."""
    return shell.read(["test", "-e", f"{STATE}/{RENEWING}"], check=False).status == 0


def lapsed(renewal: Renewal, found: Iterable[Expiry]) -> tuple[Holder, ...]:
    """Those of the files that kubelets renew by themselves whose certificate has expired: nobody renews them any more. Pure."""
    over = {one.name for one in found if one.at is not None and one.days < 0}
    return tuple(Holder(path, path) for path in renewal.rotating if called(path) in over)


def sign_control_plane(shell: Shell, renewal: Renewal, emit: Emit, over: tuple[Holder, ...] = ()) -> None:
    """Renews all of a control plane's certificates but the authorities', and those in `over`. What works with them is not started anew."""
    if renewal.argv:
        done = shell.run(["sh", "-c", _KUBEADM, "kubeadm", *renewal.argv], within_s=BACK_S)
        for line in filter(None, done.stdout.splitlines()):
            emit(Output(f"{shell.where}: kubeadm", line))
    signed = [_sign(shell, holder, shell, renewal, emit) for holder in (*renewal.control_plane, *over)]
    if any(signed):
        awaken(shell)


def start_control_plane(shell: Shell, renewal: Renewal, kubectl: Kubectl, emit: Emit) -> None:
    """Starts a control plane's pods anew with certificates that are renewed, each when the one before is back."""
    for pod in renewal.pods:
        _start_anew(shell, pod, kubectl, emit)
    _finish(shell)


def renew_worker(
    shell: Shell, holders: tuple[Holder, ...], control_plane: Shell, renewal: Renewal, kubectl: Kubectl, emit: Emit
) -> None:
    """Has the authority sign a worker's certificates anew, and waits until its kubelet is heard with them."""
    since = Kubectl(shell).now()
    for holder in holders:
        _sign(shell, holder, control_plane, renewal, emit)
    awaken(shell)
    wait_on(
        Watched.by(kubectl.generation, kubectl.shell, shell),
        lambda: heard(kubectl, shell.where, since),
        what=f"{shell.where}: its kubelet with the new certificate",
        within_s=BACK_S,
        emit=emit,
    )
    _finish(shell)


def _sign(shell: Shell, holder: Holder, control_plane: Shell, renewal: Renewal, emit: Emit) -> int:
    count = sign_anew(shell, holder, control_plane, renewal.authority)
    if count:
        emit(Changed(shell.where, holder.path, f"{count} certificate(s) signed anew"))
    return count


def _start_anew(shell: Shell, pod: str, kubectl: Kubectl, emit: Emit) -> None:
    before = _container(shell, pod)
    shell.run(["sh", "-c", _STOP, "stop", pod], within_s=120)

    def look() -> Ready[None] | NotYet:
        if before and _container(shell, pod) in ("", before):
            return NotYet(f"{pod} has not started")
        answer = nodes_ready(kubectl, ())
        return answer if isinstance(answer, NotYet) else Ready(None)

    wait_on(
        kubectl.watched, look, what=f"{pod} and the API server with new certificates", within_s=BACK_S, every_s=2.0, emit=emit,
        hint=f"meshctl ssh INVENTORY {shell.where} -- sudo docker ps -a",
    )  # fmt: skip
    emit(Changed(shell.where, pod, "start anew"))


def _container(shell: Shell, pod: str) -> str:
    return shell.read(["sh", "-c", _CONTAINER, "container", pod]).stdout.strip()


def heard(kubectl: Kubectl, node: str, since: datetime.datetime) -> Ready[None] | NotYet:
    """Whether a node is Ready by what its kubelet said since a time of the node's own clock; for `wait_on`."""
    try:
        found = next((one for one in kubectl.items("nodes") if one["metadata"]["name"] == node), {})
    except ApiStarting as error:
        return NotYet(error.message)
    for condition in found.get("status", {}).get("conditions", ()):
        if condition["type"] == "Ready":
            at = datetime.datetime.fromisoformat(condition["lastHeartbeatTime"])
            return Ready(None) if at >= since and condition["status"] == "True" else NotYet(f"last heard at {at:%T}")
    return NotYet("not registered")


def _finish(shell: Shell) -> None:
    shell.run(["rm", "-f", f"{STATE}/{RENEWING}"])
