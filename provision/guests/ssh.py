"""The door to guests: `Ssh`. The only module that imports paramiko.

A guest's host key is known before the first contact, and one key is offered. Commands are argv lists, quoted word by word.
Nothing waits for ever: `Patience` is what a guest's sshd has for each step.
"""

from __future__ import annotations

import base64
import logging
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from provision.base.calls import Calls
from provision.base.errors import Unreachable
from provision.base.parallel import begin
from provision.base.shell import (
    Carrier,
    Completed,
    OnLine,
    Reader,
    Shell,
    overdue,
)
from provision.guests.keys import Identity
from provision.guests.resident import PROGRAM, Overdue, Reply, Resident

if TYPE_CHECKING:
    import paramiko

REFUSED = "a guest that was made with another key or user: `meshctl provision INVENTORY --old-key FILE [--old-user NAME]` changes its login"
BOTH_REFUSED = (
    "--old-key and --old-user must be what lets in now; virsh console, or a rebuild, if nobody has that any more"
)

AGENT_S = 10.0
"""An agent answers at once which keys it holds, unless it hangs."""


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
    port: int = 22
    proxy: tuple[str, ...] = ()


@dataclass(frozen=True)
class Former:
    """The login that a guest may still have: tried where it refuses the wanted one. `identify` gives its key."""

    user: str
    identify: Callable[[], Identity]


@dataclass(frozen=True)
class Patience:
    """How long a guest has, in seconds. On busy emulated CPUs a handshake takes five and a command two to begin."""

    open_s: float = 40.0
    """For the connection, sshd's banner, the exchange of keys and the login, together."""
    begin_s: float = 30.0
    """For a channel, and again until a command on it has begun."""
    ask_s: float = 15.0
    """After each such time it is asked whether it is there."""
    silent_s: float = 45.0
    """When it has not answered that for so long, the connection is given up (OpenSSH: ServerAliveCountMax 3 of 15 s)."""


