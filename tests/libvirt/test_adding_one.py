"""Adding a node to a hundred costs what it costs to add one to three, routes apart: on hosts of libvirt's test driver."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from provision import bundle
from provision.inventory import load
from provision.plan import Verb
from provision.run.engine import World, make_plan, opened, provision
from provision.run.stages.guests import _bring_up
from tests.benchmarks.plan_scale import complete, counted, inventory, prepared

FEW, MANY = 3, 100
HOSTS = {FEW: 3, MANY: 15}
"""The node more goes to a host that has some; the driver's pools hold ten root volumes."""


@dataclass(frozen=True)
class Cost:
    """What a run takes: calls to libvirt that read and that change, and seconds of CPU."""

    calls: int
    changes: int
    cpu_s: float

    def beyond(self, other: Cost) -> Cost:
        """What it takes more than another run."""
        return Cost(self.calls - other.calls, self.changes - other.changes, self.cpu_s - other.cpu_s)


@contextmanager
def cluster_of(nodes: int, folder: Path) -> Iterator[World]:
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHCTL_CACHE", str(folder / "cache"))
        with opened(prepared(folder, HOSTS[nodes], nodes), lambda _: None) as world:
            complete(world)
            yield world


def with_one_more(world: World, nodes: int, folder: Path) -> World:
    bigger = load("x.yaml", inventory(folder, HOSTS[nodes], nodes + 1))
    return replace(world, cluster=bigger.model_copy(update={"id": world.cluster.id}))


def runs(world: World, new: int) -> Cost:
    """A run as far as the test driver has it: plan, plan again, networks and volumes, the guests that are to be made."""
    before, cpu = world.calls.mutations, time.process_time()
    with counted() as calls:
        plan = make_plan(world)
        assert len(plan.of("volumes")) == 2 * new  # a root volume and a seed
        provision(world, plan, "volumes")
        doors = world.doors(bundle.load(bundle.find(world.cluster.kubernetes.bundle)))
        made = [action for action in plan.of("guests", "guest") if action.verb is Verb.CREATE]
        for action in made:
            _bring_up(action, plan, doors)
    assert len(made) == new
    return Cost(calls.total(), world.calls.mutations - before, time.process_time() - cpu)


def adding_one(nodes: int, folder: Path) -> Cost:
    with cluster_of(nodes, folder) as world:
        make_plan(world)  # what only the first of a process costs
        nothing = runs(world, 0)
        return runs(with_one_more(world, nodes, folder), 1).beyond(nothing)


def test_a_node_more_costs_the_same_at_three_and_at_a_hundred(tmp_path: Path) -> None:
    few, many = adding_one(FEW, tmp_path / "few"), adding_one(MANY, tmp_path / "many")
    print(f"adding one at {FEW}: {few}; at {MANY}: {many}", flush=True)
    assert many.changes == few.changes > 0
    assert many.calls <= 1.2 * few.calls
