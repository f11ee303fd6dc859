"""The load for real, against real servers of this machine: when requests count from, and what is put back."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from provision.base.errors import ShellError
from provision.base.parallel import begin
from provision.base.shell import Local
from provision.bench import argv, read_measured
from provision.bench.histograms import at, merged
from provision.bench.on_guest import answer, settings
from provision.guests.ssh import Ssh
from tests.unit.guests.sshd import key_of, running

BODY = b'{"app":"echo","pod":"echo-a","node":"w2"}\n'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
Serve = Callable[[socket.socket, int], bool]
"""Answers a request, whose number it gets; False closes the connection."""


CONNECTIONS: list[int] = []
"""Of the server that runs, by their number."""


@contextmanager
def server(serve: Serve) -> Iterator[int]:
    """Its port. One thread for each connection."""
    counted, lock = [0], threading.Lock()
    CONNECTIONS.clear()
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)

    def work(end: socket.socket) -> None:
        with suppress(OSError), end:
            while end.recv(65536):
                with lock:
                    number = counted[0]
                    counted[0] += 1
                if not serve(end, number):
                    return

    def accept() -> None:
        with suppress(OSError):
            while True:
                end, _ = listener.accept()
                CONNECTIONS.append(len(CONNECTIONS))
                threading.Thread(target=work, args=(end,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def at_once(end: socket.socket, _number: int) -> bool:
    end.sendall(ANSWER)
    return True


def asked(port: int, *, per_s: float = 100, for_s: float = 2, churn: bool = False) -> dict[str, Any]:
    command = argv("127.0.0.1", port, host="echo", per_s=per_s, for_s=for_s, churn=churn, sysctl={})
    found: dict[str, Any] = json.loads(Local().read(command, within_s=60).stdout)
    return found


def test_requests_come_at_their_rate_and_are_all_counted() -> None:
    with server(at_once) as port:
        started = time.monotonic()
        found = asked(port)
        seconds = time.monotonic() - started
    assert found["asked"] == 200 == sum(count for _, count in found["us"])
    assert found["failed"] == {}
    assert found["nodes"] == {"w2": 200}
    assert found["whole"]
    assert seconds > 3  # a second of warming up


def test_a_stall_makes_all_requests_slow_that_were_due_in_it() -> None:
    """One stall of 300 ms in 2 s at 100/s: 30 requests of 200. Who waits for each answer before the next request sees one slow of 170."""
    gate, stalled = threading.Lock(), threading.Event()

    def stall_once(end: socket.socket, number: int) -> bool:
        with gate:
            if number >= 150 and not stalled.is_set():  # in the middle of what counts, after the warm-up's 100
                stalled.set()
                time.sleep(0.3)
        return at_once(end, number)

    with server(stall_once) as port:
        found = merged([read_measured(asked(port)).histogram])
    slow = sum(
        one.count_at_value_iterated_to for one in found.get_recorded_iterator() if one.value_iterated_to > 50_000
    )
    assert slow >= 20
    p99 = at(found, 0.99)
    assert p99 is not None
    assert p99 > 250_000


def test_each_request_has_a_connection_of_its_own_under_churn() -> None:
    with server(at_once) as port:
        kept, few = asked(port, per_s=50), len(CONNECTIONS)
        churned, each = asked(port, per_s=50, churn=True), len(CONNECTIONS) - few
    assert sum(count for _, count in kept["us"]) == sum(count for _, count in churned["us"]) == 100
    assert few < 120  # one, where this machine is idle
    assert each == 150


def test_what_is_refused_closed_or_not_200_has_failed_and_says_why() -> None:
    def third(end: socket.socket, number: int) -> bool:
        if number % 3 == 0:
            return False
        end.sendall(ANSWER if number % 3 == 1 else b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        return False

    with server(third) as port:
        found = asked(port, per_s=60, for_s=1, churn=True)
    assert found["failed"].keys() == {"the connection was closed", "status 502"}
    assert sum(found["failed"].values()) == 40
    assert sum(count for _, count in found["us"]) == 20
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert asked(port, for_s=1)["failed"] == {"Connection refused": 100}


def test_a_connection_that_the_server_closed_while_idle_is_no_failure() -> None:
    def twice(end: socket.socket, number: int) -> bool:
        end.sendall(ANSWER)
        return number % 2 == 0  # after the answer, without a word

    with server(twice) as port:
        found = asked(port)
    assert found["failed"] == {}
    assert sum(count for _, count in found["us"]) == 200


def test_chunked_answers_and_such_without_a_length_are_read() -> None:
    assert answer(CHUNKED, ended=False) is not None
    assert answer(CHUNKED[:-3], ended=False) is None
    endless = b"HTTP/1.0 200 OK\r\n\r\nhello"
    assert answer(endless, ended=False) is None
    assert answer(endless, ended=True) == (200, b"hello", False)
    assert answer(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", ended=False) == (
        200,
        b"",
        False,
    )


def test_what_waits_in_vain_counts_with_its_wait() -> None:
    def never(end: socket.socket, _number: int) -> bool:
        time.sleep(30)
        return False

    with server(never) as port:
        found = asked(port, per_s=20, for_s=1)
    assert found["failed"] == {"no answer within 10 s": 20}
    assert all(us > 9_000_000 for us, _ in found["us"])
    assert sum(count for _, count in found["us"]) == 20


def test_it_ends_early_when_nobody_hears_it_any_more() -> None:
    with server(at_once) as port:
        command = argv("127.0.0.1", port, host="echo", per_s=10, for_s=60, sysctl={})
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        time.sleep(2)
        process.stdout.close()
        assert process.wait(10) != 0  # it cannot tell its result


@pytest.mark.parametrize("way", ["read", "run"])
def test_it_ends_when_the_connection_of_whoever_began_it_is_gone(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after Ctrl-C, and after SIGKILL: a real sshd, whose other end goes away while a minute is measured."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    ended = threading.Event()

    def note(end: socket.socket, number: int) -> bool:
        at_once(end, number)
        if end.recv(1, socket.MSG_PEEK) == b"":
            ended.set()
        return True

    with running(tmp_path / "guest") as sshd, server(note) as port:
        shell = Ssh(sshd.target, lambda: key_of(sshd.user))
        command = argv("127.0.0.1", port, host="echo", per_s=5, for_s=60, sysctl={})
        asking = begin(lambda: getattr(shell, way)(command, within_s=100))
        deadline = time.monotonic() + 30
        while not CONNECTIONS and time.monotonic() < deadline:
            time.sleep(0.1)
        shell.close()
        assert ended.wait(15)
        assert isinstance(asking.exception(15), ShellError)


# ── kernel settings ──────────────────────────────────────────────────────────────────────────────────────────────


def values(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    (tmp_path / "net/ipv4").mkdir(parents=True)
    (tmp_path / "net/ipv4/tcp_tw_reuse").write_text("2\n")
    (tmp_path / "net/ipv4/ip_local_port_range").write_text("32768\t60999\n")
    return tmp_path


def test_settings_are_there_meanwhile_and_put_back(kernel: Path) -> None:
    before = values(kernel)
    with settings({"net.ipv4.tcp_tw_reuse": "1"}, str(kernel)):
        assert (kernel / "net/ipv4/tcp_tw_reuse").read_text() == "1"
    assert values(kernel) == before


def test_one_that_there_is_not_puts_the_others_back(kernel: Path) -> None:
    before = values(kernel)
    with pytest.raises(FileNotFoundError), settings({"net.ipv4.tcp_tw_reuse": "1", "net.ipv4.none": "1"}, str(kernel)):
        raise AssertionError
    assert values(kernel) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
@pytest.mark.parametrize("how", ["end", "SIGTERM", "unheard"])
def test_the_kernels_own_settings_are_put_back_in_every_way_out(how: str) -> None:
    """In a network of its own, whose settings nobody else has: a process holds it, the script and the looks go into it."""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up; echo up; exec sleep 60"], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"up\n"
    inside = ["nsenter", "-t", str(holder.pid), "-n", "--"]
    look = [*inside, "cat", "/proc/sys/net/ipv4/tcp_tw_reuse", "/proc/sys/net/ipv4/ip_local_port_range"]

    def now() -> list[str]:
        return subprocess.check_output(look, text=True).split()

    try:
        before = now()
        wanted = {"net.ipv4.tcp_tw_reuse": "1", "net.ipv4.ip_local_port_range": "1024 65000"}
        command = argv("127.0.0.1", 9, host="echo", per_s=10, for_s=2 if how == "end" else 60, sysctl=wanted)
        asking = subprocess.Popen([*inside, *command], stdout=subprocess.PIPE)
        assert asking.stdout is not None
        deadline = time.monotonic() + 20
        while now() != ["1", "1024", "65000"] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert now() == ["1", "1024", "65000"]
        if how == "SIGTERM":
            asking.send_signal(signal.SIGTERM)
        if how == "unheard":
            asking.stdout.close()
        asking.wait(30)
        assert now() == before
    finally:
        holder.kill()
        holder.wait()


def test_it_runs_on_the_python_of_the_image() -> None:
    """Standard library only: the script imports nothing of ours."""
    text = Path(sys.modules[answer.__module__].__file__ or "").read_text()
    assert "provision" not in text
