"""A shell that stays, with a real `sh` at the other end of three pipes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from provision.guests.resident import PROGRAM, Overdue, Resident


class Pipes:
    """A program here, as a wire; it has a standard input, output and error of its own."""

    def __init__(self, *argv: str) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe)

    def sendall(self, data: bytes, /) -> None:
        stream = _open(self.process.stdin)
        stream.write(data)
        stream.flush()

    def recv(self, nbytes: int, /) -> bytes:
        return os.read(_open(self.process.stdout).fileno(), nbytes)

    def recv_stderr(self, nbytes: int, /) -> bytes:
        return os.read(_open(self.process.stderr).fileno(), nbytes)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    made = Pipes(PROGRAM)
    yield made
    made.close()


@pytest.fixture
def resident(pipes: Pipes) -> Resident:
    return Resident(pipes)


def test_each_command_has_its_status_and_its_words(resident: Resident) -> None:
    assert resident.ask(["sh", "-c", "echo out; echo err >&2; exit 3"], 20) == (3, "out\n", "err\n")
    assert resident.ask(["printf", "%s", "no newline"], 20) == (0, "no newline", "")
    assert resident.ask(["true"], 20) == (0, "", "")
    status, out, err = resident.ask(["no-such-program"], 20)
    assert (status, out) == (127, "")
    assert "no-such-program" in err


def test_words_are_never_read_by_the_shell(resident: Resident) -> None:
    words = ["$(id); `id` && *", "'", "a\nb", "", ") </dev/null; exit 7", "\\n"]
    assert resident.ask(["printf", "[%s]", *words], 20).stdout == "".join(f"[{word}]" for word in words)


def test_a_command_gets_no_input_and_leaves_nothing_behind(resident: Resident) -> None:
    assert resident.ask(["cat"], 20) == (0, "", "")
    resident.ask(["sh", "-c", "cd /; exec 1>&2"], 20)
    resident.ask(["cd", "/usr"], 20)
    assert resident.ask(["pwd"], 20).stdout.strip() == str(Path.cwd())


def test_the_end_of_a_command_does_not_end_the_shell(resident: Resident) -> None:
    assert resident.ask(["exit", "9"], 20).status == 9
    assert resident.ask(["sh", "-c", "kill -9 $$"], 20).status == 128 + 9
    assert resident.ask(["echo", "still here"], 20).stdout == "still here\n"


def test_much_is_read_whole(resident: Resident) -> None:
    script = "head -c 3000000 /dev/zero | tr '\\0' x; head -c 500000 /dev/zero | tr '\\0' y >&2"
    status, out, err = resident.ask(["sh", "-c", script], 60)
    assert (status, out, err) == (0, "x" * 3_000_000, "y" * 500_000)


def test_what_a_child_says_later_is_not_waited_for(resident: Resident) -> None:
    started = time.monotonic()
    assert resident.ask(["sh", "-c", "sleep 60 & echo done"], 30).stdout == "done\n"
    assert time.monotonic() - started < 30


def test_a_command_that_overstays_ends_the_shell(pipes: Pipes, resident: Resident) -> None:
    with pytest.raises(Overdue) as caught:
        resident.ask(["sh", "-c", "echo begun; sleep 60"], 0.5)
    assert caught.value.reply == (None, "begun\n", "")
    assert pipes.process.poll() is not None


@pytest.mark.parametrize("first", ["", "read line; "])
def test_a_shell_that_never_was_says_why(first: str) -> None:
    pipes = Pipes("sh", "-c", f"{first}echo 'sudo: a password is required' >&2; exit 1")
    if not first:
        pipes.process.wait()
    resident = Resident(pipes)
    assert resident.ask(["true"], 20) == (None, "", "sudo: a password is required\n")
    assert not resident.alive
