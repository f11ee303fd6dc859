"""SSH sessions to the guests: one per guest, kept, with the host key that the guest's stamp holds."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress

from provision.base.calls import Calls
from provision.base.errors import MeshctlError, Unreachable
from provision.base.parallel import AT_ONCE, begin
from provision.guests.keys import Ask, Identity, identity, unlocked
from provision.guests.ssh import Ssh, Target, in_agent
from provision.inventory import Cluster, Jump, parse_jump
from provision.libvirt_xml import DomainSeen
from provision.specs import domain_name

THROUGH_JUMP = 8
"""Connections opened at once through a jump host. sshd drops some of those that have not logged in yet from the eleventh on
(MaxStartups 10:30:100), and libvirt and our shell may be on their way to the same machine."""


class Sessions:
    """Opens a session at its first use and keeps it until `close`; so many at once as the way to the guests bears."""

    def __init__(self, cluster: Cluster, calls: Calls, ask: Ask) -> None:
        self._cluster, self._calls, self._ask = cluster, calls, ask
        self._gate = threading.BoundedSemaphore(THROUGH_JUMP if cluster.ssh.jump else AT_ONCE)
        self._open: dict[Target, Ssh] = {}
        self._lock, self._key_lock = threading.Lock(), threading.Lock()
        self._key: Identity | MeshctlError | None = None

    def unlock(self) -> Identity:
        """The key, ready to be used: the first call asks for its passphrase where it needs one, so it is made on the main thread.

        Raises InventoryError or Unreachable when no session could be opened with it, each time.
        """
        with self._key_lock:
            if self._key is None:
                self._key = self._unlocked()
            if isinstance(self._key, MeshctlError):
                raise type(self._key)(self._key.message, hint=self._key.hint)  # anew: whoever catches it may add to it
            return self._key

    def ask_now(self) -> None:
        """Has the passphrase asked for on this thread, as others must not. What is wrong with the key each session says for itself."""
        with suppress(MeshctlError):
            self.unlock()

    def _unlocked(self) -> Identity | MeshctlError:
        try:
            found = identity(self._cluster)
            return unlocked(found, in_agent(found), self._ask)
        except MeshctlError as error:
            return error

    def to(self, target: Target) -> Ssh:
        """The session to a target."""
        with self._lock:
            return self._open.setdefault(target, Ssh(target, self.unlock, self._calls, self._gate))

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
