"""A bench on libvirt's test driver: pins are widened and put back, with noise meanwhile; what a killed one left is seen and mended.

The load is real, and asks a server of this machine; the noise is real too, one loop for each CPU that this machine is said to have.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from provision.base import interruption
from provision.base.errors import ConflictError, HypervisorError, InventoryError, MeshError
from provision.base.events import Changed, Event, Progress, RunFinished, Warned
from provision.base.interruption import Interrupted
from provision.base.shell import Local, Shell
from provision.bench import Cell, Ground, Ways, cells, read_result, summary, written
from provision.bench.cells import DIRECT, FLOATING, NOISY, PINNED, QUIET
from provision.plan.drift import Mend
from provision.run import benching
from provision.run.bench_plan import Bench, Guest, Wish, _grounds, domains_of, guests_in, pair
from provision.run.benching import _measure_all, check_back, check_same, floating, measure, put_back, tidy_up
from provision.run.engine import World
from tests.libvirt import test_drift

cluster, events, empty, world, by_hand = (
    test_drift.cluster,
    test_drift.events,
    test_drift.empty,
    test_drift.world,
    test_drift.by_hand,
)
drifts = test_drift.drifts

WISH = Wish("w1", "cp1", per_s=100, for_s=1.0, runs=1)
BOTH = Cell(DIRECT, FLOATING, NOISY)
HERE = frozenset(os.sched_getaffinity(0))


class WithShell(World):
    """A world whose hosts' shells are this machine's."""

    def shell(self, host: str) -> Shell | None:
        return Local(host, calls=self.hypervisors[host].calls)


def with_shell(world: World) -> WithShell:
    return WithShell(**{name: getattr(world, name) for name in world.__dataclass_fields__})


def agreed(world: World, port: int = 9, *, some: tuple[Cell, ...] = (BOTH,)) -> Bench:
    """What `plan_bench` makes, without Kubernetes: there is none. The noise is on a CPU that this machine has."""
    seen = domains_of(world)
    running = guests_in(world, seen)
    start, end = pair(world, running, WISH)
    grounds, mute = _grounds(world, seen, (start, end))
    astray = tuple(one for one in running if one.now.strays(one.pins))
    name = f"bench-test-{os.getpid()}"
    return Bench(WISH, name, start, end, Ways({DIRECT: ("127.0.0.1", port)}, {}), some, grounds, {NOISY: mute}, astray)


@contextmanager
def server(look: Callable[[], None]) -> Iterator[int]:
    """Its port. It answers as the echo app; at the first request it looks."""
    seen = threading.Lock()

    class Echo(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if seen.acquire(blocking=False):
                look()
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made.server_address[1]
        made.shutdown()


def pins(by_hand: Any, domain: str) -> list[set[int]]:
    """Of both vCPUs, and of the emulator."""
    found = by_hand.lookupByName(domain)
    maps = [*found.vcpuPinInfo(), found.emulatorPinInfo()]
    return [{cpu for cpu, on in enumerate(one) if on} for one in maps]


AT_HOME = {"demo-cp1": [{1}, {2}, {0}], "demo-w1": [{3}, {4}, {0}]}


def at_home(by_hand: Any) -> bool:
    return {name: pins(by_hand, name) for name in AT_HOME} == AT_HOME


def test_the_ground_is_read_from_the_host(world: World) -> None:
    found = agreed(world)
    assert (found.start.node, found.end.node) == ("w1", "cp1")
    assert found.grounds == {
        "hv1": Ground(
            "hv1",
            frozenset(range(8)),
            measured=frozenset({1, 2, 3, 4}),
            reserved=frozenset({0}),
            siblings=frozenset({1, 2, 3, 4}),
        )
    }
    assert found.left_out == {NOISY: "hv1: its URI leads to no shell"}
    assert found.astray == ()
    assert all(one.emulated for one in found.measured)
    assert "w1 asks cp1, 100 requests/s for 1 s, 1 cell(s), 1 run(s): about 0 min, 1 min at the most" in found.as_text()
    assert "floating they may run on 1-7" in found.as_text()


def test_guests_float_while_a_cell_is_measured_and_are_put_back(world: World, by_hand: Any) -> None:
    seen: dict[str, list[set[int]]] = {}

    def look() -> None:
        seen.update({name: pins(by_hand, name) for name in AT_HOME})

    definition = by_hand.lookupByName("demo-w1").XMLDesc(2)
    with server(look) as port:
        found = measure(world, agreed(world, port), Cell(DIRECT, FLOATING), Local())
    assert found.fault == ""
    assert found.asked == 100
    everywhere = set(range(1, 8))
    assert seen == {name: [everywhere, everywhere, everywhere | {0}] for name in AT_HOME}
    assert at_home(by_hand)
    assert drifts(world) == ()
    assert by_hand.lookupByName("demo-w1").XMLDesc(2) == definition


@pytest.mark.skipif(os.geteuid() != 0, reason="the noise is kept account of in /run")
def test_the_noise_is_there_while_a_cell_is_measured_and_gone_after(world: World, by_hand: Any) -> None:
    bench = agreed(world)
    quiet = replace(bench, grounds={"hv1": Ground("hv1", HERE, measured=frozenset({min(HERE)}))})
    note = Path("/run/meshctl", f"noise.{bench.cluster}.hv1")
    noises = []

    def look() -> None:
        noises.append(Path("/proc", note.read_text().strip(), "cmdline").read_bytes())

    with server(look) as port:
        found = measure(with_shell(world), replace(quiet, ways=agreed(world, port).ways), BOTH, Local())
    assert found.fault == ""
    assert len(noises) == 1
    assert b"meshctl-noise" in noises[0]
    assert not note.exists()
    assert at_home(by_hand)


class Torn(Local):
    """A shell at whose command somebody presses Ctrl-C."""

    def read(self, *_: Any, **__: Any) -> Any:
        interruption.ask("Ctrl-C", 130)
        interruption.check()


@pytest.mark.skipif(os.geteuid() != 0, reason="the noise is kept account of in /run")
def test_all_is_put_back_when_it_is_given_up_in_the_middle(
    world: World, by_hand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No door lets a call begin any more, but those that tidy up."""
    bench = agreed(world)
    quiet = replace(bench, grounds={"hv1": Ground("hv1", HERE, measured=frozenset({min(HERE)}))})
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(interruption, "_asked", Future())
        with pytest.raises(Interrupted):
            measure(with_shell(world), quiet, BOTH, Torn())
    assert at_home(by_hand)
    assert drifts(world) == ()
    assert not Path("/run/meshctl", f"noise.{bench.cluster}.hv1").exists()


