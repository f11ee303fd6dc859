"""A node that goes, for good or for a while, is emptied first: no new pods, and those that are there are evicted."""

from __future__ import annotations

from provision.base.errors import CommandFailed, KubernetesError
from provision.base.events import Changed, Emit
from provision.base.shell import Shell
from provision.kubernetes.files import STATE
from provision.kubernetes.kubectl import Kubectl, kubectl_argv

DRAIN_S = 600.0
"""Pods get 30 s to end (terminationGracePeriodSeconds), some ask for minutes; a PodDisruptionBudget may hold for ever."""

DRAINED = f"{STATE}/drained"
"""On a node that a run has emptied for a while. The next run sees by it what one that was ended must still take back."""

# In all generations from 1.5 to 1.20. What belongs to a DaemonSet would come again at once, and goes with the node; `force` is for
# pods that nothing makes anew elsewhere, and data of an emptyDir lives no longer than its node.
_FLAGS = ("--ignore-daemonsets", "--force", "--delete-local-data")


def drain(kubectl: Kubectl, node: str, emit: Emit, *, within_s: float = DRAIN_S) -> None:
    """Cordons and empties a node; one that Kubernetes does not know is fine.

    Raises KubernetesError, with what kubectl said last, when a pod does not go: the node stays cordoned.
    """
    try:
        done = kubectl.shell.run(kubectl_argv("drain", node, *_FLAGS), within_s=within_s, check=False)
    except CommandFailed as error:  # without `check` only its time can have passed
        raise _stays(node, f"not within {within_s:.0f} s", error.last_lines) from error
    if done.status == 0:
        emit(Changed("cluster", f"node {node}", "drain"))
    elif "not found" not in done.stderr.lower():
        raise _stays(node, f"status {done.status}", done.last_lines)


def set_aside(shell: Shell, kubectl: Kubectl, node: str, emit: Emit) -> None:
    """Empties a node for a while; `shell` is its own. Raises KubernetesError as `drain` does."""
    shell.put(DRAINED, b"by meshctl\n")
    drain(kubectl, node, emit)


def take_back(shell: Shell, kubectl: Kubectl, node: str, emit: Emit) -> None:
    """Lets a node take pods again. Raises KubernetesError when kubectl cannot."""
    done = kubectl.shell.run(kubectl_argv("uncordon", node), within_s=60.0, check=False)
    if done.status != 0 and "not found" not in done.stderr.lower():
        raise KubernetesError(
            f"{node} takes no pods: kubectl uncordon: {'; '.join(done.last_lines[-3:])}",
            hint="run the command again: it takes that back first",
        )
    shell.run(["rm", "-f", DRAINED])
    emit(Changed("cluster", f"node {node}", "uncordon"))


def _stays(node: str, why: str, lines: tuple[str, ...]) -> KubernetesError:
    return KubernetesError(
        f"{node} could not be drained ({why}): {'; '.join(lines[-3:]) or 'kubectl said nothing'}",
        hint=f"nothing of it was removed; it takes no new pods. What holds it, perhaps a PodDisruptionBudget, must go; "
        f"`kubectl uncordon {node}` takes the drain back",
    )
