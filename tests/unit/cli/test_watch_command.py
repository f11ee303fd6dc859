"""`meshctl watch` as a person runs it: on a terminal of its own, and without one."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MESHCTL = str(Path(sys.executable).with_name("meshctl"))

INVENTORY = """\
apiVersion: meshctl/v1
cluster: demo
hosts:
- {{name: hv1, uri: "test:///default", pool: {{path: /nowhere/pool}}, reserved_memory: 0MiB}}
network: {{cidr: 10.77.0.0/24, bridge: meshbr9}}
nodes:
- {{name: cp1, role: control-plane, vcpus: 2, memory: 2GiB, disk: 10GiB}}
- {{name: w1, role: worker, vcpus: 1, memory: 1GiB, disk: 10GiB}}
ssh: {{key_file: {key}, proxy_command: ["false"]}}
kubernetes: {{version: v1.20.2}}
"""

LONG_S = 90.0
OTHER_BUFFER, OWN_BUFFER = b"\x1b[?1049h", b"\x1b[?1049l"


@pytest.fixture
def argv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("MESHCTL_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("TERM", "xterm")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    inventory = tmp_path / "demo.yaml"
    inventory.write_text(INVENTORY.format(key=key))
    return [MESHCTL, "watch", str(inventory)]


class Terminal:
    """A terminal of 100 columns and 30 lines with a program on it."""

    def __init__(self, argv: list[str]) -> None:
        self.ours, self.theirs = os.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.before = termios.tcgetattr(self.theirs)
        door = self.theirs
        self.process = subprocess.Popen(argv, stdin=door, stdout=door, stderr=door, start_new_session=True)
        self.said = b""

    def until(self, words: bytes) -> None:
        ends_s = time.monotonic() + LONG_S
        while words not in self.said:
            assert time.monotonic() < ends_s, self.said
            self.hear(0.5)

    def hear(self, within_s: float) -> None:
        if select.select([self.ours], [], [], within_s)[0]:
            self.said += os.read(self.ours, 65536)

    def status(self) -> int:
        ends_s = time.monotonic() + LONG_S
        while self.process.poll() is None and time.monotonic() < ends_s:
            self.hear(0.1)
        self.hear(0.1)
        return self.process.wait(1)

    @property
    def as_it_was(self) -> bool:
        """Its modes, and its own buffer shown."""
        own = self.said.rfind(OWN_BUFFER) > self.said.rfind(OTHER_BUFFER)
        return (
            termios.tcgetattr(self.theirs) == self.before
            and own
            and b"\x1b[?25h" in self.said[self.said.rfind(OWN_BUFFER) - 20 :]
        )


@contextmanager
def terminal(argv: list[str]) -> Iterator[Terminal]:
    made = Terminal(argv)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.process.wait()
        os.close(made.ours)
        os.close(made.theirs)


def test_q_ends_the_screen_and_leaves_the_terminal_as_it_was(argv: list[str]) -> None:
    with terminal(argv) as screen:
        screen.until(b"no host that answers has its guest")
        assert OTHER_BUFFER in screen.said
        os.write(screen.ours, b"xq")
        assert screen.status() == 0
        assert screen.as_it_was


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_the_terminal_is_as_it_was(argv: list[str], number: signal.Signals) -> None:
    with terminal(argv) as screen:
        screen.until(b"no host that answers has its guest")
        os.kill(screen.process.pid, number)
        assert screen.status() == 128 + number
        assert screen.as_it_was
        assert b"nothing was changed" in screen.said


def test_without_a_terminal_there_is_a_table_each_tick(argv: list[str]) -> None:
    done = subprocess.run(
        [*argv, "--ticks", "2", "--interval", "1"], capture_output=True, text=True, check=False, timeout=LONG_S
    )
    assert done.returncode == 0, done.stderr
    heads = [line for line in done.stdout.splitlines() if line.startswith("demo  2 node(s)")]
    assert len(heads) == 2
    assert "not seen: w1: w1: no host that answers has its guest" in done.stdout
    assert "\x1b" not in done.stdout


def test_as_json_there_is_a_line_each_tick(argv: list[str]) -> None:
    done = subprocess.run(
        [*argv, "--json", "--for", "2s", "--interval", "1"], capture_output=True, text=True, check=False, timeout=LONG_S
    )
    assert done.returncode == 0, done.stderr
    first, *_ = (json.loads(line) for line in done.stdout.splitlines())
    assert [one["node"] for one in first["nodes"]] == ["cp1", "w1"]
    assert first["cost"] is None
