"""The double's memory: JSON files under a lock, and what all of its commands share."""

from __future__ import annotations

import fcntl
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

HERE = Path("/var/lib/double")
SHARED = Path("/srv/double")


@contextmanager
def remembered(name: str) -> Iterator[dict[str, Any]]:
    """A dict that is written back at the end; other processes wait meanwhile."""
    HERE.mkdir(parents=True, exist_ok=True)
    path = HERE / f"{name}.json"
    with open(HERE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        values: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        yield values
        new = path.with_suffix(".new")
        new.write_text(json.dumps(values, indent=1))
        new.rename(path)


def refuse(message: str, status: int = 1) -> NoReturn:
    """Ends like the real program would, or, for what the double does not know, says so."""
    print(message, file=sys.stderr)
    sys.exit(status)


def strict(program: str, words: list[str]) -> NoReturn:
    """A form of a command that the double does not accept."""
    refuse(f"DOUBLE: {program} is not used like this: {' '.join(words)}", 70)
