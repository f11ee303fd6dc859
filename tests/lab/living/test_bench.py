"""A short bench of a living cluster: all cells are measured, and afterwards nothing is left of it; of one that is killed neither.

The tests build on each other in the order of this file.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from provision.base.waiting import NotYet, Ready, wait_until
from provision.bench import Cell, cells, read_result
from provision.bench.cells import DIRECT, ONE_HOP, PAIRED
from tests.lab.conftest import MESHCTL, Place

pytestmark = [pytest.mark.lab, pytest.mark.scenario("bench-latency")]

RUNS = 2
RATE, FOR_S = 40, 3
"""120 requests a cell: enough for a p99, and for emulated nodes."""

SETTINGS = ("net.ipv4.tcp_tw_reuse", "net.ipv4.ip_local_port_range", "net.core.somaxconn")


def noises() -> list[int]:
    """Processes of any bench's noise on this machine, which is the lab's only host."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            found += [int(path.parent.name)] if b"meshctl-noise" in words else []
    return found


def clean(place: Place) -> bool:
    return place.meshctl("status", str(place.inventory), "--drift").status == 0


def settings(place: Place) -> str:
    return place.meshctl("ssh", str(place.inventory), "w1", "--", "sudo", "sysctl", *SETTINGS).stdout


def pins(place: Place) -> list[str]:
    """Of all vCPUs of the two guests that are measured, as libvirt has them now."""
    names = [one for one in place.virsh("list", "--name").split() if one.endswith(("-w1", "-w2"))]
    return [place.virsh("vcpupin", one) for one in names]


def measured(place: Place, *words: str) -> dict[str, Any]:
    done = place.meshctl(
        "bench", "latency", str(place.inventory), "--from", "w1", "--to", "w2", "--yes", "--json", *words
    )
    assert done.status == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_all_cells_are_measured_and_nothing_is_left(place: Place, tmp_path: Path) -> None:
    before, kernel = pins(place), settings(place)
    picture = tmp_path / "latency.svg"
    said = measured(place, "--runs", str(RUNS), "--rate", str(RATE), "--for", f"{FOR_S}s", "--svg", str(picture))
    assert noises() == []
    assert pins(place) == before
    assert settings(place) == kernel
    assert clean(place)
    assert place.meshctl("plan", str(place.inventory), "--detailed-exitcode").status == 0

    result = read_result(json.dumps(said), "stdout")
    ways = [way for way in (DIRECT, ONE_HOP, PAIRED) if way not in result.left_out]
    assert ways[:2] == [DIRECT, ONE_HOP]
    assert {row.cell for row in result.rows} == set(cells(ways))
    assert {len(row.runs) for row in result.rows} == {RUNS}
    assert [(str(row.cell), one.fault) for row in result.rows for one in row.runs if one.fault] == []
    assert [(str(row.cell), one.failed) for row in result.rows for one in row.runs if one.failed] == []
    assert {one.asked for row in result.rows for one in row.runs} == {RATE * FOR_S}
    direct = result.row(Cell(DIRECT))
    assert direct is not None
    assert {node for one in direct.runs for node in one.nodes} == {"w2"}
    assert "too few to tell from 1" in said["summary"]["sentence"]
    assert picture.read_text().startswith("<svg ")

    kept = tmp_path / "a.json"
    kept.write_text(json.dumps(said))
    compared = place.meshctl("bench", "latency", "--compare", str(kept), str(kept))
    assert compared.status == 0
    assert "differs" not in compared.stdout


def test_one_that_is_killed_is_seen_and_the_next_puts_it_back(place: Place) -> None:
    for_s = 20
    before = pins(place)
    words = ("--only", "direct,floating,noisy", "--runs", "1", "--rate", "20", "--for", f"{for_s}s")
    argv = [str(MESHCTL), "bench", "latency", str(place.inventory), "--from", "w1", "--to", "w2", "--yes", *words]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        wait_until(lambda: Ready(None) if noises() else NotYet("no noise"), what="the noise", within_s=300, every_s=0.5)
        time.sleep(3)  # the pins follow at once
        run.send_signal(signal.SIGKILL)
    if pins(place) != before:  # where a host has more CPUs than its guests have pins for; it is drift then
        assert place.meshctl("status", str(place.inventory), "--drift").status == 20
    measured(place, "--only", "direct,pinned,quiet", "--runs", "1", "--rate", "40", "--for", "3s")
    assert noises() == []  # ended by the next, sooner than by itself
    assert pins(place) == before
    assert clean(place)


def test_ctrl_c_puts_all_back_at_once(place: Place) -> None:
    before = pins(place)
    words = ("--only", "direct,floating,noisy", "--runs", "1", "--rate", "20", "--for", "30s")
    argv = [str(MESHCTL), "bench", "latency", str(place.inventory), "--from", "w1", "--to", "w2", "--yes", *words]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
        wait_until(lambda: Ready(None) if noises() else NotYet("no noise"), what="the noise", within_s=300, every_s=0.5)
        time.sleep(3)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=30)
    assert run.returncode == 130, said
    assert pins(place) == before
    wait_until(lambda: NotYet("noise") if noises() else Ready(None), what="silence", within_s=5, every_s=0.2)
    assert clean(place)