@dataclass
class Ssh(Shell):
    """Commands as root in a guest, over one connection that is opened at the first use and kept.

    Reading goes through shells that are kept too (see `resident`), as many as read at once. `identify` gives the key;
    `gate` lets only so many connections be opened at once; `by_former` says whether it was the former login that was let in.
    """

    target: Target
    identify: Callable[[], Identity]
    calls: Calls = field(default_factory=Calls)
    gate: AbstractContextManager[object] = field(default_factory=nullcontext, repr=False)
    patience: Patience = field(default_factory=Patience)
    former: Former | None = None
    by_former: bool = field(default=False, init=False)
    _line: _Line | None = field(default=None, repr=False)
    _idle: list[_Kept] = field(default_factory=list, repr=False)
    _keeping: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _opening: threading.Lock = field(default_factory=threading.Lock, repr=False)

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
        """Ends the connection, if there is one; waits for nobody, so that one that hangs ends too."""
        line, self._line = self._line, None
        self._idle.clear()
        if line is not None:
            line.end()

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
            raise overdue(self.where, argv, within_s, late.reply.stdout, late.reply.stderr) from None
        if reply.status is not None:
            self._idle.append(kept)
        elif self._line is not None and self._line.silent:
            raise Silent(self._line.why)
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
        within_s = self.patience.begin_s
        channel = self._connected().open_session(timeout=within_s)
        user = self.former.user if self.former is not None and self.by_former else self.target.user
        command = argv if user == "root" else ("sudo", "-n", "--", *argv)
        # paramiko waits for ever for the answer: in a thread of its own it may.
        begun = begin(partial(channel.exec_command, shlex.join(command)))
        wait([begun], within_s)
        if not begun.done():
            raise Silent(f"its sshd has begun no command for {within_s:g} s")
        begun.result()
        return channel

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        import paramiko

        try:
            yield
        except (paramiko.SSHException, OSError, EOFError) as error:
            silent = isinstance(error, Silent) or (self._line is not None and self._line.silent)
            why = self._line.why if self._line is not None and self._line.silent else str(error)
            self.close()
            raise Unreachable(
                f"{self.where}: the SSH connection to {self.target.address} was lost: {why or type(error).__name__}",
                hint="its sshd or the whole guest hangs: virsh domstate, virsh console" if silent else "",
            ) from error

    def _collect(
        self, channel: paramiko.Channel, argv: Sequence[str], stdin: bytes, within_s: float, on_line: OnLine | None
    ) -> Completed:
        readers = [Reader(channel.recv, on_line), Reader(channel.recv_stderr, on_line)]
        feeder = threading.Thread(target=_feed_channel, args=(channel, stdin), daemon=True)
        for thread in (*readers, feeder):
            thread.start()
        if not channel.status_event.wait(within_s):
            begin(channel.close)  # whoever sends input to a guest that hangs is in its way
            raise overdue(self.where, argv, within_s, readers[0].text(), readers[1].text())
        status = _status(channel)
        out, err = (reader.text() for reader in readers)
        channel.close()
        return Completed(self.where, tuple(argv), status, out, err)

    def _connected(self) -> paramiko.Transport:
        with self._opening:
            if self._line is None or not self._line.transport.is_active():
                identity = self.identify()
                with self.gate:
                    self._let_in(identity)
            if self._line is None:
                raise EOFError("it was closed meanwhile")
            return self._line.transport

    def _let_in(self, identity: Identity) -> None:
        """Opens the connection by the wanted login, or by the former one where that is refused."""
        try:
            self._connect(self.target, identity)
            self.by_former = False
        except KeyRefused as refused:
            if self.former is None:
                raise
            try:
                self._connect(replace(self.target, user=self.former.user), self.former.identify())
            except KeyRefused as error:
                raise KeyRefused(f"{refused.message}; {error.message}", hint=BOTH_REFUSED) from error
            self.by_former = True

    def _connect(self, target: Target, identity: Identity) -> None:
        line = self._line = _dial(target, self.patience.open_s)
        try:
            _log_in(target, identity, line, self.patience.open_s)
        except BaseException:
            self.close()
            raise
        begin(partial(line.watch, self.patience))


class _Kept(NamedTuple):
    """A shell that stays, and the channel that it is at the other end of."""

    channel: paramiko.Channel
    resident: Resident


class Silent(OSError):
    """Nothing is said though it should be: a hung sshd, or a hung guest."""


@dataclass
class _Line:
    """A connection, and the program that carries it, if any. `why` says what ended it when it was given up."""

    transport: paramiko.Transport
    carrier: Carrier | None
    why: str = ""
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def silent(self) -> bool:
        """Whether it was given up because nobody answered."""
        return bool(self.why)

    def watch(self, patience: Patience) -> None:
        """Asks for a sign of life until the connection ends; gives it up when there is none. Whoever waits is told then."""
        while not self._ended.wait(patience.ask_s) and self.transport.is_active():
            # Any answer will do, and a refusal is what OpenSSH gives: see its ServerAliveInterval.
            answered = begin(partial(self.transport.global_request, "keepalive@openssh.com", wait=True))
            wait([answered], patience.silent_s)
            if not answered.done():
                self.why = f"no sign of life for {patience.silent_s:g} s"
                self.end()

    def end(self) -> None:
        """Ends it. paramiko closes the socket of a connection that has begun only, so that is done here."""
        self._ended.set()
        self.transport.close()
        self.transport.sock.close()
        if self.carrier is not None:
            self.carrier.end()


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


def _dial(target: Target, within_s: float) -> _Line:
    import paramiko

    # paramiko logs the traceback of every refused connection to stderr; we raise, with a reason, instead.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)
    try:
        if not target.proxy:
            end = socket.create_connection((target.address, target.port), timeout=within_s / 2)
            return _Line(paramiko.Transport(end), None)
        ours, theirs = socket.socketpair()
        with theirs:
            carrier = Carrier(target.proxy, theirs)
        return _Line(paramiko.Transport(ours), carrier)
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise _no_session(target, str(error) or type(error).__name__) from error


