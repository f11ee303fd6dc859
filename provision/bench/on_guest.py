"""What runs in the guest that asks: sent as text, run by its python3 (3.9 or later), standard library only. `python3 -c TEXT SPEC`.

Open loop: request number n is due at n / rate, whatever became of those before it, and its latency counts from when it was due. So a
stall makes all requests slow that fell into it, not only the one that was on its way (coordinated omission). One thread and epoll: what
threads would take turns at would be measured as latency.

It ends by itself, and early when nobody reads its standard output any more: the connection of whoever began it is gone. Kernel settings
that it was given are put back in every way out that a process can see.
"""

from __future__ import annotations

import errno
import json
import math
import os
import select
import signal
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from os import strerror
from typing import Any, NoReturn

MOST = 512
"""Connections at once. More requests on their way than these wait for one, and their latency counts on."""

AT_ONCE = 64
"""Requests sent before answers are looked at again: after a stall many are due at once."""

CALM_S = 0.2
"""How often it is looked for requests that wait too long, at the least."""


@dataclass
class Request:
    """`due` is in monotonic seconds; those of the warm-up are not counted."""

    due: float
    counted: bool
    sent: bool = False


@dataclass(eq=False)
class Connection:
    """A connection to the target: on its way, at a request, or idle."""

    end: socket.socket
    request: Request | None
    connecting: bool = True
    answers: int = 0
    said: bytearray = field(default_factory=bytearray)


