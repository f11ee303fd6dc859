"""What a person does to single nodes, as far as hosts notice it: on libvirt's test driver with a real sshd for guests, and on a real
libvirtd whose guests have no system and so never shut down.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from provision.base.errors import ConflictError, InventoryError, KubernetesError, StageTimeout, Unreachable
from provision.base.events import Changed, Event, Warned
from provision.base.waiting import NotYet, Ready, wait_until
from provision.guests import Ssh
from provision.inventory import load
from provision.inventory.model import Cluster
from provision.libvirt_xml import domain_xml
from provision.plan.desired import desired
from provision.run import (
    check_names,
    check_running,
    console_argv,
    console_log,
    cordon_nodes,
    drain_nodes,
    leases,
    restart_nodes,
    standing,
)
from provision.run.engine import World, make_plan, opened, provision
from provision.run.stages import rolling
from provision.run.stages.doors import Guest, Ways
from provision.run.stages.rolling import in_turn, start_anew
from provision.specs import HostTraits, Stamp
from tests.faults.place import Place, prepared
from tests.faults.place import place as real_place
from tests.libvirt import test_access
from tests.libvirt.process import Place as Laptop
from tests.libvirt.test_engine import guests_too
from tests.unit.guests.sshd import Sshd, public_of
from tests.unit.sample import ARTIFACTS, CLUSTER, PINNINGS

sshd = test_access.sshd

WORKERS = ("w1", "w2", "w3")


def with_workers(uri: str, sshd: Sshd, at_once: int) -> Cluster:
    """The sample with three workers, each reached by the same sshd."""
    cp1, w1 = CLUSTER.nodes
    workers = [w1.model_copy(update={"name": name, "address": f"10.77.0.2{n}"}) for n, name in enumerate(WORKERS)]
    kubernetes = CLUSTER.kubernetes.model_copy(update={"max_unavailable": at_once})
    reached = test_access.cluster(uri, sshd, key_file=str(sshd.user))
    return reached.model_copy(update={"nodes": (cp1, *workers), "kubernetes": kubernetes})


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def world(uri: str, sshd: Sshd, events: list[Event]) -> Iterator[World]:
    cluster = with_workers(uri, sshd, 2)
    names = [node.name for node in cluster.nodes]
    pinnings = {name: replace(PINNINGS["w1"], node=name) for name in names}
    seeds = dict.fromkeys(names, "c" * 64)
    wanted = desired(cluster, pinnings, {"hv1": HostTraits("kvm")}, {}, ARTIFACTS, seeds)
    with opened(cluster, events.append) as made:
        for name in names:
            guest = wanted.guest(name)
            key = public_of(sshd.folder / "host")
            stamp = Stamp("lab", name, "0123456789abcdef", guest.address, key, "seed.iso", owner=made.cluster.owner.id)
            made.hypervisors["hv1"].define_domain(domain_xml(guest, stamp))
            made.hypervisors["hv1"].start_domain(guest.domain)
        yield made


class Booting:
    """In place of a first boot, which the test driver's guests do not have: notes who is down, and waits for who must be at once."""

    def __init__(self, *together: str) -> None:
        self.ended: list[str] = []
        self._together, self._barrier = together, threading.Barrier(max(1, len(together)))

    def __call__(self, guest: Guest, _shell: Ssh, _ways: Ways) -> None:
        if guest.node in self._together:
            self._barrier.wait(30)
        self.ended.append(guest.node)


def in_order(world: World, boot: Booting, *nodes: str, force: bool = False) -> None:
    ways = world.ways()
    in_turn([standing(world, node) for node in nodes], ways.shells(), ways, boot, force=force)


def test_so_many_workers_at_once_as_may_be_down_and_the_control_plane_last_and_alone(
    world: World, events: list[Event]
) -> None:
    boot = Booting("w1", "w2")
    in_order(world, boot, "cp1", *WORKERS)
    assert sorted(boot.ended[:2]) == ["w1", "w2"]
    assert boot.ended[2:] == ["w3", "cp1"]
    started = [event.object for event in events if isinstance(event, Changed) and event.change == "start anew"]
    assert started[2:] == ["guest w3", "guest cp1"]


def test_who_does_not_answer_is_started_anew_by_force_only(world: World, events: list[Event], sshd: Sshd) -> None:
    allowed = sshd.authorized.read_text()
    sshd.authorized.write_text("")
    with pytest.raises(Unreachable, match=r"w1: .* refused the key") as caught:
        in_order(world, Booting(), "w1")
    assert caught.value.hint
    assert events == []

    class Mending(Booting):
        def __call__(self, guest: Guest, shell: Ssh, ways: Ways) -> None:
            sshd.authorized.write_text(allowed)
            super().__call__(guest, shell, ways)

    boot = Mending()
    in_order(world, boot, "w1", force=True)
    assert boot.ended == ["w1"]
    assert any(isinstance(event, Warned) and "it is not emptied first" in event.message for event in events)


def test_a_name_is_checked_with_the_nearest_before_anything_is_done(world: World, events: list[Event]) -> None:
    with pytest.raises(InventoryError, match="there is no node w11") as caught:
        check_names(world, ("w1", "w11"))
    assert caught.value.hint == "did you mean w1? the nodes are cp1, w1, w2, w3"
    with pytest.raises(InventoryError, match="node w1 is named twice"):
        check_names(world, ("w1", "w1"))
    assert (world.calls.mutations, events) == (4 + 4, [])  # the fixture's own


