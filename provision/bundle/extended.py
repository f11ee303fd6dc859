"""debian-source+tracing: the built bundle with Zipkin's images beside its own, as a bundle of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from provision.base import data
from provision.base.alone import alone
from provision.base.events import Changed, Emit, nowhere
from provision.bundle import source, zipkin
from provision.bundle.model import NAME as SEAL
from provision.bundle.seal import seal

NAME = f"{source.NAME}+tracing"

SEAL_S = 600.0
"""How long another's sealing is waited for: it hashes about 800 MB."""


def cached() -> Path | None:
    """The folder of the built bundle, None when it has not been built."""
    folder = _target()
    return folder if folder.is_dir() else None


def _target() -> Path:
    parts = f"{source.digest()} {zipkin.digest()}"
    return data.cache("bundles", f"{NAME}-{hashlib.sha256(parts.encode()).hexdigest()[:12]}")


def build(emit: Emit = nowhere, archive: Path | None = None) -> Path:
    """Builds both parts, each unless it is in the cache, and seals them as one; gives its folder. `archive` is for `zipkin.build`.

    Raises ImageError.
    """
    target = _target()
    if target.is_dir() and archive is None:
        return target
    images, plain = zipkin.build(emit, archive), source.build(emit)
    lock = target.with_name(f".{target.name}.lock")
    with alone(lock, what="the bundle", seen="another meshctl seals it", within_s=SEAL_S, emit=emit):
        if archive is not None or not target.is_dir():
            _join(plain, images, target, emit)
    return target


def _join(plain: Path, images: Path, target: Path, emit: Emit) -> None:
    """Both parts in one folder, by hard links: the cache holds their bytes once."""
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(plain, partial, copy_function=os.link, ignore=shutil.ignore_patterns(SEAL))
    for path in images.iterdir():
        os.link(path, partial / "images" / path.name)
    seal(partial, source.KUBERNETES, emit)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    emit(Changed("this machine", str(target), "sealed"))
