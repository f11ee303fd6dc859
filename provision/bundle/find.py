"""From what an inventory calls its bundle to the folder."""

from __future__ import annotations

from pathlib import Path

from provision.base.errors import ImageError
from provision.bundle.source import NAME, cached


def find(name: str) -> Path:
    """`debian-source` is the built one in the cache, anything else a folder. Raises ImageError when there is none."""
    if name == NAME:
        built = cached()
        if built is None:
            raise ImageError(f"the bundle {NAME} has not been built", hint=f"meshctl bundle build --from {NAME}")
        return built
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise ImageError(
            f"bundle {name}: there is no such folder",
            hint=f"kubernetes.bundle is {NAME}, or the folder of a sealed bundle",
        )
    return folder
