"""Baked images: a base image with a bundle's programs and container images in it, kept in the cache by the sha256 of its content.

Beside each lies a file that says what it was made of, written last: an image without one is none.
"""

from __future__ import annotations

import json
import shutil
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from provision.base import data
from provision.base.content import content_sha256
from provision.base.errors import ImageError, ShellError
from provision.base.events import Emit, nowhere
from provision.base.moments import moment
from provision.base.shell import Local
from provision.base.units import approximate_size
from provision.images.builder import CONVERT, PROGRAMS
from provision.images.workspace import workspace

FORMAT = 1
TURN_S = 3600.0
"""How long a bake waits for the one before it on this machine."""

CONVERT_S = 3600.0
"""zstd takes half a minute for a gigabyte on two cores; a busy machine ten times that."""


@dataclass(frozen=True)
class Origin:
    """What a baked image was made of: the recipe's name and the sha256 of the base image, version and digest of the bundle."""

    image: str
    base_sha256: str
    kubernetes: str
    bundle_digest: str


@dataclass(frozen=True)
class Baked:
    """A baked image in the cache. `at` is the moment at which it was made."""

    origin: Origin
    path: Path
    sha256: str
    at: str

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size


def baked_folder() -> Path:
    """Where baked images are. Not created."""
    return data.cache("baked")


def all_baked() -> tuple[Baked, ...]:
    """Every baked image in the cache, the youngest first. Files that say nothing this version can read are passed over."""
    found = [one for said in baked_folder().glob("*.json") if (one := _read(said))]
    return tuple(sorted(found, key=lambda one: (one.at, one.sha256), reverse=True))


def baked_of(base_sha256: str, bundle_digest: str) -> Baked | None:
    """The youngest image that was baked of exactly this base image and bundle.

    Raises ImageError when its content is no longer what it was: it is not passed over, as nobody would know why nodes take so long.
    """
    wanted = (base_sha256, bundle_digest)
    made = (one for one in all_baked() if (one.origin.base_sha256, one.origin.bundle_digest) == wanted)
    found = next(made, None)
    if found is not None and content_sha256(found.path) != found.sha256:
        raise ImageError(
            f"{found.path} was changed since it was baked",
            hint=f"remove it, and `meshctl image bake INVENTORY` makes it anew: rm {found.path}",
        )
    return found


def check_room(needed: int) -> None:
    """Raises ImageError when the cache has less than `needed` bytes free, or qemu-img is not there."""
    if shutil.which("qemu-img") is None:
        raise ImageError(
            f"baking needs a package that is not installed: {PROGRAMS['qemu-img']}",
            hint=f"apt-get install {PROGRAMS['qemu-img']}",
        )
    baked_folder().mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(baked_folder()).free) < needed:
        raise ImageError(
            f"{baked_folder()}: {approximate_size(free)} are free, baking needs {approximate_size(needed)}",
            hint="free some, or let MESHCTL_CACHE name a folder on another disk",
        )


def place_to_bake(origin: Origin, emit: Emit = nowhere) -> AbstractContextManager[Path]:
    """A folder in which an image of this origin is made: one at a time."""
    return workspace(baked_folder(), f"{origin.image}-baked", emit, within_s=TURN_S)


def keep(disk: Path, base: Path, origin: Origin) -> Baked:
    """Makes of a guest's root disk, a qcow2 file over `base`, an image that stands alone, and keeps it. `disk` is used up.

    Raises ImageError when the disk is damaged.
    """
    whole = disk.with_name("whole.qcow2")
    try:
        _flatten(disk, base, whole)
    except ShellError as error:
        raise ImageError(f"the guest's disk cannot be made an image: {error.message}", hint=error.hint) from error
    disk.unlink()
    sha256 = content_sha256(whole)
    target = baked_folder() / f"{origin.image}-{origin.kubernetes}-{sha256[:12]}.qcow2"
    whole.rename(target)
    said = {"format": FORMAT, **asdict(origin), "sha256": sha256, "at": moment(time.time())}
    content_sha256(target)  # now, so that no plan has to wait for it
    _write(_beside(target), said)
    return Baked(origin, target, sha256, str(said["at"]))


def _flatten(disk: Path, base: Path, whole: Path) -> None:
    """The header's own word for where the base image lies is the host's: what it says is replaced, not followed (-u)."""
    shell = Local()
    shell.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(disk)])
    shell.run(["qemu-img", "check", "-q", "-f", "qcow2", str(disk)], within_s=600)
    shell.run([*CONVERT, "-f", "qcow2", str(disk), str(whole)], within_s=CONVERT_S)


def _beside(image: Path) -> Path:
    return image.with_suffix(".json")


def _write(path: Path, said: object) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def _read(path: Path) -> Baked | None:
    image = path.with_suffix(".qcow2")
    with suppress(OSError, ValueError, TypeError, KeyError):
        said = json.loads(path.read_bytes())
        origin = Origin(*(str(said[name]) for name in Origin.__dataclass_fields__))
        if said["format"] == FORMAT and image.is_file():
            return Baked(origin, image, str(said["sha256"]), str(said["at"]))
    return None