class Load:
    """One measurement. `spec`: address, port, host (for the header), per_s, for_s, warm_s, within_s, churn."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._to, self._churn, self._within_s = (spec["address"], spec["port"]), spec["churn"], spec["within_s"]
        self._per_s: float = spec["per_s"]
        self._warm = math.ceil(spec["warm_s"] * self._per_s)
        self._total = self._warm + math.ceil(spec["for_s"] * self._per_s)
        self._text = f"GET / HTTP/1.1\r\nHost: {spec['host']}\r\nUser-Agent: meshctl-bench\r\n\r\n".encode()
        self._poll = select.epoll()
        self._open: dict[int, Connection] = {}
        self._idle: list[Connection] = []
        self._waiting: deque[Request] = deque()
        self._us: Counter[int] = Counter()
        self._lag_us: Counter[int] = Counter()
        self._failed: Counter[str] = Counter()
        self._nodes: Counter[str] = Counter()
        self._asked = self._again = self._number = 0
        self._unheard = False

    def run(self) -> dict[str, Any]:
        """Asks to the end of the schedule, waits for what is on its way, and gives what was counted; times in µs."""
        with suppress(OSError):  # standard output is a file: nobody can go away
            self._poll.register(1, 0)
        begun = time.monotonic() + 0.05
        while not self._unheard:
            self._send_due(begun)
            if self._number >= self._total and not self._waiting and len(self._idle) == len(self._open):
                break
            # epoll waits in whole milliseconds, select(2) in microseconds: requests are to be sent when they are due.
            select.select([self._poll], [], [], self._pause_s(begun))
            for handle, event in self._poll.poll(0):
                self._heard(handle, event)
            self._give_up()
        return {
            "asked": self._asked,
            "us": sorted(self._us.items()),
            "failed": self._failed,
            "nodes": self._nodes,
            "again": self._again,
            "lag_p99_us": ranked(self._lag_us, 0.99),
            "lag_max_us": max(self._lag_us, default=0),
            "whole": not self._unheard,
        }

    def _send_due(self, begun: float) -> None:
        for _ in range(AT_ONCE):
            due = begun + self._number / self._per_s
            if self._number >= self._total or due > time.monotonic():
                break
            counted = self._number >= self._warm
            self._number += 1
            self._asked += counted
            self._waiting.append(Request(due, counted))
        while self._waiting and (self._idle or len(self._open) < MOST):
            self._ask(self._waiting.popleft())

    def _pause_s(self, begun: float) -> float:
        if self._number >= self._total:
            return CALM_S
        return max(0.0, min(CALM_S, begun + self._number / self._per_s - time.monotonic()))

    def _ask(self, request: Request) -> None:
        if request.counted and not request.sent:
            self._lag_us[round((time.monotonic() - request.due) * 1e6)] += 1
        request.sent = True
        if self._idle and not self._churn:
            connection = self._idle.pop()
            connection.request = request
            self._write(connection)
        else:
            self._connect(request)

    def _connect(self, request: Request) -> None:
        end = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fault = end.connect_ex(self._to)
        if fault not in (0, errno.EINPROGRESS):  # EADDRNOTAVAIL: there is no port left
            end.close()
            self._count_failure(request, strerror(fault))
            return
        self._open[end.fileno()] = Connection(end, request)
        self._poll.register(end, select.EPOLLOUT)

    def _write(self, connection: Connection) -> None:
        connection.said.clear()
        try:
            connection.end.send(self._text)  # a hundred bytes fit into any socket's buffer
        except OSError as error:
            self._lose(connection, strerror(error.errno or 0))

    def _heard(self, handle: int, event: int) -> None:
        if handle == 1:
            self._unheard = True
            return
        connection = self._open.get(handle)
        if connection is None:
            return
        if connection.connecting:
            self._connected(connection)
        elif event:
            self._read(connection)

    def _connected(self, connection: Connection) -> None:
        fault = connection.end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if fault:
            self._lose(connection, strerror(fault))
            return
        connection.connecting = False
        self._poll.modify(connection.end, select.EPOLLIN)
        self._write(connection)

    def _read(self, connection: Connection) -> None:
        try:
            part = connection.end.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(connection, strerror(error.errno or 0))
            return
        connection.said += part
        found = answer(bytes(connection.said), ended=not part)
        if found is not None and connection.request is not None:
            self._answered(connection, connection.request, *found)
        elif not part:
            self._lose(connection, "the connection was closed")

    def _answered(self, connection: Connection, request: Request, status: int, body: bytes, keep: bool) -> None:
        if status != 200:
            self._count_failure(request, f"status {status}")
        elif request.counted:
            self._us[max(1, round((time.monotonic() - request.due) * 1e6))] += 1
            self._nodes[node_of(body)] += 1
        connection.request = None
        connection.answers += 1
        if keep and not self._churn:
            self._idle.append(connection)
        else:
            self._close(connection)

    def _lose(self, connection: Connection, why: str) -> None:
        """A connection is gone. The other end may close one that was idle at the moment it is asked: that is asked anew, as clients do."""
        request, fresh = connection.request, connection.answers == 0 or connection.said
        self._close(connection)
        if request is None:
            return
        if fresh:
            self._count_failure(request, why)
        else:
            self._again += request.counted
            self._waiting.appendleft(request)

    def _close(self, connection: Connection) -> None:
        self._open.pop(connection.end.fileno(), None)
        if connection in self._idle:
            self._idle.remove(connection)
        connection.end.close()  # epoll forgets it

    def _give_up(self) -> None:
        """Requests without an answer in time have failed, and count with the time that they waited: they are the slowest of all."""
        late = time.monotonic() - self._within_s
        for connection in [one for one in self._open.values() if one.request and one.request.due < late]:
            request = connection.request
            self._close(connection)
            if request is not None:
                self._overdue(request)
        while self._waiting and self._waiting[0].due < late:
            self._overdue(self._waiting.popleft())

    def _overdue(self, request: Request) -> None:
        self._count_failure(request, f"no answer within {self._within_s:g} s")
        if request.counted:
            self._us[round((time.monotonic() - request.due) * 1e6)] += 1

    def _count_failure(self, request: Request, why: str) -> None:
        self._failed[why] += request.counted


def answer(said: bytes, *, ended: bool) -> tuple[int, bytes, bool] | None:
    """Status, body, and whether the connection stays; None while an answer is not whole. `ended`: nothing more will come."""
    head, gap, body = said.partition(b"\r\n\r\n")
    if not gap:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.strip().lower(): value.strip().lower() for name, _, value in (line.partition(":") for line in lines)}
    keep = first.startswith("HTTP/1.1") and fields.get("connection") != "close" and not ended
    status = int(first.split()[1])
    if "chunked" in fields.get("transfer-encoding", ""):
        whole = body.endswith(b"0\r\n\r\n")
    elif "content-length" in fields:
        whole = len(body) >= int(fields["content-length"])
    else:
        whole, keep = ended, False
    return (status, body, keep) if whole else None


def node_of(body: bytes) -> str:
    """The node that the echo app says it is on, "" where it says none."""
    _, found, rest = body.partition(b'"node":"')
    return rest.partition(b'"')[0].decode(errors="replace") if found else ""


def ranked(counts: Counter[int], share: float) -> int:
    """The value that this share of all is not above; 0 of none."""
    left = math.ceil(share * sum(counts.values()))
    for value in sorted(counts):
        left -= counts[value]
        if left <= 0:
            return value
    return 0


@contextmanager
def settings(wanted: Mapping[str, str], folder: str = "/proc/sys") -> Iterator[None]:
    """Kernel settings by name for a while. Raises OSError when the kernel does not take one, with all put back."""
    before: list[tuple[str, str]] = []
    try:
        for name, value in wanted.items():
            path = os.path.join(folder, name.replace(".", "/"))
            with open(path) as file:
                before.append((path, file.read()))
            _write(path, value)
        yield
    finally:
        for path, value in reversed(before):
            _write(path, value)


def _write(path: str, value: str) -> None:
    with open(path, "w") as file:
        file.write(value)


def _leave(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def main() -> None:
    """Measures as the first argument says; JSON on standard output."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _leave)
    with suppress(OSError):  # the kernel wakes sleepers up to 50 µs late otherwise (prctl(2), PR_SET_TIMERSLACK)
        _write("/proc/self/timerslack_ns", "1")
    spec = json.loads(sys.argv[1])
    with settings(spec["sysctl"]):
        found = Load(spec).run()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
