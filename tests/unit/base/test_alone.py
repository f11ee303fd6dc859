"""A lock between processes: who comes second waits, and nobody waits for one that was killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.base.alone import alone
from provision.base.errors import StageTimeout

HOLD = """
import sys
from pathlib import Path
from provision.base.alone import alone
with alone(Path(sys.argv[1]), what="it", seen="held", within_s=5):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["file", "folder"])
def lock(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / ".lock" if request.param == "file" else tmp_path


@pytest.fixture
def holder(lock: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_the_second_is_told_who_holds_it(holder: subprocess.Popen[bytes], lock: Path) -> None:
    with (
        pytest.raises(StageTimeout, match="the build: not within 0 s; last seen: another builds it"),
        alone(lock, what="the build", seen="another builds it", within_s=0),
    ):
        pass


def test_who_waits_gets_it_when_the_holder_is_killed(holder: subprocess.Popen[bytes], lock: Path) -> None:
    threading.Timer(0.2, holder.kill).start()
    with alone(lock, what="the build", seen="another builds it", within_s=30, every_s=0.05):
        assert holder.wait(5) != 0
