"""A shell that stays and is asked one command after the other.

On a busy emulated guest a session of sshd, the user's own shell and sudo cost a second or three before a command begins. Here they
are paid once: commands go to the standard input of one `sh`, each in a process of its own with nothing to read.
"""

from __future__ import annotations

import re
import secrets
import shlex
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

PROGRAM = "sh"
"""What has to run at the other end."""


class Wire(Protocol):
    """The three streams of a program; what it receives is empty when there is no more. paramiko's channels are such."""

    def sendall(self, data: bytes, /) -> None:
        """Sends to its standard input. Raises OSError when it is closed."""

    def recv(self, nbytes: int, /) -> bytes:
        """From its standard output."""

    def recv_stderr(self, nbytes: int, /) -> bytes:
        """From its standard error."""

    def close(self) -> None:
        """Ends it."""


class Reply(NamedTuple):
    """What a command said, and its status; None when the shell itself came to its end instead."""

    status: int | None
    stdout: str
    stderr: str


class Overdue(Exception):
    """The command was not done in time; `reply` is what it had said by then."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


class Resident:
    """Runs one command at a time. A command's end is told by a word that nobody can know who prints."""

    def __init__(self, wire: Wire) -> None:
        self._wire, self._word = wire, secrets.token_hex(16)
        self._stdout_end = re.compile(rb"\n%s ([0-9]+)\n\Z" % self._word.encode())
        self._stderr_end = f"\n{self._word}\n".encode()
        self._stdout, self._stderr, self._streams = bytearray(), bytearray(), 2
        self._said = threading.Condition()
        for receive, said in ((wire.recv, self._stdout), (wire.recv_stderr, self._stderr)):
            threading.Thread(target=self._listen, args=(receive, said), daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether both its streams are open."""
        return self._streams == 2

    def close(self) -> None:
        """Ends it, with the command that it may be at."""
        self._wire.close()

    def ask(self, argv: Sequence[str], within_s: float) -> Reply:
        """What a command says, which gets no input. Raises Overdue, and is of no use afterwards."""
        ends = f"printf '\\n%s %d\\n' {self._word} $?; printf '\\n%s\\n' {self._word} >&2"
        with suppress(OSError):  # it has come to its end: what it said of that is the reply
            self._wire.sendall(f"( {shlex.join(argv)} ) </dev/null; {ends}\n".encode())
        with self._said:
            reply = self._said.wait_for(self._reply, within_s) or self._unended()
            overdue = reply.status is None and self._streams > 0
            self._stdout.clear()
            self._stderr.clear()
        if overdue:
            self.close()
            raise Overdue(reply)
        return reply

    def _reply(self) -> Reply | None:
        """The reply to a command that has ended, or that ended the shell; None while it may say more."""
        end = self._stdout_end.search(self._stdout[-80:])
        if end and self._stderr.endswith(self._stderr_end):
            out, err = self._stdout[: -len(end[0])], self._stderr.removesuffix(self._stderr_end)
            return Reply(int(end[1]), out.decode(errors="replace"), err.decode(errors="replace"))
        return None if self._streams else self._unended()

    def _unended(self) -> Reply:
        return Reply(None, self._stdout.decode(errors="replace"), self._stderr.decode(errors="replace"))

    def _listen(self, receive: Callable[[int], bytes], said: bytearray) -> None:
        while chunk := receive(65536):
            with self._said:
                said += chunk
                self._said.notify_all()
        with self._said:
            self._streams -= 1
            self._said.notify_all()