def test_a_host_is_held_while_nodes_are_changed_and_given_back(world: World, events: list[Event]) -> None:
    """There is no kubectl behind this sshd: the failure is that of the first question to the cluster."""
    for change in (cordon_nodes, drain_nodes):
        with pytest.raises(KubernetesError):
            change(world, ("w1",), patience_s=0.0)
    assert leases(world.hypervisors) == {"hv1": None}


def test_a_guest_that_is_off_is_not_started_anew(world: World) -> None:
    world.hypervisors["hv1"].stop_domain("lab-w2")
    guests = [standing(world, node) for node in WORKERS]
    assert [bool(guest.why_not) for guest in guests] == [False, True, False]
    with pytest.raises(
        ConflictError, match=r"(?s)cannot be started anew.*hv1: guest w2 is shut off: `meshctl provision`"
    ):
        check_running(guests)


def test_the_console_is_virshs_at_the_hosts_uri(world: World) -> None:
    uri = world.cluster.hosts[0].uri
    assert console_argv(world, standing(world, "w1")) == ("virsh", "--connect", uri, "console", "lab-w1")


def test_a_domain_of_that_name_without_our_stamp_is_nobodys_console(world: World, sshd: Sshd) -> None:
    other = world.cluster.model_copy(update={"id": "f" * 16})
    with pytest.raises(Unreachable, match="w1: no host that answers has a guest lab-w1 with our stamp"):
        standing(replace(world, cluster=other), "w1")


# ── a real libvirtd ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("nodes")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MESHCTL_CACHE", "MESHCTL_STATE"):
            patch.setenv(name, "")
        with real_place(folder, prepared(folder)) as made:
            yield made


@pytest.fixture(scope="module")
def running(real: Place) -> Iterator[World]:
    """Two guests without a system, which run and heed nobody."""
    with opened(load(str(real.inventory)), lambda _: None) as made:
        provision(made, make_plan(made), "volumes")
        guests_too(made)
        yield made


def number(world: World, domain: str) -> int:
    return int(world.hypervisors["hv1"]._connection.use("look", changes=False).lookupByName(domain).ID())


def test_who_does_not_shut_down_in_time_is_left_running_and_stopped_by_force_only(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rolling, "SHUTDOWN_S", 2.0)
    guest, before = standing(running, "w1"), number(running, "demo-w1")
    with pytest.raises(StageTimeout, match="w1: shutdown: not within 2 s") as caught:
        start_anew(guest, running.ways())
    assert "meshctl console INVENTORY w1" in caught.value.hint
    assert number(running, "demo-w1") == before
    start_anew(guest, running.ways(), force=True)
    assert number(running, "demo-w1") not in (before, -1)


def test_what_the_console_has_said_is_printed_without_a_terminal(running: World, real: Place) -> None:
    (log,) = real.pool.glob("demo.w1.console.*.log")
    lines = [f"[  OK  ] Started \x1b[0;1;39munit {n}\x1b[0m.\r" for n in range(1000)]
    with log.open("a") as file:
        file.write("\n".join([*lines, "\x1b[2Jlast words\x07\r\n"]))
    assert console_log(running, standing(running, "w1"), 2) == (lines[-1][:-1], "\x1b[2Jlast words\x07")
    laptop = Laptop(real.folder, real.uri, env={"MESHCTL_STATE": str(real.folder / "state")})
    done = laptop.run("console", str(real.inventory), "w1", "--tail", "2")
    assert (done.status, done.stdout) == (0, "[  OK  ] Started unit 999.\nlast words\\x07\n")


def test_at_a_terminal_it_becomes_virsh(running: World, real: Place) -> None:
    laptop = Laptop(real.folder, real.uri, env={"MESHCTL_STATE": str(real.folder / "state")})
    ours, theirs = os.openpty()
    process = laptop.start("console", str(real.inventory), "w1", stdin=theirs, stdout=theirs, stderr=theirs).process
    os.close(theirs)
    said = b""
    while b"Escape character" not in said:
        said += os.read(ours, 4096)
    assert b"Connected to domain 'demo-w1'" in said
    assert Path(f"/proc/{process.pid}/comm").read_text() == "virsh\n"

    def left() -> Ready[int] | NotYet:
        os.write(ours, b"\x1d")  # virsh says this before it reads the terminal key by key
        status = process.poll()
        return NotYet("virsh runs") if status is None else Ready(status)

    assert wait_until(left, what="the end of the console", within_s=60, every_s=0.3) == 0
    os.close(ours)


def test_restart_says_what_it_does_and_asks(real: Place, running: World) -> None:
    laptop = Laptop(real.folder, real.uri, env={"MESHCTL_STATE": str(real.folder / "state")})
    done = laptop.run("restart", str(real.inventory), "cp1")
    assert done.status == 2
    assert "  ~ cp1 on hv1: started anew, last and alone; the API is away meanwhile" in done.stderr
    assert "there is no terminal to ask: say --yes" in done.stderr
    refused = laptop.run("restart", str(real.inventory), "cp1", "--yes", "--max-unavailable", "2")
    assert refused.status == 2
    assert "2: there are 1 workers" in refused.stderr
    assert laptop.run("restart", str(real.inventory), "cp1", "--max-unavailable", "0").status == 2


def test_a_restart_that_fails_gives_the_host_back(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling, "SHUTDOWN_S", 1.0)
    guest, before = standing(running, "cp1"), number(running, "demo-cp1")
    with pytest.raises(StageTimeout):
        restart_nodes(running, [guest], patience_s=0.0)
    assert number(running, "demo-cp1") == before
    assert leases(running.hypervisors) == {"hv1": None}
