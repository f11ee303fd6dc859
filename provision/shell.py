"""The door to other programs: here (`Local`) and in guests (`Ssh`). The only module that imports subprocess and paramiko.

Commands are argv lists. Over SSH they are quoted word by word; no shell string is ever built from inventory
values. `read` is for commands that change nothing, `run` for those that may: the door counts both, so that a
second run can prove that it changed nothing.
"""

from __future__ import annotations

import base64
import logging
import os
import shlex
import socket
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from provision.calls import Calls
from provision.errors import CommandFailed, ShellError, Unreachable
from provision.resident import PROGRAM, Overdue, Reply, Resident

if TYPE_CHECKING:
    import paramiko

LAST_LINES = 12

_PART, _END = "\x1e", "\x1d"
"""Behind a command's output and behind its status, where several run in one session."""

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
        completed = self._end(argv, stdin, within_s, None) if stdin else self._look(argv, within_s)
        return completed.checked() if check else completed

    def read_each(self, commands: Sequence[Sequence[str]], *, within_s: float = 60.0) -> tuple[Completed, ...]:
        """Runs commands that change nothing one after the other, whatever their statuses; each fares as by `read`.

        What they say on stderr is each one's. Their output must not hold ASCII's separators. Raises as `run` does.
        """
        script = "; ".join(f"{shlex.join(argv)}; printf '{_PART}%d{_END}' $?" for argv in commands)
        whole = self.read(["sh", "-c", script], within_s=within_s)
        parts = [text.rpartition(_PART) for text in whole.stdout.split(_END)[:-1]]
        if len(parts) != len(commands):
            raise ShellError(f"{self.where}: {len(parts)} answers to {len(commands)} commands: {whole.stdout[-200:]!r}")
        return tuple(
            replace(whole, argv=tuple(argv), status=int(status), stdout=stdout)
            for argv, (stdout, _, status) in zip(commands, parts, strict=True)
        )

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
        completed = self._end(argv, stdin, within_s, on_line)
        return completed.checked() if check else completed

    def put(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Writes a file as a whole (by rename), with its folder."""
        self.run(["sh", "-c", _PUT, "put", path, f"{mode:o}"], stdin=content)

    @abstractmethod
    def _end(self, argv: Sequence[str], stdin: bytes, within_s: float, on_line: OnLine | None) -> Completed:
        """Runs a command to its end, whatever its status. Raises CommandFailed when it overstays."""

    def _look(self, argv: Sequence[str], within_s: float) -> Completed:
        """Runs a command that changes nothing and gets no input; as `_end`."""
        return self._end(argv, b"", within_s, None)


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
        pipe = subprocess.PIPE
        process = _start(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=self._environment(), cwd=self.cwd)
        outputs = cast("tuple[IO[bytes], IO[bytes]]", (process.stdout, process.stderr))
        readers = [_Reader(partial(os.read, output.fileno()), on_line) for output in outputs]
        feeder = threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True)
        for thread in (*readers, feeder):
            thread.start()
        try:
            status = process.wait(within_s)
        except subprocess.TimeoutExpired:
            status = None
        except BaseException:
            _end_group(process)
            raise
        if status is None:
            _end_group(process)
        out, err = (reader.text() for reader in readers)
        if status is None:
            raise _overdue(self.where, argv, within_s, out, err)
        return Completed(self.where, tuple(argv), status, out, err)


def _start(
    argv: Sequence[str],
    *,
    stdin: int,
    stdout: int | IO[bytes],
    stderr: int = subprocess.STDOUT,
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
        raise ShellError(f"{argv[0]}: cannot be started: {error.strerror}") from error


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends a command and its children: they are the process group that `start_new_session` made."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 15)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def _feed(pipe: IO[bytes], content: bytes) -> None:
    # A command may end without reading all its input.
    with suppress(BrokenPipeError):
        pipe.write(content)
    with suppress(BrokenPipeError):
        pipe.close()


class _Reader(threading.Thread):
    """Collects one output stream and hands its lines on as they come."""

    def __init__(self, read: Callable[[int], bytes], on_line: OnLine | None) -> None:
        super().__init__(daemon=True)
        self._read, self._on_line, self._content, self._line = read, on_line, bytearray(), b""

    def run(self) -> None:
        while chunk := self._read(65536):
            self._content += chunk
            if self._on_line:
                self._hand_on(chunk, self._on_line)
        if self._line and self._on_line:
            self._on_line(self._line.decode(errors="replace"))

    def _hand_on(self, chunk: bytes, on_line: OnLine) -> None:
        *lines, self._line = (self._line + chunk).split(b"\n")
        for line in lines:
            on_line(line.decode(errors="replace").rstrip("\r"))

    def text(self) -> str:
        # A grandchild may hold the pipe open after the command ended: what has come by then is the output.
        self.join(2.0)
        return bytes(self._content).decode(errors="replace")


def _overdue(where: str, argv: Sequence[str], within_s: float, out: str, err: str) -> CommandFailed:
    lines = tuple((err.strip() or out.strip()).splitlines()[-LAST_LINES:])
    return CommandFailed(where, argv, -15, lines, hint=f"it had {within_s:.0f} s")


@dataclass(frozen=True)
class Target:
    """How to reach a guest's sshd.

    `host_key` is the guest's public key as OpenSSH writes it (``ssh-ed25519 AAAA…``): the only one accepted.
    `proxy` is the argv of a program whose stdin and stdout become the connection (jump host, lab namespace).
    """

    name: str
    address: str
    host_key: str
    user: str
    key_file: str | None = None
    port: int = 22
    proxy: tuple[str, ...] = ()


@dataclass
class Ssh(Shell):
    """Commands as root in a guest, over one connection that is opened at the first use and kept.

    Reading goes through shells that are kept too (see `resident`), as many as read at once.
    """

    target: Target
    calls: Calls = field(default_factory=Calls)
    _transport: paramiko.Transport | None = field(default=None, repr=False)
    _idle: list[_Kept] = field(default_factory=list, repr=False)
    _keeping: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def where(self) -> str:
        """The guest's name."""
        return self.target.name

    def open(self, readers: int = 0) -> None:
        """Opens the connection, if there is none, and a number of shells to read by. Raises Unreachable."""
        with self._keeping, self._reaching():
            self._connected()
            self._idle += [self._keep() for _ in range(readers)]

    def close(self) -> None:
        """Ends the connection, if there is one."""
        with self._lock:
            self._idle.clear()
            if self._transport is not None:
                self._transport.close()
                self._transport = None

    def _end(self, argv: Sequence[str], stdin: bytes, within_s: float, on_line: OnLine | None) -> Completed:
        with self._reaching():
            return self._collect(self._begin(argv), argv, stdin, within_s, on_line)

    def _look(self, argv: Sequence[str], within_s: float) -> Completed:
        with self._reaching():
            while kept := self._free():
                reply = self._ask(kept, argv, within_s)
                if reply.status is not None:  # else it had just ended, and reading twice does no harm
                    return Completed(self.where, tuple(argv), reply.status, reply.stdout, reply.stderr)
            kept = self._keep()
            reply = self._ask(kept, argv, within_s)
            # The shell itself may not have begun: sudo has its reasons.
            status = _status(kept.channel) if reply.status is None else reply.status
            return Completed(self.where, tuple(argv), status, reply.stdout, reply.stderr)

    def _ask(self, kept: _Kept, argv: Sequence[str], within_s: float) -> Reply:
        try:
            reply = kept.resident.ask(argv, within_s)
        except Overdue as late:
            raise _overdue(self.where, argv, within_s, late.reply.stdout, late.reply.stderr) from None
        if reply.status is not None:
            self._idle.append(kept)
        return reply

    def _free(self) -> _Kept | None:
        """A shell that is not in use; waits for those that are being opened."""
        with self._keeping:
            while self._idle:
                if (kept := self._idle.pop()).resident.alive:
                    return kept
        return None

    def _keep(self) -> _Kept:
        channel = self._begin((PROGRAM,))
        return _Kept(channel, Resident(channel))

    def _begin(self, argv: Sequence[str]) -> paramiko.Channel:
        command = argv if self.target.user == "root" else ("sudo", "-n", "--", *argv)
        channel = self._connected().open_session(timeout=30)
        channel.exec_command(shlex.join(command))
        return channel

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        import paramiko

        try:
            yield
        except (paramiko.SSHException, OSError, EOFError) as error:
            self.close()
            raise Unreachable(
                f"{self.where}: the SSH connection to {self.target.address} was lost: {error or type(error).__name__}"
            ) from error

    def _collect(
        self, channel: paramiko.Channel, argv: Sequence[str], stdin: bytes, within_s: float, on_line: OnLine | None
    ) -> Completed:
        readers = [_Reader(channel.recv, on_line), _Reader(channel.recv_stderr, on_line)]
        feeder = threading.Thread(target=_feed_channel, args=(channel, stdin), daemon=True)
        for thread in (*readers, feeder):
            thread.start()
        if not channel.status_event.wait(within_s):
            channel.close()
            raise _overdue(self.where, argv, within_s, readers[0].text(), readers[1].text())
        status = _status(channel)
        out, err = (reader.text() for reader in readers)
        channel.close()
        return Completed(self.where, tuple(argv), status, out, err)

    def _connected(self) -> paramiko.Transport:
        with self._lock:
            if self._transport is None or not self._transport.is_active():
                self._transport = _connect(self.target)
            return self._transport


class _Kept(NamedTuple):
    """A shell that stays, and the channel that it is at the other end of."""

    channel: paramiko.Channel
    resident: Resident


def _status(channel: paramiko.Channel) -> int:
    """With which status a channel's program ended; to be asked for when it has."""
    status = channel.recv_exit_status()
    if status == -1:
        raise EOFError("the connection ended before the command did")
    return status


def _feed_channel(channel: paramiko.Channel, content: bytes) -> None:
    # OSError: the command ended without reading all its input, which is its right.
    with suppress(OSError):
        channel.sendall(content)
        channel.shutdown_write()


def _connect(target: Target, within_s: float = 20.0) -> paramiko.Transport:
    import paramiko

    # paramiko logs the traceback of every refused connection to stderr; we raise, with a reason, instead.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)
    try:
        transport = paramiko.Transport(_open_socket(target, within_s))
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise _no_session(target, error) from error
    try:
        _begin(target, transport, within_s)
    except BaseException:
        transport.close()
        raise
    return transport


def _no_session(target: Target, error: BaseException) -> Unreachable:
    return Unreachable(f"{target.name}: no SSH to {target.address}:{target.port}: {error or type(error).__name__}")


def _begin(target: Target, transport: paramiko.Transport, within_s: float) -> None:
    import paramiko

    try:
        transport.banner_timeout = within_s
        transport.auth_timeout = within_s
        algorithm = target.host_key.split()[0]
        transport.get_security_options().key_types = [algorithm]
        transport.start_client(timeout=within_s)
        _check_host_key(target, transport.get_remote_server_key())
        _authenticate(target, transport)
        transport.set_keepalive(15)
    except paramiko.AuthenticationException as error:
        raise Unreachable(
            f"{target.name}: {target.user}@{target.address} refused the key {target.key_file or 'of the SSH agent'}",
            hint="ssh.key_file must be the private half of the key that the guest was made with",
        ) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise _no_session(target, error) from error


def _check_host_key(target: Target, found: paramiko.PKey) -> None:
    known = base64.b64decode(target.host_key.split()[1])
    if found.asbytes() != known:
        raise HostKeyMismatch(
            f"{target.name}: the host key of {target.address} is not the one this guest was made with "
            f"(found {found.get_name()} {found.fingerprint})",
            hint="another machine may answer at this address; compare with `ssh-keyscan`, and rebuild the guest if it is ours",
        )


class HostKeyMismatch(Unreachable):
    """The host key is not the known one: never waited for, never accepted."""


def _authenticate(target: Target, transport: paramiko.Transport) -> None:
    import paramiko

    if target.key_file:
        transport.auth_publickey(target.user, _private_key(target.key_file))
        return
    for key in paramiko.Agent().get_keys():
        with suppress(paramiko.AuthenticationException):
            transport.auth_publickey(target.user, key)
            return
    raise paramiko.AuthenticationException("no key of the agent was accepted")


def _private_key(path: str) -> paramiko.PKey:
    import paramiko

    expanded = os.path.expanduser(path)
    try:
        return paramiko.PKey.from_path(expanded)
    except paramiko.PasswordRequiredException as error:
        raise Unreachable(
            f"{path}: the key has a passphrase", hint="load it into ssh-agent and leave ssh.key_file out"
        ) from error
    except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        raise Unreachable(
            f"{path}: not a private key that can be used: {error}", hint="ssh-keygen -t ed25519 makes one"
        ) from error


def _open_socket(target: Target, within_s: float) -> socket.socket:
    if not target.proxy:
        return socket.create_connection((target.address, target.port), timeout=within_s)
    ours, theirs = socket.socketpair()
    with theirs:
        _start(target.proxy, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL)
    return ours


def replace_process(argv: Sequence[str]) -> None:
    """Becomes another program (an interactive ssh): does not return. Raises ShellError when there is none such."""
    try:
        os.execvp(argv[0], list(argv))  # noqa: S606 - that is the point
    except OSError as error:
        raise ShellError(f"{argv[0]}: cannot be started: {error.strerror}") from error
