"""The door to programs here, with real programs."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from provision.base.calls import Calls
from provision.base.errors import CommandFailed, ShellError
from provision.base.shell import KEPT_BYTES, Local


def test_output_status_and_the_count_of_reads_and_mutations() -> None:
    calls = Calls()
    shell = Local(calls=calls)
    done = shell.read(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (done.status, done.stdout, done.stderr) == (3, "out\n", "err\n")
    shell.run(["true"])
    assert (calls.reads, calls.mutations) == (1, 1)


def test_a_failure_carries_argv_status_and_last_lines() -> None:
    with pytest.raises(CommandFailed) as caught:
        Local().run(["sh", "-c", "echo why >&2; exit 7"])
    assert caught.value.status == 7
    assert caught.value.last_lines == ("why",)
    assert "why" in caught.value.message


def test_words_are_never_read_by_a_shell() -> None:
    assert Local().read(["printf", "%s", "$(id); `id` && *"]).stdout == "$(id); `id` && *"


def test_lines_come_as_they_are_said() -> None:
    lines: list[str] = []
    Local().run(["sh", "-c", "echo one; echo two >&2; printf three"], on_line=lines.append)
    assert sorted(lines) == ["one", "three", "two"]


def test_what_is_followed_comes_while_it_runs_and_its_end_is_kept_only(tmp_path: Path) -> None:
    """The command goes on when its first line has come: the file is made by who got it."""
    seen, last = tmp_path / "seen", "x" * 100
    script = f'echo begun; while [ ! -e "$1" ]; do sleep 0.05; done; yes {last} | head -n 20000; echo over >&2; exit 4'
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        seen.touch()

    with pytest.raises(CommandFailed, match="status 4") as caught:
        Local().follow(["sh", "-c", script, "follow", str(seen)], take)
    assert (len(lines), lines[0], caught.value.last_lines) == (20002, "begun", ("over",))
    kept = Local().run(["sh", "-c", f"yes {last} | head -n 20000"], on_line=lines.append).stdout
    assert len(kept) < KEPT_BYTES + 2 * 65536
    assert kept.endswith(f"{last}\n")


def test_a_command_that_overstays_is_ended_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    started = time.monotonic()
    with pytest.raises(CommandFailed) as caught:
        Local().run(["sh", "-c", 'sleep 60 & echo $! > "$1"; wait', "sh", str(pid)], within_s=0.5)
    assert time.monotonic() - started < 10
    assert "0 s" in caught.value.hint or "1 s" in caught.value.hint
    child = Path(f"/proc/{pid.read_text().strip()}/stat")
    assert not child.exists() or child.read_text().split()[2] == "Z"


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ShellError, match="no-such-program: no such program"):
        Local().run(["no-such-program"])


def test_large_input_and_output_do_not_block() -> None:
    content = os.urandom(3_000_000).hex().encode()
    assert Local().run(["cat"], stdin=content).stdout.encode() == content


def test_a_command_need_not_read_its_input() -> None:
    assert Local().run(["true"], stdin=b"x" * 1_000_000).status == 0


def test_put_writes_whole_files_with_their_mode(tmp_path: Path) -> None:
    path = tmp_path / "a b" / "$(x)"
    Local().put(str(path), b"secret", mode=0o600)
    Local().put(str(path), b"other", mode=0o600)
    assert path.read_bytes() == b"other"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["$(x)"]
