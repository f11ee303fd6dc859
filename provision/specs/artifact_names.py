"""Names of base images and bundles in pools.

An artifact is known by its content: `meshctl.debian-12.<32 digits of its sha256>.qcow2`. Each upload makes a copy of its own,
`meshctl.debian-12.<digits>-<8 random ones>.qcow2`, so that nobody ever writes to a volume of somebody else's; a copy is complete
when the empty volume `<copy>.verified` stands beside it, which is made after the copy's content was verified. A baked image says in its
name of which base image it was made: `meshctl.debian-12-baked-<8 digits of that one's sha256>.<digits>.qcow2`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_ARTIFACT = re.compile(
    r"meshctl\.(?P<name>[a-z0-9][a-z0-9.-]*)\.(?P<digest>[0-9a-f]{32})-(?P<upload>[0-9a-f]{8})\.(qcow2|iso)"
)
_FORMER = re.compile(r"meshctl\.[a-z0-9][a-z0-9.-]*\.[0-9a-f]{12}\.(qcow2|iso)")
"""Until 0.1: by the recipe's digest, which says nothing of the content. Guests that were made on one go on living on it."""

_BASE = re.compile(
    r"meshctl\.[a-z0-9.-]*?(-baked-(?P<baked>[0-9a-f]{8}))?\.(?P<plain>[0-9a-f]{8})[0-9a-f]{24}(-[0-9a-f]{8})?\.qcow2"
)
_MARK = ".verified"


def artifact_name(name: str, sha256: str, suffix: str) -> str:
    """The name of a content. 32 hex digits: no two contents meet by accident."""
    return f"meshctl.{name}.{sha256[:32]}.{suffix}"


def baked_name(name: str, base_sha256: str) -> str:
    """What an image that was baked of a base image is called, for `artifact_name`."""
    return f"{name}-baked-{base_sha256[:8]}"


def base_digits(name: str) -> str:
    """Of a base image, or a copy of one, the first digits of its sha256; of a baked one those of the base image that it was made of.

    "" for anything else, and for the former naming.
    """
    match = _BASE.fullmatch(name)
    return (match["baked"] or match["plain"]) if match else ""


def copy_name(artifact: str, upload: str) -> str:
    """The name of one upload's copy; `upload` are its eight random hex digits."""
    stem, _, suffix = artifact.rpartition(".")
    return f"{stem}-{upload}.{suffix}"


def mark_name(copy: str) -> str:
    """The volume that says that a copy is complete and was verified."""
    return copy + _MARK


def upload_of(copy: str) -> str:
    """The random digits of the upload that made a copy, "" when it is none."""
    match = _ARTIFACT.fullmatch(copy)
    return match["upload"] if match else ""


def is_copy(name: str, artifact: str) -> bool:
    """Whether a volume is somebody's copy of an artifact, complete or not."""
    upload = upload_of(name)
    return bool(upload) and name == copy_name(artifact, upload)


def complete_copy(artifact: str, volumes: Iterable[str]) -> str | None:
    """Of a pool's volumes the complete copy of an artifact; of several always the same one."""
    names = frozenset(volumes)
    stem, _, suffix = artifact.rpartition(".")
    copies = (name for name in names if name.startswith(f"{stem}-") and name.endswith(f".{suffix}") and upload_of(name))
    return min((copy for copy in copies if mark_name(copy) in names), default=None)


def incomplete_copies(volumes: Iterable[str]) -> tuple[str, ...]:
    """Copies of whatever artifact that are not complete: uploads that go on, or that were ended."""
    names = frozenset(volumes)
    return tuple(sorted(name for name in names if upload_of(name) and mark_name(name) not in names))


def is_artifact(name: str) -> bool:
    """Whether a volume is a copy of a base image or bundle that meshctl put there, of today's naming or the former."""
    return bool(upload_of(name) or _FORMER.fullmatch(name))


def marked_copy(name: str) -> str:
    """The copy that a volume is the mark of, "" for any other volume."""
    copy = name.removesuffix(_MARK)
    return copy if copy != name and upload_of(copy) else ""


def is_bundle(name: str) -> bool:
    """Whether a volume is a bundle's disk."""
    return is_artifact(name) and name.startswith("meshctl.bundle.") and name.endswith(".iso")
