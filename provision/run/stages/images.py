"""Stage images: base image and bundle go into each host's pool, once, by the sha256 of their content."""

from __future__ import annotations

from provision.base.errors import MeshctlError
from provision.base.events import Changed, Progress, Warned
from provision.base.shell import Shell
from provision.hosts import remove_copy, send, verify_again
from provision.plan import UPLOAD, Action, Plan, Verb
from provision.run.stages.doors import Doors
from provision.run.stages.steps import each_host

NAME, TITLE = "images", "base image and bundle into the pools"


def run(plan: Plan, doors: Doors) -> None:
    """Sends what is missing; hosts at once, one file after the other on each."""
    hosts = sorted({action.where for action in plan.of(NAME)})
    each_host(doors, NAME, plan, hosts, lambda host: _to_host(host, plan, doors))


def _to_host(host: str, plan: Plan, doors: Doors) -> None:
    for action in plan.of(NAME):
        if action.where == host:
            (_clear if action.kind == UPLOAD else _send)(action, plan, doors)


def _clear(action: Action, plan: Plan, doors: Doors) -> None:
    pool = next(pool.name for pool in plan.desired.pools if pool.host == action.where)
    users = remove_copy(doors.hypervisors[action.where], pool, action.name)
    if users:
        doors.emit(Warned(f"{action.where}: {action.name} stays: needed by {', '.join(users)}"))
    else:
        doors.emit(Changed(action.where, f"{action.kind} {action.name}", "remove"))


def _send(action: Action, plan: Plan, doors: Doors) -> None:
    hypervisor, shell = doors.hypervisors[action.where], _shell(action.where, doors)
    pool = next(pool for pool in plan.desired.pools if pool.host == action.where)
    artifact = next(a for a in plan.desired.artifacts if a.volume == action.name)
    what = f"{artifact.kind} to {action.where}"
    if action.verb is Verb.CHANGE:
        verify_again(hypervisor, shell, pool, artifact)
    else:
        send(hypervisor, shell, pool, artifact, lambda sent: doors.emit(Progress(what, sent, artifact.size, "bytes")))
    doors.emit(
        Changed(
            action.where,
            f"{artifact.kind} {artifact.volume}",
            "verified" if action.verb is Verb.CHANGE else "sent and verified",
        )
    )


def _shell(host: str, doors: Doors) -> Shell | None:
    try:
        return doors.host_shell(host)
    except MeshctlError:
        return None
