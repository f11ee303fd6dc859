"""What a command was told to leave in a file beside what it says."""

from __future__ import annotations

from pathlib import Path

from provision.base.errors import MeshctlError, cause


def keep(path: str, text: str) -> None:
    """Writes a file that the user named. Raises MeshctlError when it cannot be written."""
    try:
        Path(path).write_text(text)
    except OSError as error:
        raise MeshctlError(f"{path}: cannot be written: {cause(error)}") from error
