"""What stays in a guest beside its volumes: logs and their limits, and whose keys let in. One read, of nothing private."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from provision.base.shell import Shell

READ_S = 60.0
"""du walks the logs of all containers: seconds on a slow disk."""

# Constant. Each part behind a line of its own: what dockerd and journald are told, how much there is, and who may log in.
_READ = """
printf '== docker\\n'; cat /etc/docker/daemon.json 2>/dev/null
printf '\\n== journal\\n'
cat /etc/systemd/journald.conf /etc/systemd/journald.conf.d/*.conf 2>/dev/null | grep -E '^(SystemMaxUse|MaxRetentionSec)='
printf '== used\\n'; du -sk /var/log /var/lib/docker/containers 2>/dev/null
printf '== keys\\n'
while IFS=: read -r user _ _ _ _ home _; do
  [ -f "$home/.ssh/authorized_keys" ] && sed "s/^/$user /" "$home/.ssh/authorized_keys"
done < /etc/passwd
exit 0
"""


@dataclass(frozen=True)
class Key:
    """A public key that lets a user in: what SHA256 its fingerprint is, and the comment that somebody gave it."""

    user: str
    fingerprint: str
    comment: str

    def __str__(self) -> str:
        return f"{self.user} by {self.fingerprint}" + (f" ({self.comment})" if self.comment else "")


@dataclass(frozen=True)
class Residue:
    """What a guest keeps: limits in words, empty where there is none; `used_mib` of logs; the keys of all users."""

    containers: str
    journal: str
    used_mib: int
    keys: tuple[Key, ...]


def residue(shell: Shell) -> Residue:
    """What stays in a guest. Raises ShellError."""
    return parsed(shell.read(["sh", "-c", _READ], within_s=READ_S).stdout)


def parsed(said: str) -> Residue:
    """Pure: the script's words."""
    _, *parts = said.split("== ")
    found = {name: text.strip() for name, _, text in (part.partition("\n") for part in parts)}
    used = sum(int(line.split()[0]) for line in found.get("used", "").splitlines())
    journal = " and ".join(map(_limit, found.get("journal", "").splitlines()))
    return Residue(_rotation(found.get("docker", "")), journal, used // 1024, tuple(_keys(found.get("keys", ""))))


def _rotation(text: str) -> str:
    """What dockerd is told of containers' logs; without `max-size` they grow for as long as their container is there."""
    told: dict[str, Any] = {}
    with suppress(ValueError, TypeError):
        told = dict(json.loads(text).get("log-opts", {}))
    size, files = told.get("max-size"), told.get("max-file", "1")
    return f"{files} files of {size} for each container" if size else ""


def _limit(line: str) -> str:
    name, _, value = line.partition("=")
    return f"{value} of the node's journal" if name == "SystemMaxUse" else f"{value} of time"


def _keys(text: str) -> Iterator[Key]:
    for line in text.splitlines():
        user, *words = line.split()
        place = next((at for at, word in enumerate(words) if word.startswith("AAAA")), None)
        if place is not None and not words[0].startswith("#"):
            with suppress(ValueError):
                blob = hashlib.sha256(base64.b64decode(words[place], validate=True)).digest()
                fingerprint = f"SHA256:{base64.b64encode(blob).decode().rstrip('=')}"
                yield Key(user, fingerprint, " ".join(words[place + 1 :]))
