"""Container images as docker-save archives: written from plain files without Docker, and read for their references.

The layout is Docker's image specification v1.2 (manifest.json, one JSON per image, one folder per layer); it is what
`docker load` of every version from 1.10 on reads.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provision.base.errors import ImageError, cause

EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Entry:
    """A file of an image: where it goes, and where its content is here (a link where `link` is set)."""

    target: str
    source: Path | None = None
    link: str = ""


@dataclass(frozen=True)
class Container:
    """An image to be written: its references, files and what Docker runs."""

    references: tuple[str, ...]
    entries: tuple[Entry, ...]
    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    labels: Mapping[str, str] = field(default_factory=dict)


def write(archive: Path, container: Container) -> None:
    """Writes an image of one layer. The same files give the same bytes: no times, no owners, sorted names."""
    layer = archive.with_suffix(".layer")
    _write_layer(layer, container.entries)
    with layer.open("rb") as content:
        diff_id = hashlib.file_digest(content, "sha256").hexdigest()
    config = json.dumps(_config(container, diff_id), sort_keys=True).encode()
    name = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{name}.json", "RepoTags": list(container.references), "Layers": [f"{diff_id}/layer.tar"]}]
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
        _add_bytes(tar, f"{name}.json", config)
        _add_file(tar, f"{diff_id}/layer.tar", layer, 0o644)
        _add_bytes(tar, "manifest.json", json.dumps(manifest).encode())
    layer.unlink()


def _config(container: Container, diff_id: str) -> dict[str, Any]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": EPOCH,
        "config": {
            "Env": [f"{key}={value}" for key, value in sorted(container.environment.items())],
            "Entrypoint": list(container.entrypoint) or None,
            "Labels": dict(container.labels),
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
        "history": [{"created": EPOCH, "created_by": "meshctl"}],
    }


def _write_layer(path: Path, entries: Sequence[Entry]) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for folder in _folders(entries):
            info = _info(folder, 0o1777 if folder == "tmp" else 0o755)
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
        for entry in sorted(entries, key=lambda entry: entry.target):
            name = entry.target.lstrip("/")
            if entry.source is None:
                info = _info(name, 0o777)
                info.type, info.linkname = tarfile.SYMTYPE, entry.link
                tar.addfile(info)
            else:
                _add_file(tar, name, entry.source, 0o755 if entry.source.stat().st_mode & 0o111 else 0o644)


def _folders(entries: Sequence[Entry]) -> list[str]:
    parents = {
        str(parent) for entry in entries for parent in Path(entry.target.lstrip("/")).parents if str(parent) != "."
    }
    return sorted(parents | {"tmp"})


def _info(name: str, mode: int, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.size = mode, size
    return info


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    tar.addfile(_info(name, 0o644, len(content)), io.BytesIO(content))


def _add_file(tar: tarfile.TarFile, name: str, source: Path, mode: int) -> None:
    with source.open("rb") as content:
        tar.addfile(_info(name, mode, source.stat().st_size), content)


def references(archive: Path) -> tuple[str, ...]:
    """The references in a docker-save archive, plain or gzipped. Raises ImageError when it is none."""
    try:
        with tarfile.open(archive, "r:*") as tar:
            return _references(tar)
    except (tarfile.TarError, OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise ImageError(
            f"{archive}: not an archive of `docker save`: {cause(error)}",
            hint="`docker save REFERENCE -o FILE` writes one",
        ) from error


def _references(tar: tarfile.TarFile) -> tuple[str, ...]:
    names = set(tar.getnames())
    if "manifest.json" in names:
        images = json.loads(_content(tar, "manifest.json"))
        return tuple(tag for image in images for tag in image.get("RepoTags") or ())
    if "repositories" in names:  # Docker before 1.10
        said = json.loads(_content(tar, "repositories"))
        return tuple(f"{repository}:{tag}" for repository, tags in said.items() for tag in tags)
    raise ValueError("it has no manifest.json")


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(name)
    if member is None:
        raise ValueError(f"{name} is not a file")
    return member.read()
