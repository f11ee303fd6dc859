"""A backup as one file: a tar of `manifest.json`, its checksum, and the parts by which a control plane comes back. Format 1.

    manifest.json     cluster, owner, Kubernetes, node, address, authority, time; and of each part sha256 and size
    manifest.sha256   as sha256sum(1) writes it
    etcd.db           etcd's snapshot, as `etcdctl snapshot save` would write it; absent where its API has none
    etcd-log.tar.gz   etcd's log and its own snapshots: member/
    files.tar.gz      PKI, kubeconfigs, manifests and the kubelet's settings: paths below /

Encrypted, the tar is the content of a file of age's.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from provision.base.errors import ConflictError, ImageError, MeshctlError, cause
from provision.kubernetes import ControlState

FORMAT = 1
MANIFEST, CHECKSUM = "manifest.json", "manifest.sha256"
DATABASE, LOG, FILES = "etcd.db", "etcd-log.tar.gz", "files.tar.gz"
DATE = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Part:
    """A file of the backup: its digest, and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """What a backup is of. `authority` is the sha256 of the certificate that the nodes trust; `taken` the end of the copy, in UTC."""

    cluster: str
    owner: str
    kubernetes: str
    node: str
    address: str
    authority: str
    taken: str
    parts: Mapping[str, Part]

    @property
    def at(self) -> datetime:
        """When it was taken."""
        return datetime.strptime(self.taken, DATE).replace(tzinfo=UTC)

    @property
    def id(self) -> str:
        """16 hex digits that name this backup."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Backup:
    """A backup, whole."""

    manifest: Manifest
    state: ControlState


def described(cluster: str, owner: str, node: str, address: str, state: ControlState, now: datetime) -> Backup:
    """A state with the manifest that belongs to it."""
    parts = {name: Part(hashlib.sha256(one).hexdigest(), len(one)) for name, one in _parts(state).items()}
    taken = now.astimezone(UTC).strftime(DATE)
    return Backup(Manifest(cluster, owner, state.kubernetes, node, address, state.authority, taken, parts), state)


def _parts(state: ControlState) -> dict[str, bytes]:
    found = {DATABASE: state.database, LOG: state.log, FILES: state.files}
    return {name: content for name, content in found.items() if content}


def packed(backup: Backup) -> bytes:
    """The file's content."""
    manifest = json.dumps({"format": FORMAT, **asdict(backup.manifest)}, indent=2).encode() + b"\n"
    checksum = f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, part in {MANIFEST: manifest, CHECKSUM: checksum, **_parts(backup.state)}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(part), 0o600, int(backup.manifest.at.timestamp())
            tar.addfile(entry, io.BytesIO(part))
    return content.getvalue()


def unpacked(where: str, content: bytes) -> Backup:
    """The backup that a file holds. Raises ImageError when it is none, of another format, or not whole."""
    try:
        files = _members(content)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise _damaged(where, f"cannot be read: {cause(error)}") from error
    manifest = _manifest(where, files)
    for name, part in manifest.parts.items():
        if hashlib.sha256(files.get(name, b"")).hexdigest() != part.sha256:
            raise _damaged(where, f"{name} is {'not what its checksum says' if name in files else 'missing'}")
    state = ControlState(manifest.kubernetes, files.get(DATABASE, b""), files[LOG], files[FILES])
    return Backup(manifest, state)


def _members(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        found = {one.name: tar.extractfile(one) for one in tar.getmembers() if one.isfile()}
        return {name: file.read() for name, file in found.items() if file is not None}


def _manifest(where: str, files: Mapping[str, bytes]) -> Manifest:
    text, checksum = files.get(MANIFEST, b""), files.get(CHECKSUM, b"").split()
    if not text:
        raise ImageError(f"{where}: not a backup: it has no {MANIFEST}", hint="`meshctl backup` makes one")
    if checksum[:1] != [hashlib.sha256(text).hexdigest().encode()]:
        raise _damaged(where, f"{MANIFEST} is not what its checksum says")
    try:
        return _said(where, json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(where, f"{MANIFEST} is not one: {cause(error)}") from error


def _said(where: str, said: dict[str, Any]) -> Manifest:
    if said.pop("format", None) != FORMAT:
        raise ImageError(
            f"{where}: a backup of another format than {FORMAT}", hint="restore it with the meshctl that made it"
        )
    parts = {name: Part(**part) for name, part in said.pop("parts").items()}
    if not {LOG, FILES} <= parts.keys():
        raise _damaged(where, f"it lacks {LOG} or {FILES}")
    return Manifest(**said, parts=parts)


def _damaged(where: str, why: str) -> ImageError:
    return ImageError(f"{where}: the backup is damaged: {why}", hint="take another copy of it, or an older backup")


def read(path: Path) -> bytes:
    """A file's content. Raises MeshctlError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise MeshctlError(f"{path}: cannot be read: {cause(error)}") from error


def refuse_existing(path: Path) -> None:
    """Raises ConflictError when something of this name is there."""
    if path.is_symlink() or path.exists():
        raise ConflictError(
            f"{path}: it is there already, and no backup is written over", hint="--to FILE names another"
        )


def write(path: Path, content: bytes) -> None:
    """A new file for its owner only (0600), whole or not at all. Raises ConflictError when it is there, MeshctlError when it cannot be
    written.
    """
    refuse_existing(path)
    with _reaching(path), tempfile.NamedTemporaryFile(prefix=f".{path.name}.", dir=path.parent) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.link(file.name, path)  # where a rename would take the place of a file that came meanwhile


@contextmanager
def _reaching(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        refuse_existing(path)
        raise
    except OSError as error:
        raise MeshctlError(
            f"{path}: cannot be written: {cause(error)}", hint="--to FILE names another place"
        ) from error