def test_what_a_killed_bench_left_is_drift_and_put_back_by_the_next(
    world: World, by_hand: Any, events: list[Event]
) -> None:
    left = floating(world, agreed(world), Cell(DIRECT, FLOATING))
    left.__enter__()  # and nothing more: nobody is left to come out of it
    assert not at_home(by_hand)
    found = drifts(world)
    assert {(one.object, one.mend) for one in found} == {("guest cp1", Mend.LIVE), ("guest w1", Mend.LIVE)}
    after = agreed(world)
    assert [one.node for one in after.astray] == ["cp1", "w1"]
    assert "put back first: the pins of w1 on hv1" in after.as_text()
    assert after.grounds == agreed(world).grounds
    with pytest.raises(HypervisorError, match="the pins of w1, cp1 are not back"):
        check_back(world, after)
    tidy_up(world, after)
    assert [one for one in events if isinstance(one, Changed)][-2:] == [
        Changed("hv1", "pins of cp1", "put back"),
        Changed("hv1", "pins of w1", "put back"),
    ]
    check_back(world, after)
    assert drifts(world) == ()
    assert at_home(by_hand)


def test_pins_that_cannot_be_put_back_are_told_with_the_way_back(world: World, by_hand: Any) -> None:
    bench = agreed(world)
    by_hand.lookupByName("demo-w1").destroy()
    with pytest.raises(HypervisorError, match="the pins of w1, cp1 were not put back") as caught:
        put_back(world, bench.measured)
    assert "meshctl provision" in caught.value.hint


