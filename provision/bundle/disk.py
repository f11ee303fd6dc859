"""The bundle as one read-only disk: an ISO 9660 image labelled `meshbundle`, made once per bundle, in the cache.

Equal bundles give equal bytes, whoever makes the disk and when: its sha256 is what pools know it by.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from provision.base import data
from provision.base.content import content_sha256
from provision.base.events import Changed, Emit, nowhere
from provision.base.shell import Local
from provision.base.units import approximate_size
from provision.bundle.model import NAME, load
from provision.images import EPOCH

LABEL = "meshbundle"
"""The volume label by which guests find the disk."""

_DATE = datetime.fromtimestamp(EPOCH, UTC).strftime("%Y%m%d%H%M%S00")
_MAKE = (
    *("xorriso", "-as", "mkisofs", "-quiet", "-r", "-J", "-joliet-long", "-V", LABEL),
    *(f"--modification-date={_DATE}", "--set_all_file_dates", _DATE),
)


def make_disk(folder: Path, emit: Emit = nowhere) -> Path:
    """The disk of a sealed bundle, from the cache or made now (about 1 GB in 3 s). Raises ImageError without a seal."""
    bundle = load(folder)
    path = data.cache("disks", f"{LABEL}-{bundle.digest[:12]}.iso")
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        # Only what is sealed goes in, in the seal's order. Rock Ridge keeps names (-r: root's, with the same modes wherever the
        # bundle was laid out); -J is for people who look at it elsewhere.
        grafts = [f"{name}={folder / name}" for name in (NAME, *(file.path for file in bundle.files))]
        argv = [*_MAKE, "-o", str(partial), "-graft-points", *grafts]
        Local(env={"TZ": "UTC"}).run(argv, within_s=600)
        partial.rename(path)
        content_sha256(path)  # now, so that no plan has to wait for it
    finally:
        partial.unlink(missing_ok=True)
    emit(Changed("this machine", f"bundle disk {path.name}", f"made: {approximate_size(path.stat().st_size)}"))
    return path
