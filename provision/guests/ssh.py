"""The door to guests: `Ssh`. The only module that imports paramiko.

A guest's host key is known before the first contact. Commands are argv lists, quoted word by word.
"""

from __future__ import annotations

import base64
import logging
import os
import shlex
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from provision.base.calls import Calls
from provision.base.errors import Unreachable
from provision.base.shell import (
    Completed,
    OnLine,
    Reader,
    Shell,
    attach,
    overdue,
)
from provision.guests.resident import PROGRAM, Overdue, Reply, Resident

if TYPE_CHECKING:
    import paramiko


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
            raise overdue(self.where, argv, within_s, late.reply.stdout, late.reply.stderr) from None
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
        readers = [Reader(channel.recv, on_line), Reader(channel.recv_stderr, on_line)]
        feeder = threading.Thread(target=_feed_channel, args=(channel, stdin), daemon=True)
        for thread in (*readers, feeder):
            thread.start()
        if not channel.status_event.wait(within_s):
            channel.close()
            raise overdue(self.where, argv, within_s, readers[0].text(), readers[1].text())
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
        attach(target.proxy, theirs)
    return ours
