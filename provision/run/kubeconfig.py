"""The cluster's kubeconfig as a file of this machine: 0600, whole or not at all, and nothing of others lost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provision.base.errors import ConflictError, MeshctlError, cause
from provision.base.secret import Secret
from provision.kubernetes import kubeconfig as texts


def kubectls_file() -> Path:
    """Where kubectl keeps its settings: $KUBECONFIG's first file, else ~/.kube/config."""
    named = [name for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    return Path(named[0]).expanduser() if named else Path.home() / ".kube" / "config"


def save(path: Path, cluster: str, config: Secret) -> None:
    """Writes the cluster's own kubeconfig. Raises ConflictError when the file is something else: it is left alone."""
    with _reaching(path):
        if path.exists():
            there = texts.parsed(str(path), path.read_text())
            names = [entry["name"] for entry in there.get("contexts") or ()]
            if names != [cluster] or not texts.is_ours(there, cluster):
                raise ConflictError(
                    f"{path}: it is there and not the kubeconfig of cluster {cluster} that meshctl writes",
                    hint="name another file, or --merge to write into kubectl's own",
                )
        _replace(path, config)


def merge(path: Path, cluster: str, config: Secret) -> None:
    """Writes the cluster's context into a kubeconfig beside what else is there. Raises ConflictError."""
    with _reaching(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(path):
            there = texts.parsed(str(path), path.read_text() if path.exists() else "")
            ours = texts.parsed("admin.conf", config.reveal())
            _replace(path, Secret(texts.dumped(texts.merged(str(path), there, ours, cluster))))


def _replace(path: Path, content: Secret) -> None:
    """By a file beside it, which is private from its first byte on; a link (dotfiles!) stays one."""
    target = path.resolve()
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with open(handle, "w") as file:
            file.write(content.reveal())
            file.flush()
            os.fsync(handle)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Kubectl's own lock (client-go's clientcmd.lockFile): a file of that name that nobody else could create."""
    lock = Path(f"{path}.lock")
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0))
    except FileExistsError as error:
        raise ConflictError(
            f"{path}: somebody is changing it: {lock} is there",
            hint=f"when no kubectl runs it was left behind: rm {lock}",
        ) from error
    try:
        yield
    finally:
        lock.unlink()


@contextmanager
def _reaching(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        why = cause(error) if isinstance(error, OSError) else "not text"
        raise MeshctlError(f"{path}: cannot be written: {why}", hint="name another file with --output") from error
