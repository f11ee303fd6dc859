"""Seals a folder: bundle.yaml from whatever lies in it, or every reason why it cannot be a bundle."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from provision.base.errors import ImageError
from provision.base.events import Emit, Warned, nowhere
from provision.bundle.containers import references
from provision.bundle.model import Bundle, Image, MeshImage, TracingImages, hashed, save

BINARIES = ("bin/kubeadm", "bin/kubelet", "bin/kubectl", "cni/bridge", "cni/host-local", "cni/loopback")

STANDIN = "l5d-standin"
"""Last part of the repository of what stands in for linkerd; any image so named is labelled a stand-in everywhere."""

ZIPKIN, DATABASE = "zipkin", "zipkin-database"
"""Last parts of the repositories of the two images that `tracing:` needs; both, or none, are of use."""

_1_5 = (
    "gcr.io/google_containers/kube-apiserver-amd64:{version}",
    "gcr.io/google_containers/kube-controller-manager-amd64:{version}",
    "gcr.io/google_containers/kube-scheduler-amd64:{version}",
    "gcr.io/google_containers/kube-proxy-amd64:{version}",
    "gcr.io/google_containers/etcd-amd64:3.0.14-kubeadm",
    "gcr.io/google_containers/kube-discovery-amd64:1.0",
    "gcr.io/google_containers/pause-amd64:3.0",
    "gcr.io/google_containers/kubedns-amd64:1.9",
    "gcr.io/google_containers/kube-dnsmasq-amd64:1.4",
    "gcr.io/google_containers/dnsmasq-metrics-amd64:1.0",
    "gcr.io/google_containers/exechealthz-amd64:1.2",
)
"""kubeadm 1.5's images: kubernetes/cmd/kubeadm/app/images/images.go at a092d8e0f95f52."""

_1_20 = (
    "k8s.gcr.io/kube-apiserver:{version}",
    "k8s.gcr.io/kube-controller-manager:{version}",
    "k8s.gcr.io/kube-scheduler:{version}",
    "k8s.gcr.io/kube-proxy:{version}",
    "k8s.gcr.io/pause:3.2",
    "k8s.gcr.io/etcd:3.4.13-0",
    "k8s.gcr.io/coredns:1.7.0",
)
"""`kubeadm config images list --kubernetes-version v1.20.2`."""

_REQUIRED = {"1.5": _1_5, "1.20": _1_20}


@dataclass(frozen=True)
class Contents:
    """What lies in a folder: files relative to it, and images by archive."""

    files: tuple[str, ...]
    images: tuple[Image, ...]


def required_images(version: str) -> tuple[str, ...]:
    """The images that kubeadm of this version wants. Raises ImageError for a version that meshctl has no profile for."""
    match = re.fullmatch(r"v(1\.5|1\.20)\.[0-9]+", version)
    if match is None:
        raise ImageError(
            f"there is no profile for Kubernetes {version!r}", hint="v1.5.x and v1.20.x, written like v1.5.8"
        )
    return tuple(reference.format(version=version) for reference in _REQUIRED[match[1]])


def seal(folder: Path, version: str, emit: Emit = nowhere) -> Bundle:
    """Writes bundle.yaml. Raises ImageError that names everything that is missing or unfit, at once.

    Without an image of the mesh, of kubectl or of the echo app the bundle is sealed with a warning: it can carry a
    cluster, and `provision` says what lacks when it comes to the mesh.
    """
    if not folder.is_dir():
        raise ImageError(f"{folder} is not a folder", hint="a bundle is a folder with bin/, cni/ and images/*.tar")
    needed = required_images(version)
    contents = _contents(folder)
    problems = [*_problems(folder, contents, needed)]
    if problems:
        text = "\n".join(f"  {problem}" for problem in problems)
        raise ImageError(
            f"{folder} cannot be sealed for Kubernetes {version}:\n{text}",
            hint="put these there and seal again; image archives are written by `docker save`",
        )
    bundle = _bundle(folder, version, contents, emit)
    for warning in _warnings(bundle):
        emit(warning)
    return save(folder, bundle)


