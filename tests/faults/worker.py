"""What is done to a place, with a fault: `worker INVENTORY DEED MODE AT DAEMON`, a process of its own that the fault may end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from provision.base.errors import MeshctlError
from provision.base.events import nowhere
from provision.hosts import hypervisor
from provision.hosts.connection import Patience
from provision.inventory import load
from provision.run import destroy, engine, lease, make_plan, plan_removal, provision
from provision.run.engine import World, opened
from provision.run.stages import guests
from tests.faults.calls import Faulty

SEEN = ("hosts", "images", "networks", "volumes", "guests")


def build(world: World) -> None:
    """Provisions as far as guests that are started."""
    provision(world, make_plan(world), "guests")


def check(world: World) -> None:
    """Raises MeshctlError when something is left to do but what needs a guest that boots."""
    open_ = [
        a
        for a in make_plan(world).changes
        if a.stage in ("hosts", "images", "networks", "volumes", "guests") and a.kind != "boot"
    ]
    if open_:
        raise MeshctlError(f"left to do: {', '.join(f'{one.verb} {one.kind} {one.name}' for one in open_)}")


def raze(world: World) -> None:
    """Destroys with all caches."""
    destroy(world, plan_removal(world, purge=True), purge=True)


DEEDS: dict[str, Callable[[World], None]] = {"build": build, "check": check, "raze": raze}


PATIENCE = Patience(open=1.0, read=3.0, change=5.0, slow=10.0)
"""Enough for a daemon on a busy machine that does nothing else; ours is ten times that, which is what hangs would take here."""


def main(inventory: str, deed: str, mode: str, at: str, daemon: str) -> int:
    """0, or the exit code of what went wrong."""
    fault = Faulty(mode=mode, at=int(at), daemon=int(daemon))
    setattr(guests, "settle", lambda *_: None)  # nothing boots in a minute here
    setattr(hypervisor, "KVM_PROBE_S", 0.2)
    setattr(hypervisor, "_send", fault.midway)
    if mode.endswith("hangs"):
        setattr(hypervisor, "ALIVE_S", 1)
        setattr(hypervisor, "ALIVE_COUNT", 2)
        setattr(lease, "BEAT_S", 1.0)
        setattr(engine, "Hypervisor", partial(hypervisor.Hypervisor, patience=PATIENCE))
    setattr(engine, "Calls", lambda **_: fault)
    try:
        with opened(load(inventory), nowhere) as world:
            DEEDS[deed](world)
    except MeshctlError as error:
        print(f"{type(error).__name__}: {error.message}")
        return error.exit_code
    print(f"{fault.mutations} changes, {fault.uploads} uploads")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
