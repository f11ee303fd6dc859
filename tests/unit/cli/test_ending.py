"""How the program ends, as a shell sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from provision.base.errors import cause

ROOT = Path(__file__).parents[3]
MESHCTL = str(Path(sys.executable).with_name("meshctl"))


@pytest.mark.parametrize("argv", [["schema"], ["explain"], ["--help"], ["plan", "--help"]])
def test_a_closed_pipe_ends_as_it_does_other_programs(argv: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([MESHCTL, *argv], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_behind_stdout_is_said() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([MESHCTL, "schema"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: what meshctl says cannot be written on this machine: No space left on device\n"
    )


def test_the_words_of_the_system_are_taken_at_one_place() -> None:
    """`strerror` may be None and the text of an exception empty: what `cause` gives never is."""
    files = [path for path in (ROOT / "provision").rglob("*.py") if ".strerror" in path.read_text()]
    assert [path.name for path in files] == ["errors.py"]
    assert [cause(error) for error in (OSError(2, "No such file"), OSError(), EOFError(), ValueError(" x "))] == [
        "No such file",
        "OSError",
        "EOFError",
        "x",
    ]
