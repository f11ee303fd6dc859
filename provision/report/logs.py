"""What a run leaves for later in the state folder: its events, and the traceback of a defect. For this user alone, and not for ever.

A log never keeps a run from going on: where it cannot be written there is none.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
import traceback
import uuid
from pathlib import Path

from provision.base import data
from provision.base.errors import MeshctlError, cause
from provision.report.sinks import JsonLines

KEPT = 50
"""How many runs, and how many crashes, are kept unless $MESHCTL_KEEP_RUNS says otherwise."""

_OURS = re.compile(r"\d{8}T\d{6}[-.].*")


def run_log(cluster: str) -> tuple[JsonLines | None, str]:
    """A sink that keeps the run, runs/<time>-<cluster>/events.jsonl in the state folder; None where there is none, and why.

    Removes the oldest runs beyond those to keep.
    """
    try:
        kept = _kept()
        folder = data.private_folder(data.state("runs", f"{_now()}-{cluster}-{uuid.uuid4().hex[:4]}"))
        path = folder / "events.jsonl"
        log = JsonLines(data.private_file(path), str(path))
        _prune(folder.parent, kept)
    except OSError as error:
        return None, f"{error.filename or 'the state folder'}: {cause(error)}"
    except MeshctlError as error:
        return None, f"{error.message} ({error.hint})"
    return log, ""


def crash_file(error: BaseException) -> Path:
    """Writes a defect's traceback and the command to crashes/<time>.txt in the state folder. Raises OSError, MeshctlError."""
    kept = _kept()
    folder = data.private_folder(data.state("crashes"))
    path = folder / f"{_now()}.txt"
    with data.private_file(path) as file:
        file.write("".join(traceback.format_exception(error)) + f"\nargv: {sys.argv}\n")
    _prune(folder, kept)
    return path


def _now() -> str:
    return time.strftime("%Y%m%dT%H%M%S")


def _kept() -> int:
    text = os.environ.get("MESHCTL_KEEP_RUNS") or str(KEPT)
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise MeshctlError(
            f"MESHCTL_KEEP_RUNS is {text!r}", hint="it says how many runs and crashes are kept: 1 or more"
        )
    return int(text)


def _prune(folder: Path, keep: int) -> None:
    """Removes the oldest beyond `keep`: what has a name as ours have, which begins with its time."""
    ours = sorted(entry for entry in folder.iterdir() if _OURS.fullmatch(entry.name) and not entry.is_symlink())
    for old in ours[:-keep]:
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)