def test_measurements_that_come_to_nothing_are_told_and_end_it(world: World, events: list[Event]) -> None:
    class Dumb(Local):
        def read(self, argv: Any, **more: Any) -> Any:
            return super().read(["sh", "-c", "echo it is full >&2; exit 3"], **more)

    class Sessions:
        def to(self, _target: object) -> Shell:
            return Dumb()

    some = tuple(one for one in cells([DIRECT]) if (one.pins, one.neighbour, one.sysctl) == (PINNED, QUIET, ""))
    bench = replace(agreed(world, some=some), wish=replace(WISH, runs=5))
    deaf: Any = replace(world, sessions=Sessions())  # type: ignore[arg-type]
    with pytest.raises(MeshError, match="3 measurements in a row came to nothing, the last: it is full"):
        _measure_all(deaf, bench)
    assert [one.message for one in events if isinstance(one, Warned)][-3:] == ["direct pinned quiet: it is full"] * 3


def test_a_whole_bench_holds_the_host_and_measures_each_cell_in_each_run(
    world: World, by_hand: Any, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but what Kubernetes says, which is not here: what was agreed to stands for a second look at it."""
    held: list[str] = []

    class Sessions:
        def to(self, _target: object) -> Shell:
            return Local()

    def look() -> None:
        lease = world.hypervisors["hv1"].lease()
        held.append("" if lease is None else lease.command)

    some = tuple(one for one in cells([DIRECT]) if one.neighbour == QUIET and not one.sysctl)
    with server(look) as port:
        wanted = replace(agreed(world, port, some=some), wish=replace(WISH, runs=2))
        monkeypatch.setattr(benching, "plan_bench", lambda _world, _wish: wanted)
        found = benching.bench(replace(world, sessions=Sessions()), wanted)  # type: ignore[arg-type]
    assert held == [f"bench {wanted.cluster}"]
    assert world.hypervisors["hv1"].lease() is None
    assert [row.cell for row in found.rows] == list(some)
    assert [[one.asked for one in row.runs] for row in found.rows] == [[100, 100]] * 2
    assert all(p99 is not None for row in found.rows for p99 in row.p99s_us)
    assert [one.what for one in events if isinstance(one, Progress)][-4:] == [
        *("direct pinned quiet", "direct floating quiet"),
        *("direct floating quiet", "direct pinned quiet"),
    ]
    assert isinstance(events[-1], RunFinished)
    assert read_result(written(found, summary(found)), "kept") == found
    assert at_home(by_hand)


def test_another_bench_than_the_agreed_one_is_refused(world: World) -> None:
    bench = agreed(world)
    check_same(agreed(world), bench)
    with pytest.raises(ConflictError, match="changed since it was shown"):
        check_same(replace(bench, ways=Ways({}, {})), bench)


def test_who_asks_whom_is_chosen(world: World) -> None:
    running: tuple[Guest, ...] = guests_in(world, domains_of(world))
    far = tuple(replace(one, host="hv2") if one.node == "cp1" else one for one in running)
    assert [one.node for one in pair(world, far, replace(WISH, start="", end=""))] == ["w1", "cp1"]
    assert [one.node for one in pair(world, running, replace(WISH, start="", end="w1"))] == ["cp1", "w1"]
    with pytest.raises(InventoryError, match="there is no node w9"):
        pair(world, running, replace(WISH, start="w9"))
    with pytest.raises(InventoryError, match="two different nodes"):
        pair(world, running, replace(WISH, start="w1", end="w1"))
    with pytest.raises(ConflictError, match="w1 does not run"):
        pair(world, running[:1], WISH)
    with pytest.raises(InventoryError, match="two different nodes"):
        pair(world, running[:1], replace(WISH, start="", end=""))
