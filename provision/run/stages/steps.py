"""How stages work on hosts and nodes: at once, each with its own end. Here alone it is decided that one that fails is gone on without."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from provision.base.errors import KubernetesError, MeshctlError, StageTimeout
from provision.base.events import StepFinished
from provision.base.parallel import for_each
from provision.base.waiting import NotYet, Ready
from provision.kubernetes import Watched, wait_on
from provision.plan import Plan
from provision.run.stages.doors import Doors

T = TypeVar("T")
Item = TypeVar("Item")


def each_host(doors: Doors, stage: str, plan: Plan, hosts: Iterable[str], work: Callable[[str], object]) -> None:
    """Work on hosts at once. One that fails is given up with all its nodes; the control plane's ends the run."""
    homes = {member.name: member.host for member in plan.desired.members if plan.concerns(member.name)}

    def on(host: str) -> None:
        here = [node for node, home in homes.items() if home == host]
        if here and not doors.given_up.without(here):
            return
        try:
            work(host)
        except MeshctlError as error:
            if not here:
                raise
            for node in here:
                doors.give_up(node, stage, error)

    for_each(hosts, on)


def each_node(
    doors: Doors,
    stage: str,
    step: str,
    items: Iterable[Item],
    work: Callable[[Item], object],
    name: Callable[[Item], str] = str,
) -> None:
    """A step of a stage on nodes at once: `work` on each item, `name` says whose it is. A node that fails is given up, if the run goes
    on without it; those that were before are left alone.
    """

    def on(item: Item) -> None:
        node, started = name(item), time.monotonic()
        try:
            work(item)
        except MeshctlError as error:
            doors.give_up(node, stage, error)
        else:
            doors.emit(StepFinished(stage, node, step, time.monotonic() - started))

    for_each([item for item in items if doors.given_up.without([name(item)])], on)


def await_nodes(
    doors: Doors,
    stage: str,
    step: str,
    nodes: Sequence[str],
    look: Callable[[Sequence[str]], Ready[T] | NotYet],
    within_s: float,
) -> T:
    """Waits until a look at these nodes finds them ready, all in one question. Those that are not in time, or never will be, are given
    up, if the run goes on without them; gives the answer for the rest.
    """
    started, names = time.monotonic(), tuple(dict.fromkeys((doors.cluster.control_plane.name, *nodes)))
    watched = Watched(names, doors.shells, doors.cluster.kubernetes.generation)

    def wait() -> T:
        left = doors.given_up.without(nodes)
        what = f"{step} on {'every node' if len(left) > 1 else ''.join(left)}"
        return wait_on(watched, lambda: look(left), what=what, within_s=within_s, emit=doors.emit)

    try:
        answer = wait()
    except (StageTimeout, KubernetesError) as error:
        if not doors.given_up.keep_going:
            raise
        for node in doors.given_up.without(nodes):
            if fault := _fault(look, node):
                doors.give_up(node, stage, type(error)(f"{node}: {step}: {fault}", hint=error.hint))
        answer = wait()
    for node in doors.given_up.without(nodes):
        doors.emit(StepFinished(stage, node, step, time.monotonic() - started))
    return answer


def _fault(look: Callable[[Sequence[str]], Ready[T] | NotYet], node: str) -> str:
    """What a look at one node alone finds wrong, without its name; "" for nothing."""
    try:
        answer = look([node])
        said = answer.seen if isinstance(answer, NotYet) else ""
    except MeshctlError as error:
        said = error.message
    return said.removeprefix(f"{node}: ")
