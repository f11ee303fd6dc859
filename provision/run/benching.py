"""`bench latency`: measures cell by cell. Whatever it changes for one, pins, noise, kernel settings, is put back before the next, and in
every way out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from provision.base.errors import ConflictError, HypervisorError, MeshctlError, MeshError, ShellError
from provision.base.events import Changed, Progress, Warned
from provision.base.interruption import tidying
from provision.base.moments import moment
from provision.base.parallel import for_each
from provision.base.shell import Shell
from provision.bench import (
    FLOATING,
    NOISY,
    SYSCTL,
    Cell,
    Measured,
    Result,
    Row,
    argv,
    in_order,
    longest_s,
    not_measured,
    read_measured,
)
from provision.hosts import Noise
from provision.run.access import node_target
from provision.run.bench_plan import Bench, Guest, domains_of, guests_in, plan_bench
from provision.run.engine import World
from provision.run.lease import leased
from provision.run.site import recorded

HOST = "echo"
"""What is asked for through the mesh: the app that `verify` asks too."""

IN_VAIN = 3
"""So many measurements in a row that come to nothing are enough."""

WAY_BACK = "`meshctl provision` puts the pins back, and so does the next bench before it begins; `meshctl status --drift` shows them"


def bench(world: World, agreed: Bench, *, patience_s: float = 0.0) -> Result:
    """Measures what was agreed to, holding the hosts. Raises ConflictError when something of it has changed since."""
    command = f"bench {agreed.cluster}"
    with leased(world.hypervisors, world.calls, command, world.emit, patience_s=patience_s), recorded(world, "bench"):
        check_same(plan_bench(world, agreed.wish), agreed)
        tidy_up(world, agreed)
        found = _measure_all(world, agreed)
        check_back(world, agreed)
    return _result(agreed, found)


def tidy_up(world: World, agreed: Bench) -> None:
    """Puts back and ends what a bench left that was killed."""
    put_back(world, agreed.astray)
    for guest in agreed.astray:
        world.emit(Changed(guest.host, f"pins of {guest.node}", "put back"))
    for host in agreed.grounds if NOISY not in agreed.left_out else ():
        if _noise_of(world, agreed, host).end():
            world.emit(Changed(host, "noise", "ended"))


def check_back(world: World, agreed: Bench) -> None:
    """Raises HypervisorError when a guest that was measured has other pins than before: libvirt took them, and has them not."""
    names = [one.node for one in agreed.measured]
    now = {one.node: one for one in guests_in(world, domains_of(world)) if one.node in names}
    if astray := [name for name in names if name in now and now[name].now.strays(now[name].pins)]:
        raise HypervisorError(f"the pins of {', '.join(astray)} are not back", hint=WAY_BACK)


def check_same(found: Bench, agreed: Bench) -> None:
    """Raises ConflictError when another bench than this was agreed to."""
    if found != agreed:
        raise ConflictError(
            "guests, pods or pins changed since it was shown", hint="run the command again, and look at it"
        )


def _measure_all(world: World, agreed: Bench) -> dict[Cell, list[Measured]]:
    found: dict[Cell, list[Measured]] = {cell: [] for cell in agreed.cells}
    shell = world.sessions.to(node_target(world, agreed.start.node))
    queue = [cell for run in range(agreed.wish.runs) for cell in in_order(agreed.cells, run)]
    vain = 0
    for number, cell in enumerate(queue):
        world.emit(Progress(str(cell), number, len(queue), "measurements"))
        one = measure(world, agreed, cell, shell)
        found[cell].append(one)
        vain = vain + 1 if one.fault else 0
        if one.fault:
            world.emit(Warned(f"{cell}: {one.fault}"))
        if vain == IN_VAIN:
            raise MeshError(
                f"{IN_VAIN} measurements in a row came to nothing, the last: {one.fault}", hint="`meshctl status`"
            )
    return found


def measure(world: World, agreed: Bench, cell: Cell, shell: Shell) -> Measured:
    """One cell, once."""
    # The noise ends by itself in any case, pins do not go back by themselves: so they go back first.
    with noise(world, agreed, cell) as ended, floating(world, agreed, cell):
        found = _ask(agreed, cell, shell)
    if ended and not found.fault:
        return not_measured(f"the noise on {', '.join(ended)} had ended before")
    return found


def _ask(agreed: Bench, cell: Cell, shell: Shell) -> Measured:
    (address, port), wish = agreed.ways.to[cell.way], agreed.wish
    churn, sysctl = bool(cell.sysctl), SYSCTL[cell.sysctl]
    command = argv(address, port, host=HOST, per_s=wish.per_s, for_s=wish.for_s, churn=churn, sysctl=sysctl)
    ask = shell.run if sysctl else shell.read
    try:
        done = ask(command, within_s=longest_s(wish.for_s), check=False)
        return (
            read_measured(json.loads(done.stdout)) if done.status == 0 else not_measured(" ".join(done.last_lines[-1:]))
        )
    except ShellError as error:
        return not_measured(error.message)
    except ValueError as error:
        return not_measured(f"the answer is no JSON: {error}")


@contextmanager
def floating(world: World, agreed: Bench, cell: Cell) -> Iterator[None]:
    """Both guests' threads free on the CPUs of the experiment, where the cell is about that; their definitions stay as they are."""
    if cell.pins != FLOATING:
        yield
        return
    try:
        for guest in agreed.measured:
            pins = guest.pins.widened(agreed.grounds[guest.host].floating)
            world.hypervisors[guest.host].pin_threads(guest.domain, pins.vcpus, pins.emulator, pins.iothread)
        yield
    finally:
        with tidying():
            put_back(world, agreed.measured)


