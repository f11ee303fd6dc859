"""Packages of the Debian archive, without installing them: apt with a state of its own, checked by Debian's keys.

The machine's apt sources, its package database and its caches are neither used nor changed.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from provision.base.errors import ImageError
from provision.base.events import Emit, Output
from provision.base.shell import Local
from provision.images import debian

SUITE = "bookworm"


class Archive:
    """apt's view of Debian 12, kept in a folder."""

    def __init__(self, folder: Path, emit: Emit) -> None:
        self._folder, self._emit = folder, emit
        self._shell = Local(env={"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"})

    def update(self) -> None:
        """Fetches the index of the suite. Raises CommandFailed when the mirror does not answer."""
        for part in ("state/lists/partial", "cache/archives/partial", "empty"):
            (self._folder / part).mkdir(parents=True, exist_ok=True)
        (self._folder / "status").touch()
        uri, security = debian.find(self._shell)
        kinds = ("deb", "deb-src")
        lines = [f"{kind} [signed-by={debian.KEYRING}] {uri} {SUITE} main" for kind in kinds]
        lines += [f"{kind} [signed-by={debian.KEYRING}] {security} {SUITE}-security main" for kind in kinds]
        (self._folder / "sources.list").write_text("\n".join(lines) + "\n")
        self._apt("apt-get", "update")

    def unpack(self, packages: tuple[str, ...], target: Path) -> None:
        """Downloads binary packages and unpacks them into one folder."""
        debs = self._folder / "debs"
        debs.mkdir(exist_ok=True)
        self._apt("apt-get", "download", *packages, cwd=debs)
        target.mkdir(parents=True, exist_ok=True)
        for package in packages:
            found = sorted(debs.glob(f"{package}_*.deb"))
            if not found:
                raise ImageError(
                    f"apt downloaded no {package}", hint="is the mirror complete? `apt-cache policy` tells"
                )
            self._shell.run(["dpkg-deb", "-x", str(found[-1]), str(target)], within_s=300)

    def source(self, package: str, target: Path) -> Path:
        """Downloads a source package, checks its tarballs against the signed index's .dsc, unpacks the upstream one."""
        folder = self._folder / "source"
        folder.mkdir(exist_ok=True)
        self._apt("apt-get", "source", "--download-only", package, cwd=folder)
        dsc = max(folder.glob(f"{package}_*.dsc"))
        name = _checked_tarball(dsc)
        target.mkdir(parents=True, exist_ok=True)
        self._shell.run(
            ["tar", "--extract", "--file", str(folder / name), "--directory", str(target), "--strip-components=1"],
            within_s=300,
        )
        return target

    def _apt(self, program: str, *words: str, cwd: Path | None = None) -> None:
        options = {
            "Dir::State": self._folder / "state",
            "Dir::State::status": self._folder / "status",
            "Dir::Cache": self._folder / "cache",
            "Dir::Etc::sourcelist": self._folder / "sources.list",
            "Dir::Etc::sourceparts": self._folder / "empty",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        flags = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        shell = Local(env=self._shell.env, cwd=str(cwd) if cwd else None)
        shell.run([program, "-q", *flags, *words], within_s=1800, on_line=lambda line: self._emit(Output("apt", line)))


def _checked_tarball(dsc: Path) -> str:
    """The upstream tarball that a .dsc names, after comparing its sha256."""
    for digest, name in re.findall(r"^ ([0-9a-f]{64}) \d+ (\S+\.orig\.tar\.\S+)$", dsc.read_text(), re.MULTILINE):
        with (dsc.parent / name).open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != digest:
                raise ImageError(f"{name} is not what {dsc.name} says", hint="delete it and build again")
        return str(name)
    raise ImageError(f"{dsc.name} names no upstream tarball")