def _log_in(target: Target, identity: Identity, line: _Line, within_s: float) -> None:
    import paramiko

    until = time.monotonic() + within_s
    transport = line.transport
    try:
        _shake_hands(target, transport, within_s)
        _check_host_key(target, transport.get_remote_server_key())
        transport.auth_timeout = max(1.0, until - time.monotonic())
        _authenticate(target, identity, transport)
    except paramiko.AuthenticationException as error:
        # paramiko's word for a login that was cut off, too: only who still listens has refused.
        if not transport.is_active() or time.monotonic() >= until:
            raise _no_session(target, f"no login: {error}", line.carrier) from error
        raise KeyRefused(
            f"{target.name}: {target.user}@{target.address} refused the key {identity.title}",
            hint=REFUSED,
        ) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise _no_session(target, str(error) or type(error).__name__, line.carrier) from error


def _shake_hands(target: Target, transport: paramiko.Transport, within_s: float) -> None:
    transport.banner_timeout = transport.handshake_timeout = within_s
    transport.get_security_options().key_types = [target.host_key.split()[0]]
    transport.start_client(timeout=within_s)
    if not transport.initial_kex_done:  # start_client then has just given up waiting
        raise Silent(f"its sshd has not answered for {within_s:g} s: it or the whole guest hangs")


def _no_session(target: Target, why: str, carrier: Carrier | None = None) -> Unreachable:
    said = carrier.complaint() if carrier is not None else ""
    through = f" ({target.proxy[0]}: {said})" if said else ""
    return Unreachable(f"{target.name}: no SSH to {target.address}:{target.port}: {why}{through}")


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


class KeyRefused(Unreachable):
    """The right guest answers and does not let our key in: not waited for once its first boot is over."""


def _authenticate(target: Target, identity: Identity, transport: paramiko.Transport) -> None:
    if identity.file is not None:
        transport.auth_publickey(target.user, _private_key(identity))
        return
    with _agent() as keys:
        for key in keys:
            if key.asbytes() == identity.blob:
                transport.auth_publickey(target.user, key)
                return
    raise Unreachable(
        f"{target.name}: the SSH agent no longer holds {identity.title}", hint="ssh-add -L lists its keys"
    )


def in_agent(identity: Identity) -> bool:
    """Whether the SSH agent holds the key. Raises Unreachable when it does not answer."""
    with _agent() as keys:
        return any(key.asbytes() == identity.blob for key in keys)


@contextmanager
def _agent() -> Iterator[Sequence[paramiko.AgentKey]]:
    """The keys of the agent that SSH_AUTH_SOCK names, none where there is no agent; they sign while this lasts."""
    import paramiko

    asked = begin(paramiko.Agent)
    wait([asked], AGENT_S)
    if not asked.done():
        raise Unreachable(
            f"the SSH agent has not answered for {AGENT_S:g} s", hint="`ssh-add -l` hangs as well? start another one"
        )
    try:
        agent = asked.result()
    except (paramiko.SSHException, OSError) as error:
        raise Unreachable(f"the SSH agent cannot be asked: {error or type(error).__name__}") from error
    try:
        yield agent.get_keys()
    finally:
        agent.close()


def _private_key(identity: Identity) -> paramiko.PKey:
    with _UNLOCKING:
        return _unlocked_key(identity)


_UNLOCKING = threading.Lock()


@lru_cache
def _unlocked_key(identity: Identity) -> paramiko.PKey:
    """Kept: to open one takes a third of a second of CPU, as its passphrase is stretched."""
    import paramiko

    word = identity.passphrase.reveal().encode() if identity.passphrase else None
    try:
        # By position: the second parameter has had two names.
        return paramiko.PKey.from_path(identity.file or "", word)  # type: ignore[arg-type]
    except (TypeError, OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        raise Unreachable(
            f"{identity.file}: not a private key that can be used: {error}", hint="ssh-keygen -t ed25519 makes one"
        ) from error
