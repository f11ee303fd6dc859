"""Artifacts into pools. Each upload makes a copy of its own, verifies it where it lies, and marks it complete last.

libvirt can neither rename a volume nor copy one byte by byte (a qcow2 file is converted). So nothing ever gets a name that it has
not from the start: what a copy is worth is said by the mark beside it, whose creation is atomic.
"""

from __future__ import annotations

import fcntl
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from provision.base import data
from provision.base.errors import ConflictError, HypervisorError, MeshctlError
from provision.base.shell import Shell
from provision.hosts.hypervisor import Hypervisor, OnBytes
from provision.libvirt_xml import VolumeSeen, upload_volume_xml
from provision.plan import holders
from provision.specs import (
    Artifact,
    PoolSpec,
    complete_copy,
    copy_name,
    incomplete_copies,
    mark_name,
    marked_copy,
    upload_of,
)

HASH_S = 1800.0
"""A bundle of 1 GB from a disk that reads 2 MB/s takes ten minutes; an NVMe needs two seconds."""

SILENT_S = 24 * 3600.0
"""An upload of another machine counts as ended when nothing was written for a day, by this machine's clock: theirs may be off."""

# $1: the file. What the mark says must be true after a power failure too.
_HASH = 'sync -- "$1" && sha256sum -- "$1"'


def send(hypervisor: Hypervisor, shell: Shell | None, pool: PoolSpec, artifact: Artifact, on_bytes: OnBytes) -> None:
    """Makes a complete copy of an artifact in a pool. Raises HypervisorError when what arrived is not what was sent."""
    with _registered() as upload:
        copy = copy_name(artifact.volume, upload)
        try:
            hypervisor.create_volume(pool.name, upload_volume_xml(copy, private=False))
            with open(artifact.path, "rb") as content:
                hypervisor.upload(pool.name, copy, content, on_bytes)
            found = content_of(hypervisor, shell, pool, copy)
            if found not in (None, artifact.sha256):
                raise HypervisorError(
                    f"{pool.host}: {artifact.kind} {artifact.title} arrived damaged: sha256 {found} instead of {artifact.sha256}",
                    hint="run the command again; when it stays so, look at the host's disk and memory",
                )
        except BaseException:
            # Only before the mark is asked for: afterwards somebody may live on the copy.
            with suppress(MeshctlError):
                hypervisor.delete_volume(pool.name, copy)
                _forget(copy)
            raise
        _mark(hypervisor, pool, copy)


def verify_again(hypervisor: Hypervisor, shell: Shell | None, pool: PoolSpec, artifact: Artifact) -> None:
    """Verifies the copy that a pool has, and marks it anew. Raises ConflictError when it is not what its name says: it is left."""
    copy = _complete(hypervisor, pool.name, artifact.volume)
    found = content_of(hypervisor, shell, pool, copy)
    if found not in (None, artifact.sha256):
        raise ConflictError(
            f"{pool.host}: volume {copy} in pool {pool.name} was changed: its sha256 is {found} instead of {artifact.sha256}",
            hint=f"it is left alone: guests may live on it. Without {mark_name(copy)} it is not used for new guests",
        )
    hypervisor.delete_volume(pool.name, mark_name(copy))
    _mark(hypervisor, pool, copy)


def content_of(hypervisor: Hypervisor, shell: Shell | None, pool: PoolSpec, volume: str) -> str | None:
    """The sha256 of a volume: by the host where it has a shell, else read back. None where libvirt has records only."""
    if shell is not None:
        with suppress(MeshctlError):
            argv = ["sh", "-c", _HASH, "hash", f"{pool.path}/{volume}"]
            said = shell.read(argv, within_s=HASH_S).stdout.partition(" ")[0]
            if re.fullmatch("[0-9a-f]{64}", said):
                return said
    return hypervisor.sha256(pool.name, volume)


def copy_path(hypervisor: Hypervisor, pool: str, path: str) -> str:
    """The path of the complete copy of the artifact that a path names. Raises ConflictError when the pool has none."""
    folder, _, artifact = path.rpartition("/")
    return f"{folder}/{_complete(hypervisor, pool, artifact)}"


def _complete(hypervisor: Hypervisor, pool: str, artifact: str) -> str:
    found = complete_copy(artifact, hypervisor.volume_names(pool))
    if found is None:
        raise ConflictError(
            f"{hypervisor.host}: pool {pool} has no complete copy of {artifact}",
            hint="run the command again: it is sent then",
        )
    return found


def _mark(hypervisor: Hypervisor, pool: PoolSpec, copy: str) -> None:
    hypervisor.create_volume(pool.name, upload_volume_xml(mark_name(copy), private=False))


def remove_copy(hypervisor: Hypervisor, pool: str, name: str) -> tuple[str, ...]:
    """Removes a copy with its mark, unless somebody lives on it: gives who does. A mark without a copy goes as well.

    Looks at the host once more: what was planned may be minutes old. The mark goes last: a copy without one, after a run that was
    ended here, would be taken for somebody's upload.
    """
    copy = marked_copy(name) or name
    users = holders(copy, hypervisor.holders())
    if not users:
        hypervisor.delete_volume(pool, copy)
        hypervisor.delete_volume(pool, mark_name(copy))
        _forget(copy)
    return users


# ── uploads that were ended ──────────────────────────────────────────────────────────────────────────────────────


def abandoned(hypervisor: Hypervisor, volumes: Iterable[VolumeSeen]) -> frozenset[str]:
    """Copies that are not complete, that nobody goes on sending, and that nobody lives on.

    `volumes` were listed before: an upload of this machine has its lock before its volume is there.
    """
    seen = {volume.name: volume for volume in volumes}
    found = [name for name in incomplete_copies(seen) if _ended(seen[name])]
    among = hypervisor.holders() if found else ()
    return frozenset(name for name in found if not holders(name, among))


def _ended(volume: VolumeSeen) -> bool:
    """Whether nobody goes on: the process of this machine has ended, or nothing was written for a day."""
    lock = _lock(upload_of(volume.name))
    with suppress(OSError), lock.open("rb") as file:
        return _taken(file.fileno())
    return volume.modified is None or time.time() - volume.modified > SILENT_S


@contextmanager
def _registered() -> Iterator[str]:
    """The eight digits of a new upload. Their lock file is held meanwhile: the kernel frees it when this process ends.

    It stays when the upload fails, until its copy is removed. Without a folder for it, what is left is cleared after a day.
    """
    upload = secrets.token_hex(4)
    lock = _lock(upload)
    with suppress(OSError):
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    with lock.open("rb") if lock.exists() else nullcontext() as file:
        if file is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield upload
        lock.unlink(missing_ok=True)


def _taken(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock(upload: str) -> Path:
    return data.cache("uploads", upload)


def _forget(copy: str) -> None:
    if upload := upload_of(copy):
        _lock(upload).unlink(missing_ok=True)
