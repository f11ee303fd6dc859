"""The noisy neighbour for real, as processes of this machine: one loop, for seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from provision.base.shell import Local
from provision.hosts import Noise

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="it is kept account of in /run")

NAME = f"noise-test-{os.getpid()}"
FILE = Path("/run/meshctl", f"noise.{NAME}")
SECONDS = 60
"""Longer than any of these takes: they end it."""

KILLED_S = 3


@pytest.fixture
def noise() -> Iterator[Noise]:
    made = Noise(Local(), NAME)
    yield made
    made.end()


def group() -> int:
    return int(FILE.read_text())


def members(of: int) -> list[int]:
    """The processes of a group that live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, pgrp = path.read_text().rpartition(")")[2].split()[:3]
            found += [int(path.parent.name)] if int(pgrp) == of and state != "Z" else []
    return found


def loops(of: int) -> list[int]:
    """Those that are busy: by their own command line."""
    return [pid for pid in members(of) if Path(f"/proc/{pid}/cmdline").read_bytes()[6:] == b"while :; do :; done\0"]


def until(question: Callable[[], bool], within_s: float = 30) -> bool:
    deadline = time.monotonic() + within_s
    while not question() and time.monotonic() < deadline:
        time.sleep(0.1)
    return question()


def status(pid: int, field: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{field}:"))


def test_it_is_on_its_cpus_as_many_times_as_said_and_gone_when_it_is_ended(noise: Noise) -> None:
    assert noise.lacking() == ()
    noise.begin({0}, 2, SECONDS)
    leader = group()
    assert until(lambda: len(loops(leader)) == 2)
    assert {status(pid, "Cpus_allowed_list") for pid in loops(leader)} == {"0"}
    assert noise.end()
    assert until(lambda: members(leader) == [])
    assert not FILE.exists()
    assert not noise.end()


def test_who_begins_anew_ends_what_was_there(noise: Noise) -> None:
    """At once, too: between its start and its own process group it was missed."""
    noise.begin({0}, 1, SECONDS)
    begun = [group()]
    for _ in range(5):
        noise.begin({0}, 1, SECONDS)
        begun.append(group())
    assert len(set(begun)) == 6
    assert until(lambda: not any(members(one) for one in begun[:-1]))


def test_it_is_gone_in_time_when_who_began_it_was_killed(noise: Noise) -> None:
    text = (
        "import sys, time; from provision.base.shell import Local; from provision.hosts import Noise\n"
        f"Noise(Local(), sys.argv[1]).begin({{0}}, 1, {KILLED_S}); print('begun', flush=True); time.sleep(60)"
    )
    beginner = subprocess.Popen([sys.executable, "-c", text, NAME], stdout=subprocess.PIPE)
    assert beginner.stdout is not None
    assert beginner.stdout.readline() == b"begun\n"
    beginner.send_signal(signal.SIGKILL)
    beginner.wait()
    leader = group()
    assert until(lambda: members(leader) == [])
    assert not noise.end()


def test_the_kernel_ends_the_loops_where_nobody_is_left_who_would(noise: Noise) -> None:
    noise.begin({0}, 1, SECONDS)
    leader = group()
    assert until(lambda: len(loops(leader)) == 1)
    (loop,) = loops(leader)
    limits = Path(f"/proc/{loop}/limits").read_text().splitlines()
    assert next(line.split()[3:5] for line in limits if line.startswith("Max cpu time")) == [str(SECONDS)] * 2


def test_a_stale_note_harms_nobody(noise: Noise) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(f"{stranger.pid}\n")
        assert not noise.end()
        assert stranger.poll() is None
        stranger.kill()
    assert not FILE.exists()
