"""Two runs at once on one host, in every phase shift that the doors allow: one is held before its n-th call while the other runs.

The barrier is in the door (`Calls.count`), so that no sleep decides who is first. Both have the state of one libvirt: the test driver's is
its connection's, and they share that.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from provision.base.calls import Calls
from provision.base.errors import ConflictError, LockedError, MeshctlError
from provision.base.events import nowhere
from provision.hosts.hypervisor import Hypervisor
from provision.inventory.model import Cluster, Network
from provision.run import lease
from provision.run.destruction import destroy, plan_removal
from provision.run.engine import World, make_plan, opened, provision
from provision.run.stages import guests
from tests.libvirt import test_engine

cluster = test_engine.cluster
STEP = 1 if os.environ.get("MESHCTL_EXPLORE") else 6
"""Each shift costs a second: all of them are tried by `MESHCTL_EXPLORE=1`, and by `make faults`."""

MINE, THEIRS = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"
Run = Callable[[World], None]


@dataclass
class Held(Calls):
    """Calls that stop before the `at`-th one until they are let go."""

    at: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    _seen: int = 0

    def count(self, *, changes: bool) -> None:
        with self._lock:
            self._seen += 1
            here = self._seen == self.at
        if here:
            self.reached.set()
            assert self.go.wait(60)
        super().count(changes=changes)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test driver's guests never boot: they are not waited for. A beat is short, so that a refusal is."""
    monkeypatch.setattr(lease, "BEAT_S", 0.02)
    monkeypatch.setattr(guests, "settle", lambda *_: None)


@pytest.fixture
def host(cluster: Cluster) -> Iterator[Hypervisor]:
    door = Hypervisor("hv1", cluster.hosts[0].uri)
    yield door
    door.close()


@contextmanager
def world(said: Cluster, host: Hypervisor, calls: Calls | None = None) -> Iterator[World]:
    """A run's own doors to the one libvirt."""
    counted = calls or Calls()
    door = Hypervisor("hv1", host.uri, counted)
    door._connection = host._connection
    with opened(said, nowhere) as made:
        yield replace(made, calls=counted, hypervisors={"hv1": door})


def build(at: World) -> None:
    provision(at, make_plan(at), "guests")


def tear_down(at: World) -> None:
    destroy(at, plan_removal(at, purge=False))


@dataclass
class Outcome:
    """How two runs ended: the error of each, or None."""

    first: MeshctlError | None = None
    second: MeshctlError | None = None
    ended_early: bool = False


def shifted(host: Hypervisor, at: int, first: tuple[Cluster, Run], second: tuple[Cluster, Run]) -> Outcome:
    """`first` held before its `at`-th call while `second` runs to its end."""
    held, outcome = Held(at=at), Outcome()

    def run() -> None:
        with world(first[0], host, held) as mine:
            try:
                first[1](mine)
            except MeshctlError as error:
                outcome.first = error
            outcome.ended_early = not held.reached.is_set()
            held.reached.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert held.reached.wait(60)
    with world(second[0], host) as theirs:
        try:
            second[1](theirs)
        except MeshctlError as error:
            outcome.second = error
    held.go.set()
    thread.join(60)
    assert not thread.is_alive()
    return outcome


def owners_of_cpus(host: Hypervisor) -> Counter[str]:
    """How many guests have each CPU for their vCPUs."""
    return Counter(cpu for domain in host.domains() for cpu in domain.vcpu_cpus)


def lawful(error: MeshctlError | None) -> bool:
    """A run may be refused for the other one, and for nothing else."""
    return error is None or isinstance(error, LockedError | ConflictError)


def every_shift(
    host: Hypervisor, first: tuple[Cluster, Run], second: tuple[Cluster, Run], check: Callable[[Outcome], None]
) -> int:
    """All shifts, each from an empty host; the number of calls that the first run made, so of shifts that there are."""
    for at in range(1, 500, STEP):
        outcome = shifted(host, at, first, second)
        assert lawful(outcome.first), outcome.first
        assert lawful(outcome.second), outcome.second
        assert set(owners_of_cpus(host).values()) <= {1}, (
            f"a CPU was given twice when the first run was held before call {at}"
        )
        check(outcome)
        assert host.lease() is None
        for said in (first[0], second[0]):
            with world(said, host) as left:
                tear_down(left)
        assert host.domains() == ()
        if outcome.ended_early:
            return at
    pytest.fail("the first run makes no end of calls")


def goes_on(said: Cluster, host: Hypervisor) -> set[str]:
    """The domains after one more run, which must need no other help."""
    with world(said, host) as again:
        build(again)
        assert make_plan(again).of("guests", "guest") == ()
        assert make_plan(again).of("volumes") == ()
    return {domain.name for domain in host.domains()}


def test_the_same_cluster_twice_is_made_once(cluster: Cluster, host: Hypervisor) -> None:
    said = cluster.model_copy(update={"id": MINE})

    def check(outcome: Outcome) -> None:
        assert outcome.first is None or outcome.second is None, "both were refused, and nobody made it"
        keys = {domain.name: domain.stamp and domain.stamp.host_key for domain in host.domains()}
        assert goes_on(said, host) == {"demo-cp1", "demo-w1"}
        now = {domain.name: domain.stamp and domain.stamp.host_key for domain in host.domains()}
        assert keys.items() <= now.items(), "a guest was made a second time, with another host key"

    assert every_shift(host, (said, build), (said, build), check) > 30


def test_two_clusters_share_a_host_without_sharing_a_cpu(cluster: Cluster, host: Hypervisor) -> None:
    ours = cluster.model_copy(update={"id": MINE})
    network = Network(name="other", cidr="10.78.0.0/24", bridge="meshbr8")
    nodes = tuple(node.model_copy(update={"vcpus": 1}) for node in cluster.nodes)
    theirs = cluster.model_copy(update={"cluster": "prod", "id": THEIRS, "network": network, "nodes": nodes})

    def check(outcome: Outcome) -> None:
        assert outcome.first is None or outcome.second is None
        goes_on(ours, host)
        assert goes_on(theirs, host) == {"demo-cp1", "demo-w1", "prod-cp1", "prod-w1"}
        assert set(owners_of_cpus(host).values()) == {1}

    assert every_shift(host, (ours, build), (theirs, build), check) > 30


def test_what_is_destroyed_while_it_is_made_is_whole_or_gone(cluster: Cluster, host: Hypervisor) -> None:
    said = cluster.model_copy(update={"id": MINE})

    def check(outcome: Outcome) -> None:
        assert outcome.first is None or outcome.second is None
        assert goes_on(said, host) == {"demo-cp1", "demo-w1"}

    assert every_shift(host, (said, build), (said, tear_down), check) > 30


def test_what_is_made_while_it_is_destroyed_is_whole_or_gone(cluster: Cluster, host: Hypervisor) -> None:
    said = cluster.model_copy(update={"id": MINE})

    def raze(at: World) -> None:
        with world(said, host) as before:
            build(before)
        tear_down(at)

    def check(outcome: Outcome) -> None:
        assert outcome.first is None or outcome.second is None
        assert goes_on(said, host) == {"demo-cp1", "demo-w1"}

    assert every_shift(host, (said, raze), (said, build), check) > 5
