"""Ways in over SSH to a lab's hosts: sshd with accounts of its own on each, and a client that knows their keys.

Nothing of the user's or the machine's is used: no account, no ~/.ssh, no key of /etc/ssh.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from provision.base.errors import MeshctlError, ShellError
from provision.base.events import Emit
from provision.base.shell import Local
from provision.base.waiting import NotYet, Ready, wait_until
from provision.lab.daemon import in_place, pid_in
from provision.lab.places import Lab

JUMP = "jump"
"""The jump host's name: an sshd beside the bridge that joins the hosts."""

MEMBER, STRANGER = "operator", "stranger"
"""Who may log in besides root: one in the group libvirt, with sudo; and one who is neither."""

_UIDS = {MEMBER: 60801, STRANGER: 60802}
"""From the range that neither Debian nor systemd gives to anybody (systemd.io/UIDS-GIDS: 60578-61183 is unused)."""

START_S = 30.0

_SSHD_CONFIG = """ListenAddress {address}
HostKey {state}/ssh_host_ed25519_key
PidFile {run}/sshd.pid
AuthorizedKeysFile {state}/authorized_keys
AllowUsers {users}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PrintMotd no
"""

# A host that does not answer is given up after 10 s, one that vanishes from within a connection after 15; without that
# OpenSSH waits for minutes. docs/hosts.md asks for the same in a user's ~/.ssh/config.
_CLIENT_CONFIG = """Host {jump}
    HostName {address}
    User {member}
{hosts}Host *.{jump}
    ProxyJump {jump}
Host *
    ProxyCommand ip netns exec {namespace} socat - TCP:%h:%p
    IdentityFile {key}
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {known_hosts}
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    UpdateHostKeys no
    ConnectTimeout 10
    ServerAliveInterval 5
    ServerAliveCountMax 3
"""

_HOST_CONFIG = """Host {host} {host}.{jump}
    HostName {address}
    HostKeyAlias {host}
"""


def make_accounts(lab: Lab) -> None:
    """Writes what the place has instead of the machine's accounts: the same users, no password, root and ours at home here."""
    accounts = lab.state / "accounts"
    for folder in (accounts, *(lab.state / "home" / user for user in ("root", *_UIDS))):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
    users = [line.split(":") for line in Path("/etc/passwd").read_text().splitlines() if line.count(":") == 6]
    users = [
        ["root", "x", "0", "0", "root", f"{lab.state}/home/root", "/bin/sh"],
        *(u for u in users if u[0] != "root"),
    ]
    users += [[name, "x", str(uid), "65534", "", f"{lab.state}/home/{name}", "/bin/sh"] for name, uid in _UIDS.items()]
    groups = [line.split(":") for line in Path("/etc/group").read_text().splitlines() if line.count(":") == 3]
    groups = [[*g[:3], MEMBER] if g[0] == "libvirt" else g for g in groups]
    for name, mode, rows in (
        ("passwd", 0o644, users),
        ("group", 0o644, groups),
        # "*": no password fits, and the account is not locked as with "!", which sshd without PAM refuses.
        ("shadow", 0o600, [[name, "*", "19000", *[""] * 6] for name in ("root", *_UIDS)]),
        ("sudoers", 0o440, [["root ALL=(ALL) ALL"], [f"{MEMBER} ALL=(root) NOPASSWD", " ALL"]]),
    ):
        _write(accounts / name, "".join(":".join(row) + "\n" for row in rows), mode)


def _write(path: Path, content: str, mode: int) -> None:
    """Into the same file, where there is one: it may be mounted."""
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(content)


def make_sshd(lab: Lab, address: str, users: Sequence[str], invited: str, shell: Local) -> None:
    """Writes sshd's configuration and who is let in, and makes its host key once."""
    key = lab.state / "ssh_host_ed25519_key"
    if not key.exists():
        shell.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)])
    _write(lab.state / "authorized_keys", invited, 0o644)
    said = _SSHD_CONFIG.format(address=address, state=lab.state, run=lab.run, users=" ".join(users))
    _write(lab.state / "sshd_config", said, 0o644)
    # Where sshd wants to be shut in; systemd makes it for Debian's own.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)


def sshd_pid(lab: Lab) -> int | None:
    """The pid of the place's sshd, None when it is not running."""
    return pid_in(lab, lab.run / "sshd.pid")


def start_sshd(lab: Lab, shell: Local, enter: Sequence[str] = ()) -> None:
    """Starts sshd, within the mount namespace that `enter` leads to, or else in one of its own. Does not wait for it."""
    argv = ("/usr/sbin/sshd", "-D", "-f", str(lab.state / "sshd_config"))
    shell.background((*enter, *argv) if enter else in_place(lab, argv), log=str(lab.state / "sshd.log"))


def client(lab: Lab) -> Path:
    """The program that is ssh with the lab's settings: what its URIs name as `command`."""
    return lab.state / "ssh"


def make_client(lab: Lab, jump_address: str, addresses: Iterable[tuple[Lab, str]]) -> None:
    """Writes the client's program, its settings and the keys of the jump host and the hosts, as they were made."""
    hosts = list(addresses)
    known = [(jump_address, lab), *((host.host, host) for host, _ in hosts)]
    _write(lab.state / "known_hosts", "".join(f"{name} {_public_key(place)}\n" for name, place in known), 0o644)
    parts = [_HOST_CONFIG.format(host=host.host, jump=JUMP, address=address) for host, address in hosts]
    said = _CLIENT_CONFIG.format(
        jump=JUMP,
        address=jump_address,
        member=MEMBER,
        hosts="".join(parts),
        namespace=lab.namespace,
        key=lab.key,
        known_hosts=lab.state / "known_hosts",
    )
    _write(lab.state / "ssh_config", said, 0o644)
    program = shlex.join(["exec", "ssh", "-F", str(lab.state / "ssh_config")])
    _write(client(lab), f'#!/bin/sh\n{program} "$@"\n', 0o755)


def _public_key(lab: Lab) -> str:
    return " ".join((lab.state / "ssh_host_ed25519_key.pub").read_text().split()[:2])


def wait_for(lab: Lab, name: str, shell: Local, emit: Emit) -> None:
    """Waits until a login by the client works. Raises StageTimeout with what ssh said last."""

    def look() -> Ready[None] | NotYet:
        try:
            tried = shell.read([str(client(lab)), "-o", "BatchMode=yes", name, "true"], within_s=START_S, check=False)
        except ShellError as error:
            raise MeshctlError(f"lab {lab.name}: {error.message}", hint=error.hint) from error
        return Ready(None) if tried.status == 0 else NotYet(" ".join(tried.last_lines) or f"status {tried.status}")

    where = (lab.at(name) if name != JUMP else lab).state / "sshd.log"
    wait_until(
        look, what=f"lab {lab.name}: sshd of {name}", within_s=START_S, every_s=0.1, emit=emit, hint=f"see {where}"
    )
