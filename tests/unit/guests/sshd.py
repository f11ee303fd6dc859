"""A real sshd on loopback, with keys and an agent of its own: nothing of this machine's is used."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from provision.base.waiting import NotYet, Ready, wait_until
from provision.guests.keys import Identity
from provision.guests.ssh import Target

SSHD = "/usr/sbin/sshd"


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "", *options: str) -> Path:
    """A key pair by ssh-keygen."""
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path), *options]
    subprocess.run(argv, check=True, timeout=60)
    return path


def public_of(key: Path) -> str:
    """The public half of a pair that `make_key` made."""
    return key.with_name(f"{key.name}.pub").read_text().strip()


def key_of(path: Path) -> Identity:
    """A key without a passphrase, as `unlocked` gives it."""
    return Identity(public_of(path), str(path))


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens at."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@dataclass
class Sshd:
    """sshd with its own host key. `settings` are lines of sshd_config."""

    folder: Path
    settings: tuple[str, ...] = ()
    address: str = "127.0.0.1"
    port: int = field(init=False)
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.port = free_port(self.address)
        make_key(self.folder / "host")
        make_key(self.folder / "user")
        self.authorized.write_text(public_of(self.folder / "user") + "\n")
        config = self.folder / "sshd_config"
        lines = (
            f"ListenAddress [{self.address}]:{self.port}"
            if ":" in self.address
            else f"ListenAddress {self.address}:{self.port}",
            f"HostKey {self.folder / 'host'}",
            f"AuthorizedKeysFile {self.authorized}",
            "PidFile none",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "StrictModes no",
            "UsePAM no",
            # Not the home of who runs the tests: a shell started by sshd reads its files, which take their time and are
            # cut short when a test ends.
            f"SetEnv HOME={self.folder}",
            *self.settings,
        )
        config.write_text("\n".join(lines) + "\n")
        Path("/run/sshd").mkdir(exist_ok=True)
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=log, start_new_session=True)
        wait_until(self._listens, what="sshd", within_s=20, every_s=0.05)

    @property
    def authorized(self) -> Path:
        """Who may log in: `user` at first."""
        return self.folder / "authorized_keys"

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.folder / "log").read_text()

    @property
    def user(self) -> Path:
        """The key that may log in."""
        return self.folder / "user"

    @property
    def target(self) -> Target:
        """The way to it."""
        name = pwd.getpwuid(os.geteuid()).pw_name
        return Target("cp1", self.address, public_of(self.folder / "host"), name, self.port)

    def known_hosts(self) -> str:
        """A file for ssh(1) that holds its key."""
        path = self.folder / "known_hosts"
        path.write_text(f"[{self.address}]:{self.port} {public_of(self.folder / 'host')}\n")
        return str(path)

    def descendants(self) -> list[int]:
        """Its own process and those of its sessions."""
        listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        parents = {int(pid): int(parent) for pid, parent in (line.split() for line in listed.splitlines())}
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def freeze(self) -> None:
        """Stops it and its sessions: connections are taken by the kernel, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def stop(self) -> None:
        """Ends it with all its sessions."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: int) -> None:
        for pid in self.descendants():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _listens(self) -> Ready[None] | NotYet:
        try:
            socket.create_connection((self.address, self.port), timeout=5).close()
        except OSError as error:
            return NotYet(f"{error}; {self.log}")
        return Ready(None)


@contextmanager
def running(folder: Path, *settings: str, address: str = "127.0.0.1") -> Iterator[Sshd]:
    """An sshd for the time of a test."""
    sshd = Sshd(folder, settings, address)
    try:
        yield sshd
    finally:
        sshd.stop()


@contextmanager
def agent(folder: Path, *keys: Path) -> Iterator[str]:
    """A real ssh-agent that holds keys, in this order; gives the socket's path."""
    path = str(folder / "agent.sock")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        wait_until(
            lambda: Ready(None) if Path(path).exists() else NotYet("no socket"), what="agent", within_s=20, every_s=0.05
        )
        for key in keys:
            added = {**os.environ, "SSH_AUTH_SOCK": path}
            subprocess.run(["ssh-add", "-q", str(key)], check=True, env=added, stdin=subprocess.DEVNULL)
        yield path
    finally:
        process.kill()
        process.wait()
