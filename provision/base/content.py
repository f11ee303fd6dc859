"""What a file is: the sha256 of its content, worked out once and kept beside it."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

SUFFIX = ".sha256.json"


def content_sha256(path: Path) -> str:
    """64 hex digits. Read from `PATH.sha256.json` while size, time and inode are as they were when that was written."""
    kept, now = path.with_name(path.name + SUFFIX), _identity(path)
    with suppress(OSError, ValueError, TypeError, KeyError):
        said = json.loads(kept.read_bytes())
        if said["file"] == now:
            return str(said["sha256"])
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    _keep(kept, {"file": now, "sha256": found})
    return found


def _identity(path: Path) -> list[int]:
    seen = path.stat()
    return [seen.st_size, seen.st_mtime_ns, seen.st_ino]


def _keep(path: Path, said: object) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with suppress(OSError):  # a folder that nobody may write to: it is worked out again the next time
        partial.write_text(json.dumps(said))
        partial.replace(path)
