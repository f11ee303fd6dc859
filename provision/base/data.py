"""Finds the data folders (images/, cloud-init/, inventories/), in a checkout or in an installed wheel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from provision.base.errors import MeshctlError

_PACKAGE = Path(__file__).resolve().parents[1]


def folder(name: str) -> Path:
    """The data folder `name`: inside the wheel as provision/_data/NAME, in a checkout beside the package."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def recipes() -> tuple[str, ...]:
    """Names of the base images that there are recipes of."""
    return tuple(sorted(path.stem for path in folder("images").glob("*.yaml")))


def cache(*parts: str) -> Path:
    """A path in the user's cache: $MESHCTL_CACHE, else $XDG_CACHE_HOME/meshctl, else ~/.cache/meshctl. Not created."""
    return _base("MESHCTL_CACHE", "XDG_CACHE_HOME", ".cache").joinpath(*parts)


def state(*parts: str) -> Path:
    """A path for run logs: $MESHCTL_STATE, else $XDG_STATE_HOME/meshctl, else ~/.local/state/meshctl. Not created."""
    return _base("MESHCTL_STATE", "XDG_STATE_HOME", ".local/state").joinpath(*parts)


def private_folder(path: Path) -> Path:
    """Makes a folder in the state folder, and those above it that are missing, for this user alone. Raises OSError."""
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def private_file(path: Path) -> IO[str]:
    """A new text file that only this user can read, opened for writing. Raises OSError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8")


def _base(own: str, xdg: str, fallback: str) -> Path:
    if value := os.environ.get(own):
        return Path(value)
    if value := os.environ.get(xdg):
        return Path(value) / "meshctl"
    try:
        return Path.home() / fallback / "meshctl"
    except RuntimeError as error:
        raise MeshctlError(
            f"there is no home folder: HOME is not set, and this user (uid {os.getuid()}) is in no list",
            hint=f"set HOME or {own}",
        ) from error
