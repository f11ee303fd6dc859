"""debian-source+tracing: the built bundle with Zipkin's images beside its own, as a bundle of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from provision.base import data
from provision.base.events import Changed, Emit, nowhere
from provision.bundle import source, zipkin
from provision.bundle.model import NAME as SEAL
from provision.bundle.once import kept, once
from provision.bundle.seal import seal

NAME = f"{source.NAME}+tracing"

BUILD_S = source.BUILD_S + zipkin.BUILD_S
"""How long another's build is waited for."""


def cached() -> Path | None:
    """The folder of the built bundle, None when it has not been built."""
    return kept(_target())


def _target() -> Path:
    parts = f"{source.digest()} {zipkin.digest()}"
    return data.cache("bundles", f"{NAME}-{hashlib.sha256(parts.encode()).hexdigest()[:12]}")


def build(emit: Emit = nowhere, archive: Path | None = None) -> Path:
    """Builds both parts, each unless it is in the cache, and seals them as one; gives its folder. `archive` is for `zipkin.build`.

    Raises ImageError.
    """
    target = _target()

    def make() -> None:
        images = zipkin.build(emit, archive)
        _join(source.build(emit), images, target, emit)

    return once(target, make, what="the bundle", within_s=BUILD_S, emit=emit, anew=archive is not None)


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
