"""The door to other programs, wherever they run, and to those here (`Local`). The only module that imports subprocess.

Commands are argv lists; no shell string is ever built from inventory values. Nothing that runs here outlives us but
`background`: whoever is asked to end ends its commands. `read` is for commands that change nothing,
`run` for those that may: the door counts both, so that a second run can prove that it changed nothing.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import IO, cast

from provision.base import interruption
from provision.base.bounded import bounded
from provision.base.calls import Calls
from provision.base.errors import CommandFailed, ShellError, cause, in_words

LAST_LINES = 12

FOLLOW_S = 7 * 86400.0
"""Nobody looks at a log for longer."""

KEPT_BYTES = 1 << 20
"""Of what somebody gets line by line the end is kept, for what it says of a failure."""

OnLine = Callable[[str], None]

# The script writes what it reads to a new file beside the target and renames it: a reader sees the old or the new
# content, never half of it. Path and mode are arguments, not part of the script.
_PUT = 'umask 077; mkdir -p -- "$(dirname -- "$1")" && cat > "$1.meshctl" && chmod -- "$2" "$1.meshctl" && mv -f -- "$1.meshctl" "$1"'


@dataclass(frozen=True)
class Completed:
    """A command that ended: its status and what it said, decoded as UTF-8 with replacement."""

    where: str
    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines of stderr, or of stdout when stderr is empty."""
        return tuple((self.stderr.strip() or self.stdout.strip()).splitlines()[-LAST_LINES:])

    def checked(self) -> Completed:
        """Itself when the status is 0, else raises CommandFailed."""
        if self.status != 0:
            raise CommandFailed(self.where, self.argv, self.status, self.last_lines)
        return self


class Shell(ABC):
    """A place where commands run as root (or as the user, for Local)."""

    calls: Calls

    @property
    @abstractmethod
    def where(self) -> str:
        """The name of the place: this machine, or a guest."""

    def read(self, argv: Sequence[str], *, stdin: bytes = b"", within_s: float = 60.0, check: bool = True) -> Completed:
        """Runs a command that changes nothing. Raises as `run` does."""
        self.calls.count(changes=False)
        work = partial(self._end, argv, stdin, within_s, None) if stdin else partial(self._look, argv, within_s)
        completed = self._waited(work, argv, changes=False)
        return completed.checked() if check else completed

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        within_s: float = 60.0,
        check: bool = True,
        on_line: OnLine | None = None,
    ) -> Completed:
        """Runs a command that may change something. `on_line` gets each line of stdout and stderr as it comes.

        Raises CommandFailed for a status other than 0 (unless `check` is False) or when `within_s` has passed.
        """
        self.calls.count(changes=True)
        completed = self._waited(partial(self._end, argv, stdin, within_s, on_line), argv, changes=True)
        return completed.checked() if check else completed

    def follow(self, argv: Sequence[str], on_line: OnLine) -> None:
        """Runs a command that changes nothing and need not end by itself; `on_line` gets each line as it comes.

        Raises CommandFailed for a status other than 0, and Interrupted when the process is asked to end.
        """
        self.calls.count(changes=False)
        self._waited(partial(self._end, argv, b"", FOLLOW_S, on_line), argv, changes=False).checked()

    def put(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Writes a file as a whole (by rename), with its folder."""
        self.run(["sh", "-c", _PUT, "put", path, f"{mode:o}"], stdin=content)

    @abstractmethod
    def _end(self, argv: Sequence[str], stdin: bytes, within_s: float, on_line: OnLine | None) -> Completed:
        """Runs a command to its end, whatever its status. Raises CommandFailed when it overstays."""

    def _look(self, argv: Sequence[str], within_s: float) -> Completed:
        """Runs a command that changes nothing and gets no input; as `_end`."""
        return self._end(argv, b"", within_s, None)

    def _waited(self, work: Callable[[], Completed], argv: Sequence[str], *, changes: bool) -> Completed:
        """What `work` gives, unless the process is asked to end: a command elsewhere is then left to itself."""
        return bounded(work, f"{self.where}: {in_words(argv)}", changes=changes)


@dataclass
class Local(Shell):
    """Commands on this machine. `env` is added to this process's environment, `cwd` is the folder they run in."""

    where: str = "this machine"
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    calls: Calls = field(default_factory=Calls)

    def background(self, argv: Sequence[str], *, log: str) -> int:
        """Starts a command that outlives this process (own session, output appended to `log`); gives its pid."""
        self.calls.count(changes=True)
        with open(log, "ab") as output:
            process = _start(argv, stdin=subprocess.DEVNULL, stdout=output, env=self._environment(), cwd=self.cwd)
        return process.pid

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.env}

    def _end(self, argv: Sequence[str], stdin: bytes, within_s: float, on_line: OnLine | None) -> Completed:
        return self._started(argv, argv, stdin, within_s, on_line)

    def _waited(self, work: Callable[[], Completed], argv: Sequence[str], *, changes: bool) -> Completed:
        del argv, changes
        return work()  # it ends its command itself

    def _started(
        self,
        argv: Sequence[str],
        program: Sequence[str],
        stdin: bytes,
        within_s: float,
        on_line: OnLine | None,
        *,
        held: bool = False,
    ) -> Completed:
        """Runs `program`, which carries out `argv`. `held`: its standard input has no end before it has, so that it can
        see whether we live.
        """
        pipe = subprocess.PIPE
        process = _start(program, stdin=pipe, stdout=pipe, stderr=pipe, env=self._environment(), cwd=self.cwd)
        outputs = cast("tuple[IO[bytes], IO[bytes]]", (process.stdout, process.stderr))
        readers = [Reader(partial(os.read, output.fileno()), on_line) for output in outputs]
        feeder = threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True)
        for thread in readers if held else (*readers, feeder):
            thread.start()
        status = _status(process, self.where, argv, within_s)
        if held and process.stdin:
            process.stdin.close()
        out, err = (reader.text() for reader in readers)
        if status is None:
            raise overdue(self.where, argv, within_s, out, err)
        return Completed(self.where, tuple(argv), status, out, err)


