"""When the certificates of a control plane expire: one read, of nothing private."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterator
from dataclasses import dataclass

from provision.base.shell import Shell
from provision.kubernetes.certificate import BEGIN, END, not_after

WARN_DAYS = 30

# Constant. The clock by which the API server judges them, then each file that holds certificates and what it holds of them:
# keys stay where they are. 1.5 has .pem, later ones .crt; kubeconfigs hold theirs in base64.
_READ = f"""
date +%s
cd /etc/kubernetes 2>/dev/null || exit 0
for path in *.conf; do
    [ -e "$path" ] && printf '== %s\\n' "$path" && sed -n 's/^ *client-certificate-data: *//p' "$path"
done
for path in pki/*.crt pki/etcd/*.crt pki/*.pem "$@"; do
    case "$path" in *-key.pem|*-pub.pem) continue ;; esac
    [ -e "$path" ] && printf '== %s\\n' "$path" && sed -n '/{BEGIN}/,/{END}/p' "$path"
done
exit 0
"""


@dataclass(frozen=True)
class Expiry:
    """A certificate, by its file (`apiserver`, `etcd/server`, `admin.conf`), and its end; None where nobody can read it."""

    name: str
    at: datetime.datetime | None
    days: int
    """Whole days that are left by the control plane's clock, rounded down: below 0 it has expired."""

    @property
    def due(self) -> bool:
        """Whether it is to be renewed now: WARN_DAYS are left, or it cannot be read."""
        return self.days < WARN_DAYS

    def __str__(self) -> str:
        if self.at is None:
            return f"{self.name} cannot be read"
        left = f"in {self.days} days" if self.days >= 0 else f"{-self.days - 1} days ago"
        return f"{self.name} {left} ({self.at:%Y-%m-%d})"


def expiries(shell: Shell, *more: str) -> tuple[Expiry, ...]:
    """The certificates of a node, and in `more` files, the next to expire first; none where there is no cluster yet."""
    return parsed_expiries(shell.read(["sh", "-c", _READ, "certificates", *more]).stdout)


def parsed_expiries(said: str) -> tuple[Expiry, ...]:
    """Pure: the script's words."""
    clock, *files = said.split("== ")
    now = datetime.datetime.fromtimestamp(int(clock), datetime.UTC)
    found = [_expiry(name, text, now) for name, _, text in (file.partition("\n") for file in files) if text.strip()]
    return tuple(sorted(found, key=lambda one: (one.days, one.name)))


def _expiry(path: str, text: str, now: datetime.datetime) -> Expiry:
    try:
        at = min(map(not_after, _certificates(text)))
    except ValueError:
        return Expiry(called(path), None, -1)
    return Expiry(called(path), at, (at - now).days)


def called(path: str) -> str:
    """What a file's certificate goes by, its path as it was asked for."""
    return path.removeprefix("pki/").removesuffix(".crt").removesuffix(".pem")


def _certificates(text: str) -> Iterator[str]:
    """Each certificate of a file: PEM, or PEM in base64, one a line."""
    if BEGIN in text:
        yield from (f"{part}{END}" for part in text.split(END)[:-1])
        return
    for line in text.split():
        yield base64.b64decode(line).decode("ascii", errors="replace")
