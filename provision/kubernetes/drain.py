"""A node that goes, for good or for a while, is emptied first: no new pods, and those that are there are evicted."""

from __future__ import annotations

from functools import partial

from provision.base.errors import KubernetesError, ShellError
from provision.base.events import Changed, Emit, nowhere
from provision.base.shell import Completed, Shell
from provision.kubernetes.evictions import evictions, held_by
from provision.kubernetes.kubectl import Kubectl, kubectl_argv
from provision.kubernetes.pacing import move_ahead
from provision.kubernetes.places import STATE

DRAIN_S = 600.0
"""Pods get 30 s to end (terminationGracePeriodSeconds), some ask for minutes; a PodDisruptionBudget may hold for ever."""

DRAINED = f"{STATE}/drained"
"""On a node that a run has emptied for a while. The next run sees by it what one that was ended must still take back. What a person
has cordoned or drained has none: nobody but a person takes that back."""

_OVERDUE = (124, 137)
"""With which timeout(1) ends when it had to end the program, or to kill it. Ended there, kubectl evicts nobody behind our back."""


def cordon(kubectl: Kubectl, node: str, emit: Emit) -> None:
    """Lets a node take no new pods; those that are there stay. Raises ApiStarting or KubernetesError."""
    _let(kubectl, node, "cordon", emit)


def uncordon(kubectl: Kubectl, node: str, emit: Emit) -> None:
    """Lets a node take pods again. Raises ApiStarting or KubernetesError."""
    _let(kubectl, node, "uncordon", emit)


def _let(kubectl: Kubectl, node: str, verb: str, emit: Emit) -> None:
    if cordoned(kubectl, node) != (verb == "cordon"):
        done = kubectl.shell.run(kubectl_argv(verb, node), within_s=60.0, check=False)
        if done.status != 0:
            raise KubernetesError(f"{node}: kubectl {verb}: {_said(done)}")
        emit(Changed("cluster", f"node {node}", verb))


def cordoned(kubectl: Kubectl, node: str) -> bool:
    """Whether a node takes no new pods. Raises ApiStarting, and KubernetesError for one that Kubernetes does not know."""
    known = {one["metadata"]["name"]: one["spec"] for one in kubectl.items("nodes")}
    if node not in known:
        hint = f"it has {', '.join(sorted(known)) or 'none'}; `meshctl provision` makes a guest a member"
        raise KubernetesError(f"Kubernetes has no node {node}", hint=hint)
    return bool(known[node].get("unschedulable"))


def disown(shell: Shell) -> None:
    """A person decides about a node from now on: what an ended run has emptied is not taken back by the next. `shell` is its own."""
    if _is_ours(shell):
        shell.run(["rm", "-f", DRAINED])


def _is_ours(shell: Shell) -> bool:
    return shell.read(["test", "-e", DRAINED], check=False).status == 0


def drain(
    kubectl: Kubectl,
    node: str,
    emit: Emit,
    *,
    within_s: float = DRAIN_S,
    orphans: bool = True,
    local_data: bool = True,
) -> None:
    """Cordons and empties a node; one that Kubernetes does not know is fine. `orphans`: also of pods that nothing makes anew elsewhere;
    `local_data`: also of those with an emptyDir, whose content lives no longer than its node.

    Raises KubernetesError, with each pod that stays, what holds it and what kubectl said last: the node stays cordoned.
    """
    # A part of the drain, which says so itself.
    move_ahead(kubectl, node, emit, cordon=partial(_let, kubectl, node, "cordon", nowhere))
    # All flags are those of 1.5 to 1.20. What belongs to a DaemonSet would come again at once, and goes with the node.
    flags = ["--ignore-daemonsets", *["--force"] * orphans, *["--delete-local-data"] * local_data]
    argv = ["timeout", "--kill-after=10", f"{within_s:.0f}", *kubectl_argv("drain", node, *flags)]
    done = kubectl.shell.run(argv, within_s=within_s + 30.0, check=False)
    if done.status == 0:
        emit(Changed("cluster", f"node {node}", "drain"))
    elif "not found" not in done.stderr.lower():
        why = f"not within {within_s:.0f} s" if done.status in _OVERDUE else f"status {done.status}"
        raise KubernetesError(
            f"{node} could not be drained ({why}): {_said(done)}{_what_stays(kubectl, node)}",
            hint="what holds it must go, or another replica come; it takes no new pods until it is uncordoned",
        )


def set_aside(shell: Shell, kubectl: Kubectl, node: str, emit: Emit, *, within_s: float = DRAIN_S) -> bool:
    """Empties a node for a while, and says whether that is to be taken back: what a person has cordoned stays so. `shell` is its own.

    Raises KubernetesError as `drain` does, after taking it back; what keeps it from that is said too.
    """
    ours = _is_ours(shell) or not cordoned(kubectl, node)
    if ours:
        shell.put(DRAINED, b"by meshctl\n")
    try:
        drain(kubectl, node, emit, within_s=within_s)
    except KubernetesError as error:
        if ours:
            _take_back_after(error, shell, kubectl, node, emit)
        raise
    return ours


def _take_back_after(failure: KubernetesError, shell: Shell, kubectl: Kubectl, node: str, emit: Emit) -> None:
    try:
        take_back(shell, kubectl, node, emit)
        failure.hint = "what holds it must go, or another replica come; the node takes pods again as before"
    except (KubernetesError, ShellError) as second:
        failure.message += f"\nalso: {second.message}"
        failure.hint = second.hint or failure.hint
        failure.args = (failure.message,)


def take_back(shell: Shell, kubectl: Kubectl, node: str, emit: Emit) -> None:
    """Lets a node take pods again that `set_aside` has emptied. Raises KubernetesError when kubectl cannot."""
    done = kubectl.shell.run(kubectl_argv("uncordon", node), within_s=60.0, check=False)
    if done.status != 0 and "not found" not in done.stderr.lower():
        raise KubernetesError(
            f"{node} takes no pods: kubectl uncordon: {_said(done)}",
            hint="`meshctl provision` takes that back first",
        )
    shell.run(["rm", "-f", DRAINED])
    emit(Changed("cluster", f"node {node}", "uncordon"))


def _said(done: Completed) -> str:
    return "; ".join(done.last_lines[-3:]) or "kubectl said nothing"


def _what_stays(kubectl: Kubectl, node: str) -> str:
    """A line for each pod that is still there, with the budget that holds it; "" when nobody can tell: the failure is said anyhow."""
    try:
        left = evictions(kubectl, node)
        held = held_by(kubectl, left)
    except (KubernetesError, ShellError):
        return ""
    free = [one.title for one in left if not any(line.startswith(f"{one.title} ") for line in held)]
    others = [f"{', '.join(free)}: still there"] if free else []
    return "".join(f"\n    {line}" for line in (*held, *others))