def _contents(folder: Path) -> Contents:
    patterns = ("bin/*", "cni/*", "images/*.tar", "images/*.tar.gz", "images/*.tgz")
    files = sorted(
        str(path.relative_to(folder)) for pattern in patterns for path in folder.glob(pattern) if path.is_file()
    )
    archives = [path for path in files if path.startswith("images/")]
    return Contents(
        tuple(files), tuple(Image(reference, path) for path in archives for reference in references(folder / path))
    )


def _problems(folder: Path, contents: Contents, needed: tuple[str, ...]) -> Iterator[str]:
    for path in BINARIES:
        if path not in contents.files:
            yield f"{path} is missing"
    for path in contents.files:
        if path.startswith(("bin/", "cni/")) and (fault := _unfit(folder / path)):
            yield f"{path}: {fault}"
    there = {image.reference for image in contents.images}
    for reference in needed:
        if reference not in there:
            yield f"no archive in images/ holds {reference}{_other_tag(reference, there)}"
    for reference in sorted(there):
        archives = [image.archive for image in contents.images if image.reference == reference]
        if len(archives) > 1:
            yield f"{reference} is in {' and in '.join(archives)}: which one?"


def _unfit(path: Path) -> str:
    """ELF header: magic, 64 bit, little endian, machine 62 (x86-64); see elf(5)."""
    with path.open("rb") as content:
        head = content.read(20)
    if head[:4] != b"\x7fELF":
        return "not a program (ELF)"
    if head[4:6] != b"\x02\x01" or head[18:20] != b"\x3e\x00":
        return "not a program for amd64"
    return ""


def _other_tag(reference: str, there: set[str]) -> str:
    repository = reference.rpartition(":")[0]
    near = sorted(other for other in there if other.rpartition(":")[0] == repository)
    return f" (there is {', '.join(near)})" if near else ""


def _bundle(folder: Path, version: str, contents: Contents, emit: Emit) -> Bundle:
    names = [image.reference for image in contents.images]
    mesh = _first(names, "linkerd") or _first(names, STANDIN)
    return Bundle(
        kubernetes=version,
        architecture="amd64",
        files=tuple(hashed(folder, contents.files, emit)),
        images=contents.images,
        mesh=MeshImage(mesh, standin=last_part(mesh) == STANDIN) if mesh else None,
        kubectl=_first(names, "kubectl"),
        echo=_first(names, "echo"),
        digest="",
        tracing=_tracing(_first(names, ZIPKIN), _first(names, DATABASE)),
    )


def _tracing(zipkin: str | None, database: str | None) -> TracingImages | None:
    return TracingImages(zipkin, database) if zipkin and database else None


def _first(references: list[str], name: str) -> str | None:
    return next((reference for reference in references if last_part(reference) == name), None)


def last_part(reference: str) -> str:
    """`zipkin` of openzipkin/zipkin:3.5.1."""
    return reference.rpartition("/")[2].partition(":")[0]


def _warnings(bundle: Bundle) -> Iterator[Warned]:
    if bundle.mesh is None:
        yield Warned(
            "no image of linkerd (nor the stand-in): the mesh cannot be installed from this bundle",
            "docker save buoyantio/linkerd:0.8.5 -o images/linkerd.tar, then seal again",
        )
    elif bundle.mesh.standin:
        yield Warned(f"{bundle.mesh.image} is a stand-in for linkerd: for laboratories only")
    if bundle.kubectl is None:
        yield Warned(
            "no image of kubectl: linkerd's side-car needs one",
            "docker save buoyantio/kubectl:v1.4.0 -o images/kubectl.tar, then seal again",
        )
    if bundle.echo is None:
        yield Warned(
            "no image of the echo app: the mesh cannot be verified by a request",
            "`meshctl bundle build` writes meshctl/echo; copy its archive here and seal again",
        )
    held = {last_part(image.reference) for image in bundle.images} & {ZIPKIN, DATABASE}
    if len(held) == 1:
        yield Warned(
            f"of Zipkin's two images there is {held.pop()} only: this bundle has no tracing",
            "`meshctl bundle build --with tracing` writes both; copy their archives here and seal again",
        )