def _start(
    argv: Sequence[str],
    *,
    stdin: int,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes] = subprocess.STDOUT,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> subprocess.Popen[bytes]:
    """A program in a session of its own, so that its whole process group can be ended, and Ctrl-C is ours alone."""
    try:
        return subprocess.Popen(
            list(argv), env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
        )
    except FileNotFoundError as error:
        raise ShellError(
            f"{argv[0]}: no such program on this machine", hint="`make setup` installs what meshctl needs from Debian"
        ) from error
    except OSError as error:
        raise ShellError(f"{argv[0]}: cannot be started: {cause(error)}") from error


class Carrier:
    """A program that carries a connection: it reads from one end of a socket and writes to it."""

    def __init__(self, argv: Sequence[str], connection: socket.socket) -> None:
        """Starts it. Raises ShellError when there is none such."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        end = connection.fileno()
        self._process = _start(argv, stdin=end, stdout=end, stderr=self._errors)

    def complaint(self) -> str:
        """The last line of its standard error by now: why it carries nothing."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""

    def end(self) -> None:
        """Ends it, also where it hangs."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()
        self._errors.close()


_running: set[subprocess.Popen[bytes]] = set()


def _status(process: subprocess.Popen[bytes], where: str, argv: Sequence[str], within_s: float) -> int | None:
    """With which status a command ends; None for one that had to be ended because it overstayed."""
    _running.add(process)
    try:
        return bounded(process.wait, f"{where}: {in_words(argv)}", within_s=within_s, changes=True)
    except interruption.Overdue:
        _end_group(process, within_s=5.0)
        return None
    except BaseException:
        _end_group(process, within_s=0.2)
        raise
    finally:
        _running.discard(process)


def _end_group(process: subprocess.Popen[bytes], *, within_s: float) -> None:
    """Ends a command and its children: they are the process group that `start_new_session` made.

    `within_s` is what they have to tidy up. One that not even SIGKILL ends waits for a disk, and is not waited for.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(within_s)
            return


def end_all() -> None:
    """Asks all commands that run on this machine to end, with their children, and waits for none: we end too."""
    for process in list(_running):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


def _feed(pipe: IO[bytes], content: bytes) -> None:
    # A command may end without reading all its input.
    with suppress(BrokenPipeError):
        pipe.write(content)
    with suppress(BrokenPipeError):
        pipe.close()


class Reader(threading.Thread):
    """Collects one output stream and hands its lines on as they come."""

    def __init__(self, read: Callable[[int], bytes], on_line: OnLine | None) -> None:
        super().__init__(daemon=True)
        self._read, self._on_line, self._content, self._line = read, on_line, bytearray(), b""

    def run(self) -> None:
        """Reads to the stream's end."""
        while chunk := self._read(65536):
            self._content += chunk
            if self._on_line:
                del self._content[:-KEPT_BYTES]
                self._hand_on(chunk, self._on_line)
        if self._line and self._on_line:
            self._on_line(self._line.decode(errors="replace"))

    def _hand_on(self, chunk: bytes, on_line: OnLine) -> None:
        *lines, self._line = (self._line + chunk).split(b"\n")
        for line in lines:
            on_line(line.decode(errors="replace").rstrip("\r"))

    def text(self) -> str:
        """All that has come."""
        # A grandchild may hold the pipe open after the command ended: what has come by then is the output.
        self.join(2.0)
        return bytes(self._content).decode(errors="replace")


def overdue(where: str, argv: Sequence[str], within_s: float, out: str, err: str) -> CommandFailed:
    """The failure of a command that was not done in time; `out` and `err` are what it had said by then."""
    lines = tuple((err.strip() or out.strip()).splitlines()[-LAST_LINES:])
    return CommandFailed(where, argv, -15, lines, hint=f"it had {within_s:.0f} s")


def replace_process(argv: Sequence[str]) -> None:
    """Becomes another program (an interactive ssh): does not return. Raises ShellError when there is none such."""
    try:
        os.execvp(argv[0], list(argv))  # noqa: S606 - that is the point
    except OSError as error:
        raise ShellError(f"{argv[0]}: cannot be started: {cause(error)}") from error
