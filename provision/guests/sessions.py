"""SSH sessions to the guests: one per guest, kept, with the host key that the guest's stamp holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from provision.base.calls import Calls
from provision.base.errors import InventoryError, MeshctlError, Unreachable
from provision.base.parallel import AT_ONCE, begin
from provision.guests.keys import Ask, Identity, former_identity, identity, unlocked
from provision.guests.logins import Login
from provision.guests.ssh import Former, Ssh, Target, in_agent
from provision.inventory import Cluster, Jump, parse_jump
from provision.libvirt_xml import DomainSeen
from provision.specs import domain_name

THROUGH_JUMP = 8
"""Connections opened at once through a jump host. sshd drops some of those that have not logged in yet from the eleventh on
(MaxStartups 10:30:100), and libvirt and our shell may be on their way to the same machine."""


@dataclass(frozen=True)
class OldLogin:
    """What lets in where the inventory's login does not yet: the file of a private key, a user; None is the inventory's own."""

    key_file: str | None = None
    user: str | None = None


class _Key:
    """A key that is made ready once, at its first use."""

    def __init__(self, find: Callable[[], Identity], ask: Ask) -> None:
        self._find, self._ask, self._lock = find, ask, threading.Lock()
        self._made: Identity | MeshctlError | None = None

    def unlock(self) -> Identity:
        with self._lock:
            if self._made is None:
                self._made = self._unlocked()
            if isinstance(self._made, MeshctlError):
                raise type(self._made)(
                    self._made.message, hint=self._made.hint
                )  # anew: whoever catches it may add to it
            return self._made

    def _unlocked(self) -> Identity | MeshctlError:
        try:
            found = self._find()
            return unlocked(found, in_agent(found), self._ask)
        except MeshctlError as error:
            return error


class Sessions:
    """Opens a session at its first use and keeps it until `close`; so many at once as the way to the guests bears.

    `wanted` is the inventory's login; `former` the one that `old` says is tried where that is refused.
    """

    def __init__(self, cluster: Cluster, calls: Calls, ask: Ask, old: OldLogin | None = None) -> None:
        self._cluster, self._calls = cluster, calls
        self._gate = threading.BoundedSemaphore(THROUGH_JUMP if cluster.ssh.jump else AT_ONCE)
        self._open: dict[Target, Ssh] = {}
        self._lock = threading.Lock()
        self._key = _Key(lambda: identity(cluster), ask)
        self._former_key = _Key(lambda: former_identity(cluster, old.key_file if old else None), ask)
        self._old = old

    def unlock(self) -> Identity:
        """The key, ready to be used: the first call asks for its passphrase where it needs one, so it is made on the main thread.

        Raises InventoryError or Unreachable when no session could be opened with it, each time.
        """
        return self._key.unlock()

    def ask_now(self) -> None:
        """Has passphrases asked for on this thread, as others must not. What is wrong with a key each session says for itself."""
        for key in (self._key, *([self._former_key] if self._old else [])):
            with suppress(MeshctlError):
                key.unlock()

    @property
    def wanted(self) -> Login:
        """The inventory's login. Raises InventoryError when its key cannot be read."""
        return self._login(identity(self._cluster), None)

    @property
    def former(self) -> Login | None:
        """The login that leaves, None where nobody said one. Raises InventoryError when its key cannot be read, or it is the wanted one."""
        if self._old is None:
            return None
        login = self._login(former_identity(self._cluster, self._old.key_file), self._old.user)
        if login.is_(self.wanted):
            raise InventoryError(
                "--old-key and --old-user name the login that the inventory wants",
                hint="leave them away, or change ssh in the inventory",
            )
        return login

    def _login(self, key: Identity, user: str | None) -> Login:
        return Login(user or self._cluster.ssh.user, key.public, key.file or "")

    def to(self, target: Target) -> Ssh:
        """The session to a target."""
        former = self.former
        with self._lock:
            if target not in self._open:
                self._open[target] = self.proof(target)
                self._open[target].former = None if former is None else Former(former.user, self._former_key.unlock)
            return self._open[target]

    def proof(self, target: Target) -> Ssh:
        """A new session to a target that only the wanted login opens; whoever asks for it closes it."""
        return Ssh(target, self.unlock, self._calls, self._gate)

    def begin(self, target: Target, readers: int) -> None:
        """Begins to open the session to a target, with shells to read by. Who needs it waits for the rest, and is told if it fails."""
        ssh = self.to(target)
        begin(lambda: ssh.open(readers))

    def close(self) -> None:
        """Closes all sessions, one that is still being opened too."""
        with self._lock:
            for ssh in self._open.values():
                ssh.close()
            self._open.clear()


def target(cluster: Cluster, node: str, domains: Iterable[DomainSeen]) -> Target:
    """How to reach a node: address and host key come from its domain's stamp, the rest from the inventory.

    Raises Unreachable when there is no such guest of ours.
    """
    name = domain_name(cluster.cluster, node)
    found = next((domain for domain in domains if domain.name == name and domain.stamp is not None), None)
    if found is None or found.stamp is None or not found.stamp.host_key:
        raise Unreachable(f"{node}: there is no guest {name} with our stamp", hint="`meshctl provision` makes it")
    ssh = cluster.ssh
    return Target(
        node,
        found.stamp.address,
        found.stamp.host_key,
        ssh.user,
        proxy=proxy(cluster, found.stamp.address),
    )


def proxy(cluster: Cluster, address: str, port: int = 22) -> tuple[str, ...]:
    """Argv of the program that connects to a guest, empty when no such is needed."""
    ssh = cluster.ssh
    if ssh.proxy_command:
        return tuple(word.replace("%h", address).replace("%p", str(port)) for word in ssh.proxy_command)
    if ssh.jump:
        return _through(parse_jump(ssh.jump), address, port)
    return ()


def _through(jump: Jump, address: str, port: int) -> tuple[str, ...]:
    """The system's ssh, with all that the user's configuration says of the jump host.

    -W makes it forward; BatchMode: an unknown host key is a refusal, not a question nobody sees; the rest ends it when the
    jump host falls silent.
    """
    settings = ("BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=15", "ServerAliveCountMax=3")
    return (
        "ssh",
        *(word for setting in settings for word in ("-o", setting)),
        *(("-p", str(jump.port)) if jump.port else ()),
        *(("-l", jump.user) if jump.user else ()),
        "-W",
        f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
        "--",
        jump.host,
    )
