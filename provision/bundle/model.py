"""bundle.yaml: what a bundle holds, by digest. Format 1.

format: 1
kubernetes: v1.20.2
architecture: amd64
files: [{path: bin/kubelet, sha256: …, size: …}, …]
images: [{reference: k8s.gcr.io/pause:3.2, archive: images/pause.tar}, …]
mesh: {image: "buoyantio/linkerd:0.8.5", standin: false}
kubectl: …      # image of the mesh's side-car
echo: …         # image of the application that the mesh is verified with
tracing: {zipkin: "meshctl/zipkin:3.5.1", database: "meshctl/zipkin-database:3.5.1"}    # where it has them
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from provision.base.errors import ImageError, cause
from provision.base.events import Emit, Progress, nowhere

NAME = "bundle.yaml"
FORMAT = 1


@dataclass(frozen=True)
class File:
    """A file of the bundle: its path below the folder, digest, and size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Image:
    """A container image: its reference, and the archive that holds it."""

    reference: str
    archive: str


@dataclass(frozen=True)
class MeshImage:
    """The mesh's image; `standin` says that it is not linkerd but what stands in for it where linkerd cannot be had."""

    image: str
    standin: bool


@dataclass(frozen=True)
class TracingImages:
    """The images of Zipkin and of its database."""

    zipkin: str
    database: str


@dataclass(frozen=True)
class Bundle:
    """A sealed bundle. `digest` is the sha256 of bundle.yaml, which holds the digests of all else."""

    kubernetes: str
    architecture: str
    files: tuple[File, ...]
    images: tuple[Image, ...]
    mesh: MeshImage | None
    kubectl: str | None
    echo: str | None
    digest: str
    tracing: TracingImages | None = None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def load(folder: Path) -> Bundle:
    """The bundle in a folder. Raises ImageError when there is no seal or it is not of format 1."""
    path = folder / NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        hint = f"seal it: meshctl bundle seal {folder} --kubernetes vX.Y.Z"
        raise ImageError(f"{folder} is not a sealed bundle: {NAME}: {cause(error)}", hint=hint) from error
    try:
        said = yaml.safe_load(content)
        return _bundle(said, hashlib.sha256(content).hexdigest())
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ImageError(f"{path}: not a bundle of format {FORMAT}: {cause(error)}", hint="seal it again") from error


def _bundle(said: dict[str, Any], digest: str) -> Bundle:
    if said["format"] != FORMAT:
        raise ValueError(f"format is {said['format']!r}")
    mesh, tracing = said.get("mesh"), said.get("tracing")
    return Bundle(
        kubernetes=str(said["kubernetes"]),
        architecture=str(said["architecture"]),
        files=tuple(File(_inside(f["path"]), str(f["sha256"]), int(f["size"])) for f in said["files"]),
        images=tuple(Image(str(i["reference"]), _inside(i["archive"])) for i in said["images"]),
        mesh=MeshImage(str(mesh["image"]), bool(mesh["standin"])) if mesh else None,
        kubectl=said.get("kubectl"),
        echo=said.get("echo"),
        digest=digest,
        tracing=TracingImages(str(tracing["zipkin"]), str(tracing["database"])) if tracing else None,
    )


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in Path(path).parts:
        raise ValueError(f"{path!r} leads out of the bundle")
    return path


def save(folder: Path, bundle: Bundle) -> Bundle:
    """Writes bundle.yaml, whole; gives the bundle with its digest."""
    said = {"format": FORMAT, **{key: value for key, value in asdict(bundle).items() if key != "digest"}}
    if bundle.tracing is None:
        del said["tracing"]  # bundles without it are known by the digest that they always had
    said["files"], said["images"] = list(said["files"]), list(said["images"])
    content = yaml.safe_dump(said, sort_keys=False, width=120).encode()
    partial = folder / f".{NAME}.partial"
    partial.write_bytes(content)
    os.replace(partial, folder / NAME)
    return load(folder)


def hashed(folder: Path, paths: tuple[str, ...], emit: Emit = nowhere) -> Iterator[File]:
    """Digest and size of each file."""
    total = sum((folder / path).stat().st_size for path in paths)
    done = 0
    for path in paths:
        size = (folder / path).stat().st_size
        with (folder / path).open("rb") as content:
            yield File(path, hashlib.file_digest(content, "sha256").hexdigest(), size)
        done += size
        emit(Progress("hashing the bundle", done, total, "bytes"))


def verify(folder: Path, emit: Emit = nowhere) -> Bundle:
    """Hashes everything again. Raises ImageError naming each file that differs or is missing."""
    bundle = load(folder)
    wanted = {file.path: file for file in bundle.files}
    missing = [path for path in wanted if not (folder / path).is_file()]
    there = tuple(path for path in wanted if path not in missing)
    different = [file.path for file in hashed(folder, there, emit) if file != wanted[file.path]]
    problems = [*(f"{path} is missing" for path in missing), *(f"{path} is not what was sealed" for path in different)]
    if problems:
        text = "\n".join(f"  {problem}" for problem in problems)
        raise ImageError(
            f"{folder}: {len(problems)} of {len(wanted)} files are wrong:\n{text}",
            hint="copy it again from where it was sealed",
        )
    return bundle
