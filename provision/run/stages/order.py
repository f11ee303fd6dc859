"""The stages of `provision`, in order. Each reads what it needs from the plan or the world and passes nothing on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from provision.plan import Plan
from provision.run.stages import (
    guests,
    hosts,
    images,
    kubernetes,
    mesh,
    networks,
    rebuild,
    removal,
    verify,
    volumes,
)
from provision.run.stages.doors import Doors


@dataclass(frozen=True)
class Stage:
    """A step of the run. One that `checks` also runs when the plan has nothing for it: reading proves, plans age."""

    name: str
    title: str
    run: Callable[[Plan, Doors], None]
    checks: bool = False

    def idle(self, plan: Plan) -> str | None:
        """Why there is nothing to do, None when there is."""
        return None if self.checks or plan.of(self.name) else "nothing to do"


STAGES = (
    Stage(hosts.NAME, hosts.TITLE, hosts.run),
    Stage(images.NAME, images.TITLE, images.run),
    Stage(networks.NAME, networks.TITLE, networks.run),
    Stage(rebuild.NAME, rebuild.TITLE, rebuild.run),
    Stage(volumes.NAME, volumes.TITLE, volumes.run),
    Stage(guests.NAME, guests.TITLE, guests.run),
    Stage(kubernetes.NAME, kubernetes.TITLE, kubernetes.run),
    Stage(mesh.NAME, mesh.TITLE, mesh.run),
    Stage(removal.NAME, removal.TITLE, removal.run),
    Stage(verify.NAME, verify.TITLE, verify.run, checks=True),
)

NAMES = tuple(stage.name for stage in STAGES)


def until(last: str | None) -> tuple[Stage, ...]:
    """The stages up to and with `last`, all of them without it."""
    return STAGES if last is None else STAGES[: NAMES.index(last) + 1]
