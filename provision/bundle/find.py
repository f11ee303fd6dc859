"""From what an inventory calls its bundle to the folder."""

from __future__ import annotations

from pathlib import Path

from provision.base.errors import ImageError
from provision.bundle import extended, source

BUILT = {source.NAME: source.cached, extended.NAME: extended.cached}
HOW = {
    source.NAME: f"meshctl bundle build --from {source.NAME}",
    extended.NAME: f"meshctl bundle build --from {source.NAME} --with tracing",
}


def find(name: str) -> Path:
    """A built one is in the cache, anything else is a folder. Raises ImageError when there is none."""
    if name in BUILT:
        built = BUILT[name]()
        if built is None:
            raise ImageError(f"the bundle {name} has not been built", hint=HOW[name])
        return built
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise ImageError(
            f"bundle {name}: there is no such folder",
            hint=f"kubernetes.bundle is {' or '.join(BUILT)}, or the folder of a sealed bundle",
        )
    return folder