def put_back(world: World, guests: Sequence[Guest]) -> None:
    """All threads of these guests on the CPUs that we gave them. Raises HypervisorError with the way back."""

    def back(guest: Guest) -> None:
        pins = guest.pins
        world.hypervisors[guest.host].pin_threads(guest.domain, pins.vcpus, pins.emulator, pins.iothread)

    try:
        for_each(guests, back)
    except MeshctlError as error:
        nodes = ", ".join(guest.node for guest in guests)
        raise HypervisorError(f"the pins of {nodes} were not put back: {error.message}", hint=WAY_BACK) from error


@contextmanager
def noise(world: World, agreed: Bench, cell: Cell) -> Iterator[list[str]]:
    """A noisy neighbour on all hosts of the experiment, where the cell is about that. Gives, at the end, where it had ended before."""
    ended: list[str] = []
    if cell.neighbour != NOISY:
        yield ended
        return
    made = {host: _noise_of(world, agreed, host) for host in agreed.grounds}
    within_s = longest_s(agreed.wish.for_s)

    def begin(host: str) -> None:
        one = agreed.grounds[host]
        made[host].begin(one.neighbour(cell.pins), one.loops, within_s)

    try:
        for_each(made, begin)
        yield ended
    finally:
        with tidying():
            ended += filter(None, for_each(made, partial(_end, world, made, within_s)))


def _noise_of(world: World, agreed: Bench, host: str) -> Noise:
    return Noise(world.reached(host), f"{agreed.cluster}.{host}")


def _end(world: World, made: dict[str, Noise], within_s: float, host: str) -> str:
    try:
        return "" if made[host].end() else host
    except MeshctlError as error:
        world.emit(
            Warned(f"{host}: the noise was not ended: {error.message}", f"it ends by itself within {within_s:.0f} s")
        )
        return ""


def _result(agreed: Bench, found: dict[Cell, list[Measured]]) -> Result:
    return Result(
        cluster=agreed.cluster,
        at=moment(time.time()),
        start=agreed.start.node,
        end=agreed.end.node,
        per_s=agreed.wish.per_s,
        for_s=agreed.wish.for_s,
        emulated=any(one.emulated for one in agreed.measured),
        grounds=tuple(one.in_words() for one in agreed.grounds.values()),
        left_out=dict(agreed.left_out),
        rows=tuple(
            Row(way=cell.way, pins=cell.pins, neighbour=cell.neighbour, sysctl=cell.sysctl, runs=tuple(runs))
            for cell, runs in found.items()
        ),
    )
