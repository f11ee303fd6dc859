"""A folder for one piece of work in the cache, which is gone afterwards, however the work ended."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provision.base.alone import alone
from provision.base.events import Emit
from provision.base.interruption import tidying
from provision.base.shell import Local


@contextmanager
def workspace(folder: Path, name: str, emit: Emit, *, within_s: float) -> Iterator[Path]:
    """A folder below `folder` for one piece of work at a time, so what others left is nobody's.

    Raises StageTimeout when another process works there for longer than `within_s` seconds.
    """
    lock, seen = folder / f".{name}.lock", "another meshctl makes this image"
    with alone(lock, what=f"the work that holds {lock}", seen=seen, within_s=within_s, emit=emit):
        for stale in folder.glob(f".{name}.partial-*"):
            _remove(stale)
        place = Path(tempfile.mkdtemp(prefix=f".{name}.partial-", dir=folder))
        place.chmod(0o755)
        try:
            yield place
        finally:
            _remove(place)


def _remove(place: Path) -> None:
    # --one-file-system: whatever may still be mounted below is not ours to remove.
    with tidying():
        Local().run(["rm", "--recursive", "--force", "--one-file-system", str(place)], within_s=120)
