"""SSH sessions to the guests: one per guest, kept, with the host key that the guest's stamp holds."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path

from provision.base.calls import Calls
from provision.base.errors import InventoryError, Unreachable, cause
from provision.base.parallel import begin
from provision.guests.ssh import Ssh, Target
from provision.inventory import Cluster
from provision.libvirt_xml import DomainSeen
from provision.specs import Member, domain_name


class Sessions:
    """Opens a session at its first use and keeps it until `close`."""

    def __init__(self, cluster: Cluster, calls: Calls) -> None:
        self._cluster, self._calls = cluster, calls
        self._open: dict[Target, Ssh] = {}
        self._opening: dict[Target, Future[None]] = {}
        self._lock = threading.Lock()

    def to(self, target: Target) -> Ssh:
        """The session to a target."""
        with self._lock:
            return self._open.setdefault(target, Ssh(target, self._calls))

    def begin(self, target: Target, readers: int) -> None:
        """Begins to open the session to a target, with shells to read by. Who needs it waits for the rest, and is told if it fails."""
        ssh = self.to(target)
        with self._lock:
            self._opening[target] = begin(lambda: ssh.open(readers))

    def close(self) -> None:
        """Closes all sessions; one that is still being opened ends with the process."""
        with self._lock:
            for target, ssh in self._open.items():
                if target not in self._opening or self._opening[target].done():
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
        ssh.key_file,
        proxy=proxy(cluster, found.stamp.address),
    )


def proxy(cluster: Cluster, address: str, port: int = 22) -> tuple[str, ...]:
    """Argv of the program that connects to a guest, empty when no such is needed."""
    ssh = cluster.ssh
    if ssh.proxy_command:
        return tuple(word.replace("%h", address).replace("%p", str(port)) for word in ssh.proxy_command)
    if ssh.jump:
        # -W makes the jump host forward; BatchMode: an unknown host key is a refusal, not a question nobody sees.
        user_host, _, jump_port = ssh.jump.partition(":")
        more = ("-p", jump_port) if jump_port else ()
        return ("ssh", "-o", "BatchMode=yes", *more, "-W", f"{address}:{port}", "--", user_host)
    return ()


def public_key(cluster: Cluster) -> str:
    """The public key that may log in. Raises InventoryError when its file cannot be read."""
    ssh = cluster.ssh
    if ssh.public_key:
        return ssh.public_key.strip()
    path = Path(f"{ssh.key_file}.pub").expanduser()
    try:
        return path.read_text().strip()
    except OSError as error:
        hint = (
            "`meshctl lab up` makes the lab's key" if "/meshctl/" in str(path) else "ssh-keygen -t ed25519 makes a pair"
        )
        raise InventoryError(f"ssh.key_file: {path} cannot be read: {cause(error)}", hint=hint) from error


def by_name(members: Iterable[Member], name: str) -> Member:
    """The member called `name`. Raises InventoryError when there is none."""
    members = tuple(members)
    for member in members:
        if member.name == name:
            return member
    raise InventoryError(
        f"there is no node {name}", hint=f"the nodes are {', '.join(member.name for member in members)}"
    )
