"""Builds a base image: mmdebstrap makes the system, `disk` the disk, qemu-img the compressed qcow2."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from provision.base import data
from provision.base.content import content_sha256
from provision.base.errors import ImageError, ShellError
from provision.base.events import Changed, Emit, Output, Progress, nowhere
from provision.base.shell import Local
from provision.base.units import GIB, approximate_size
from provision.images import disk, mirror, recipes, reproducible, system
from provision.images.recipes import Recipe
from provision.images.workspace import workspace

STEPS = ("sources", "packages", "filesystem", "boot loader", "compression")
NEEDED_FREE = 4 * GIB
"""System, disk and image of Debian with Docker take 2.2 GiB while the image is built."""

MMDEBSTRAP_WITHIN_S = 1800.0
CONVERT = ("qemu-img", "convert", "-c", "-m", "4", "-O", "qcow2", "-o", "compression_type=zstd,compat=1.1")
PROGRAMS = {
    "setpriv": "util-linux",
    "mmdebstrap": "mmdebstrap",
    "sfdisk": "fdisk",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "dumpe2fs": "e2fsprogs",
    "grub-mkimage": "grub-common",
    "qemu-img": "qemu-utils",
}
FILES = {str(disk.GRUB_FOLDER / "boot.img"): "grub-pc-bin", mirror.KEYRING: "debian-archive-keyring"}


def digest(found: Recipe) -> str:
    """64 hex digits over the recipe and over everything that the builder adds to it. Needs no network."""
    command = system.mmdebstrap(found, "ROOT", "FILES")
    own = [(file.path, file.content, file.mode) for file in system.files(found)]
    boot = [disk.partition_table(found), disk.grub_config(found), disk.GRUB_MODULES, disk.GRUB_PREFIX]
    return recipes.digest(found, [command, own, boot, CONVERT, sorted(reproducible.ENVIRONMENT.items())])


def path(found: Recipe) -> Path:
    """Where the image of a recipe is, or will be."""
    return data.cache("images", f"{found.name}-{digest(found)[:12]}.qcow2")


def cached(name: str) -> Path | None:
    """The image of the recipe as it is now, when it has been built. Raises ImageError for a faulty recipe."""
    target = path(recipes.recipe(name))
    return target if target.is_file() else None


def build(name: str, emit: Emit = nowhere) -> Path:
    """Builds the image `name` unless it is in the cache, and gives its path.

    Needs root and some programs from Debian; raises ImageError when something is missing or a step fails.
    An interrupted build leaves nothing behind but a folder, where removing it takes too long, that the next build removes.
    """
    found = recipes.recipe(name)
    target = path(found)
    if target.is_file():
        return target
    _check_machine(found, target.parent)
    with workspace(target.parent, found.name, emit, within_s=MMDEBSTRAP_WITHIN_S) as place:
        if not target.is_file():  # the run that we waited for may have built it
            _build(found, place, target, emit)
    return target


def _build(found: Recipe, place: Path, target: Path, emit: Emit) -> None:
    started = time.monotonic()
    try:
        image = _Build(found, place, emit).image()
    except ShellError as error:
        raise ImageError(f"base image {found.name}: {error.message}", hint=error.hint) from error
    size = approximate_size(image.stat().st_size)
    target.with_suffix(".packages").write_text(reproducible.packages(place / "root"), encoding="utf-8")
    image.rename(target)
    content_sha256(target)  # now, so that no plan has to wait for it
    emit(Changed("this machine", str(target), f"built: {size} in {time.monotonic() - started:.0f} s"))


class _Build:
    """One build, in a folder of its own."""

    def __init__(self, found: Recipe, place: Path, emit: Emit) -> None:
        self.recipe, self.place, self.emit = found, place, emit
        self.root, self.files, self.disk = place / "root", place / "files.tar", place / "disk.raw"
        self.shell = Local(env=reproducible.ENVIRONMENT)

    def image(self) -> Path:
        """The finished qcow2, still in the folder of the build."""
        self._step("sources")
        archive, security = mirror.find(self.shell)
        began = time.time()
        self._system(mirror.sources(self.recipe, archive, security))
        self._step("filesystem")
        reproducible.settle_times(self.root, began)
        disk.make_filesystem(self.shell, self.recipe, self.root, self.disk)
        self._step("boot loader")
        disk.install_grub(self.shell, self.disk)
        self._step("compression")
        image = self.place / "disk.qcow2"
        self.shell.run([*CONVERT, str(self.disk), str(image)], within_s=600)
        self.emit(Progress(f"base image {self.recipe.name}", len(STEPS), len(STEPS), "steps"))
        return image

    def _system(self, sources: str) -> None:
        self._step("packages")
        system.archive(self.recipe, self.files)
        proxied = Local(env={**reproducible.ENVIRONMENT, **mirror.proxy(self.shell)})
        proxied.run(
            system.mmdebstrap(self.recipe, str(self.root), str(self.files)),
            stdin=sources.encode(),
            within_s=MMDEBSTRAP_WITHIN_S,
            on_line=lambda line: self.emit(Output("mmdebstrap", line)),
        )
        # mmdebstrap ends with removing some of the files, and with an identity of its own taste.
        self.shell.run(["tar", "--extract", "--file", str(self.files), "--directory", str(self.root)])

    def _step(self, step: str) -> None:
        self.emit(Progress(f"base image {self.recipe.name}: {step}", STEPS.index(step), len(STEPS), "steps"))


def _check_machine(found: Recipe, folder: Path) -> None:
    if os.geteuid() != 0:
        raise ImageError(
            f"building the base image {found.name} needs root: it makes files of many owners",
            hint=f"run `meshctl image build {found.name}` as root, or put {path(found).name} into {folder}",
        )
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    missing |= {package for file, package in FILES.items() if not Path(file).is_file()}
    if missing:
        raise ImageError(
            f"building the base image {found.name} needs packages that are not installed: {', '.join(sorted(missing))}",
            hint=f"apt-get install {' '.join(sorted(missing))}",
        )
    folder.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(folder).free) < NEEDED_FREE:
        raise ImageError(
            f"{folder}: {approximate_size(free)} are free, the build needs {approximate_size(NEEDED_FREE)}",
            hint="free some, or let MESHCTL_CACHE name a folder on another disk",
        )
