"""What is built once and kept in the cache under a name that says what it is made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from provision.base.alone import alone
from provision.base.events import Emit


def kept(target: Path) -> Path | None:
    """The folder, None when it has not been built."""
    return target if target.is_dir() else None


def once(target: Path, make: Callable[[], None], *, what: str, within_s: float, emit: Emit, anew: bool = False) -> Path:
    """The folder, made now unless it is there, by one process at a time; `anew`: made in any case.

    `make` puts it there whole. Raises StageTimeout when another makes it for longer than `within_s` seconds.
    """
    if target.is_dir() and not anew:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = target.with_name(f".{target.name}.lock")
    with alone(lock, what=what, seen="another meshctl builds it", within_s=within_s, emit=emit):
        if anew or not target.is_dir():  # who waited finds it made
            make()
    return target
