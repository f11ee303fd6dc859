"""The script that stays, on nodes of namespaces: what it says, what it costs, and that it ends when nobody reads. Needs root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from provision.diagnose import Cause, Recording, Seen, guest_between, judge, merged, router_between, ticking_argv
from provision.diagnose.facts import NODE
from provision.run.watched import MOST_CPU
from provision.run.watching import EVERY_S
from tests.doubles.sandbox import NodeShell
from tests.unit.diagnose.test_on_machine import BACKLOG, BURST, TWO, nodes, running

__all__ = ["nodes"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")

NOTHING = Cause("", "", "", 0.0, "possible", "", "", "")

TRIAL_GUESTS = 3
"""Of the cluster that the limit is held for at the usual interval."""


@contextmanager
def staying(node: NodeShell | None = None, **spec: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The script itself, as a child of ours, inside of a node or here: it ends when we do not listen any longer."""
    words = ticking_argv(**{"every_s": 0.2, "share": 0.0, "admin_port": 0, **spec})
    inside = ["nsenter", "-t", str(node.pid), "-m", "-u", "-n", "-p", "-r", "-w"] if node else []
    process = subprocess.Popen([*inside, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        assert process.stdout is not None
        process.stdout.close()
        process.wait(60)


def lines(process: subprocess.Popen[bytes], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().decode() for _ in range(count)]


def after(told: list[str]) -> Seen:
    seen: Seen | None = None
    for line in told:
        seen = merged(seen, line)
    assert seen is not None
    return seen


def test_two_ticks_are_a_guests_facts(nodes: dict[str, NodeShell]) -> None:
    with staying(nodes["w1"]) as process:
        told = lines(process, 3)
    guest = guest_between("w1", "hv1", after(told), {})
    assert guest is not None
    assert guest.cpus == os.cpu_count()
    assert 0 <= guest.steal <= 1
    assert guest.seconds >= 0.2
    assert guest.own.name == NODE
    assert guest.own.somaxconn > 0
    assert len(told[2]) < len(told[0])
    assert "environ" not in "".join(told)


def test_a_backlog_that_overflows_is_found_while_it_does(nodes: dict[str, NodeShell]) -> None:
    with running(nodes["w2"], BACKLOG, TWO.address, "short"), staying(nodes["w2"], every_s=0.5) as process:
        seen = after(lines(process, 1))
        with running(nodes["w1"], BURST, TWO.address, "many"):
            seen, found = until(process, seen, lambda ids: "MD412" in ids)
        assert found.where == "w2"
        assert "somaxconn is" in found.seen
        until(process, seen, lambda ids: "MD412" not in ids)


def until(process: subprocess.Popen[bytes], seen: Seen, there: Callable[[list[str]], bool]) -> tuple[Seen, Cause]:
    """The first tick of sixty with which a finding is true, or is no longer."""
    for _ in range(60):
        seen = merged(seen, *lines(process, 1))
        guest = guest_between("w2", "hv1", seen, {})
        causes = judge(Recording(cluster="lab", guests=(guest,) if guest else ())).causes
        if there([one.id for one in causes]):
            return seen, next((one for one in causes if one.id == "MD412"), NOTHING)
    raise AssertionError(f"not within 60 ticks: {causes}")


# As many metrics as a linkerd of forty services has, half of which go up.
ADMIN = """
import http.server, json
asked = 0
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global asked
        asked += 1
        said = {f"rt/outgoing/dst/id/#/io.l5d.k8s/default/http/web-{n}/{m}": n + m * asked * (m % 2) for n in range(40) for m in range(60)}
        said.update({f"rt/outgoing/dst/id/#/io.l5d.k8s/default/http/web-{n}/requests": n * asked for n in range(40)})
        said.update({"jvm/uptime": asked * 1000, "rt/outgoing/srv/0.0.0.0/4140/requests": asked * 100,
                     "rt/outgoing/srv/0.0.0.0/4140/success": asked * 99, "rt/outgoing/srv/0.0.0.0/4140/request_latency_ms.p99": 41})
        body = json.dumps(said).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 9990), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start(); ready()
while going(): time.sleep(0.1)
"""


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script asks linkerd each tick, and looks around each third second."""
    whole = ticking_argv

    def hasty(**spec: Any) -> list[str]:
        return [
            word.replace("METRICS_S, SLOW_S = 10.0, 60.0", "METRICS_S, SLOW_S = 0.0, 3.0") for word in whole(**spec)
        ]

    monkeypatch.setattr(sys.modules[__name__], "ticking_argv", hasty)


@pytest.mark.usefixtures("eager")
def test_linkerd_is_asked_and_told_by_what_changed(nodes: dict[str, NodeShell]) -> None:
    with running(nodes["w1"], ADMIN, "admin"), staying(nodes["w1"], admin_port=9990) as process:
        told = lines(process, 4)
    seen = after(told)
    router = router_between("w1", seen, "outgoing")
    assert router is not None
    assert (router.requests, router.p99_ms, router.fault) == (100, 41, "")
    assert sum(one.requests for one in router.services) == sum(range(40))
    assert '/7"' not in told[0]  # of no use to any judge
    assert len(told[3]) < 10000


def test_a_linkerd_that_is_not_there_is_said(nodes: dict[str, NodeShell]) -> None:
    with staying(nodes["w2"], admin_port=9990) as process:
        router = router_between("w2", after(lines(process, 1)), "outgoing")
    assert router is not None
    assert "refused" in router.fault


@pytest.mark.usefixtures("eager")
def test_a_tick_takes_so_little_that_three_guests_take_less_than_one_per_cent_of_a_cpu(
    nodes: dict[str, NodeShell],
) -> None:
    """CPU time by the kernel's account, not time that passed: of a tick that asks linkerd, which every second one does only."""
    count = 15
    with running(nodes["w1"], ADMIN, "admin"), staying(nodes["w1"], admin_port=9990) as process:
        lines(process, 3)
        before_s = cpu_s(process.pid)
        costs = [json.loads(line)["cost_s"] for line in lines(process, count)]
        tick_s = (cpu_s(process.pid) - before_s) / count
    sys.stderr.write(
        f"a tick takes {tick_s * 1000:.2f} ms of CPU time, by its own reckoning {(costs[-1] - costs[0]) / (count - 1) * 1000:.2f}\n"
    )
    assert TRIAL_GUESTS * tick_s / EVERY_S < MOST_CPU
    assert (costs[-1] - costs[0]) / (count - 1) >= tick_s / 2  # it counts what linkerd takes, too


def cpu_s(pid: int) -> float:
    """Of the only child of an nsenter, which is the script."""
    child, *_ = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(Path(f"/proc/{child}/schedstat").read_text().split()[0]) / 1e9


def test_it_ticks_less_often_rather_than_take_more_than_its_share(nodes: dict[str, NodeShell]) -> None:
    with staying(nodes["w1"], every_s=0.05, share=0.002) as process:
        told = [json.loads(line) for line in lines(process, 4)]
    assert all(one["next_s"] > 0.05 for one in told)
    gaps = [b["at_s"] - a["at_s"] for a, b in pairwise(told)]
    assert all(gap >= one["next_s"] * 0.9 for gap, one in zip(gaps, told, strict=False))


def test_it_ends_at_once_when_nobody_reads_any_longer() -> None:
    with staying(every_s=600.0) as process:
        lines(process, 1)
    assert process.stderr is not None
    assert (process.returncode, process.stderr.read()) == (0, b"")
