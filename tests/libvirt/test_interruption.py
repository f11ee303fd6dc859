"""Real processes that are asked to end: what they still do, what they say, and how long that takes."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import time
from pathlib import Path

import pytest

from provision.base.waiting import NotYet, Ready, wait_until
from tests.libvirt.conftest import NODE
from tests.libvirt.daemon import Daemon
from tests.libvirt.process import Place, Running

END_S = 2.5
"""Two seconds, and what a busy machine takes to start a thread and reap a process."""

HUNG = {
    "plan": ("plan", "INVENTORY"),
    "status": ("status", "INVENTORY"),
    "destroy": ("destroy", "INVENTORY", "--yes"),
    "ssh": ("ssh", "INVENTORY", "w1"),
    "doctor": ("doctor", "INVENTORY"),
}

_DEED = r"(?:hv1: create a volume \(\S+\)|work that was going on)"
UNKNOWN = re.compile(rf"^begun, and how it ended is not known: {_DEED}(?: × (\d+))?$", re.MULTILINE)

SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


def _place(folder: Path, daemon: Daemon, volumes: int = 0) -> Place:
    node = daemon.socket.with_name("node.xml")  # where the daemon can read it
    node.write_text(NODE)
    node.chmod(0o644)
    return Place(folder, daemon.with_node(node), volumes).furnish()


@pytest.fixture
def place(tmp_path: Path, libvirtd: Daemon) -> Place:
    return _place(tmp_path, libvirtd)


@pytest.mark.parametrize("command", HUNG)
def test_ctrl_c_ends_a_command_that_waits_for_a_daemon_that_hangs(place: Place, libvirtd: Daemon, command: str) -> None:
    libvirtd.stop()
    running = place.start(*HUNG[command])
    running.has_socket()
    running.kill(signal.SIGINT)
    started = time.monotonic()
    ended = running.ended()
    assert time.monotonic() - started < END_S
    assert ended.status == 130
    assert ended.stderr.splitlines()[-1] == "interrupted by Ctrl-C: nothing was changed"


@pytest.mark.parametrize("number", SIGNALS)
def test_other_signals_do_the_same_with_codes_of_their_own(
    place: Place, libvirtd: Daemon, number: signal.Signals
) -> None:
    libvirtd.stop()
    running = place.start("plan", "INVENTORY")
    running.has_socket()
    running.kill(number)
    ended = running.ended()
    assert ended.status == 128 + number
    assert f"interrupted by {SIGNALS[number]}: nothing was changed" in ended.stderr


def _until_volumes_are_made(running: Running) -> list[str]:
    """Reads events until the first volume is there, and gives the lines."""
    assert running.process.stdout
    lines = []
    for line in running.process.stdout:
        lines.append(line)
        if '"stage": "volumes"' in line:
            break
    lines.append(running.process.stdout.readline())
    return lines


def _made(lines: str) -> set[str]:
    """The volumes of the stage volumes that the events say were made."""
    events = [json.loads(line) for line in lines.splitlines()]
    return {e["object"].split()[-1] for e in events if e["event"] == "Changed" and "volume" in e["object"]}


def test_nothing_begins_after_the_first_and_what_was_done_is_said(tmp_path: Path, libvirtd: Daemon) -> None:
    place = _place(tmp_path, libvirtd, volumes=80)
    running = place.start("provision", "INVENTORY", "--yes", "--until", "guests", "--json")
    running.narrow()
    lines = _until_volumes_are_made(running)
    running.kill(signal.SIGINT)
    ended = running.ended()
    made = _made("".join(lines) + ended.stdout)
    there = libvirtd.volumes()
    assert ended.status == 130
    assert made <= there
    unknown = sum(int(count or 1) for count in UNKNOWN.findall(ended.stderr))
    assert len(there) <= len(made) + unknown  # 0, unless this machine is busier than GRACE_S allows for
    assert 0 < len(made) < 60
    assert "interrupted by Ctrl-C: this was done and this was not" in ended.stderr
    assert "done: hosts, images, networks" in ended.stderr
    assert f"done in stage volumes: {len(made)} change(s), the last: hv1: " in ended.stderr
    assert "not done: the rest of volumes, guests\n" in ended.stderr
    assert "run the same command again" in ended.stderr
    (log,) = place.state.glob("runs/*/events.jsonl")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(e["event"], e.get("outcome") or e.get("error")) for e in events[-2:]] == [
        ("RunFinished", "interrupted"),
        ("Failed", "Interrupted"),
    ]


def test_calls_that_hang_are_named_and_nothing_else_was_begun(tmp_path: Path, libvirtd: Daemon) -> None:
    place = _place(tmp_path, libvirtd, volumes=80)
    running = place.start("provision", "INVENTORY", "--yes", "--until", "guests", "--json")
    running.narrow()
    lines = _until_volumes_are_made(running)
    libvirtd.stop()
    running.stalls()
    running.kill(signal.SIGINT)
    started = time.monotonic()
    ended = running.ended()
    assert time.monotonic() - started < END_S
    libvirtd.go_on()
    made = _made("".join(lines) + ended.stdout)
    unknown = sum(int(count or 1) for count in UNKNOWN.findall(ended.stderr))
    there = _settled(libvirtd)
    assert ended.status == 130
    assert made <= there
    assert len(there) <= len(made) + unknown < 80
    assert 0 < unknown <= 16


def _settled(daemon: Daemon) -> set[str]:
    """The volumes, when the daemon has worked off what it had been sent."""
    before: list[set[str]] = []

    def look() -> Ready[set[str]] | NotYet:
        before.append(daemon.volumes())
        return Ready(before[-1]) if before[-2:-1] == before[-1:] else NotYet(f"{len(before[-1])} volumes")

    return wait_until(look, what="libvirtd", within_s=20, every_s=0.3)


def test_a_second_one_ends_at_once(tmp_path: Path, libvirtd: Daemon) -> None:
    place = _place(tmp_path, libvirtd, volumes=80)
    running = place.start("provision", "INVENTORY", "--yes", "--until", "guests", "--json")
    running.narrow()
    _until_volumes_are_made(running)
    libvirtd.stop()
    started = time.monotonic()
    running.kill(signal.SIGTERM)
    running.kill(signal.SIGINT)
    ended = running.ended()
    assert time.monotonic() - started < 1.0
    assert ended.status in (128 + signal.SIGTERM, 128 + signal.SIGINT)  # sent at once, they come in any order
    assert "not done: the rest of volumes, guests" in ended.stderr


def _asked(place: Place, answer: bytes) -> tuple[int, str, str]:
    """Answers the question of `provision` on a terminal: exit code, and what was said before the answer and after it."""
    ours, theirs = pty.openpty()
    running = place.start("provision", "INVENTORY", "--until", "volumes", stdin=theirs, stdout=theirs)
    os.close(theirs)
    assert running.process.stderr
    before = ""
    while "changes? [y/N]: " not in before:
        before += running.process.stderr.read(1)
    os.write(ours, answer)
    ended = running.ended()
    os.close(ours)
    return ended.status, before, ended.stderr


def test_no_is_an_answer_and_no_interruption(place: Place, libvirtd: Daemon) -> None:
    status, _, said = _asked(place, b"n\n")
    assert (status, said.strip().splitlines()) == (1, ["answered: no", "cancelled: nothing was changed"])


def test_the_end_of_the_input_is_no_answer(place: Place, libvirtd: Daemon) -> None:
    status, _, said = _asked(place, b"\x04")
    assert (status, said.strip().splitlines()[-1]) == (1, "no answer: nothing was changed")


def test_nothing_is_drawn_over_the_question_or_what_is_typed(place: Place, libvirtd: Daemon) -> None:
    ours, theirs = pty.openpty()
    running = place.start("provision", "INVENTORY", "--until", "volumes", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said, started = b"", time.monotonic()
    while b"changes? [y/N]: " not in said and time.monotonic() - started < 30:
        ready, _, _ = select.select([ours], [], [], 1.0)
        said += os.read(ours, 65536) if ready else b""
    drawn, _, _ = select.select([ours], [], [], 1.0)  # the live line moves 12 times a second
    assert said.endswith(b"changes? [y/N]: ")
    assert drawn == []
    os.write(ours, b"n\n")
    assert running.ended().status == 1
    os.close(ours)
