"""What stops when the process is asked to end. Each test is a process: a request cannot be taken back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provision.base.shell import Local
from provision.base.waiting import NotYet, Ready, wait_until


def _python(code: str, *argv: str) -> subprocess.Popen[str]:
    env = dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen([sys.executable, "-c", code, *argv], env=env, stdout=subprocess.PIPE, text=True)


def _said(code: str, *argv: str) -> str:
    out, _ = _python(code, *argv).communicate(timeout=30)
    return out


def test_no_call_begins_any_longer() -> None:
    said = _said("""
from provision.base import interruption
from provision.base.shell import Local
shell = Local()
shell.run(["true"])
print(interruption.ask("Ctrl-C", 130), interruption.ask("SIGTERM", 143), interruption.asked().why)
for call in (shell.run, shell.read):
    try:
        call(["touch", "/nowhere"])
    except interruption.Interrupted:
        print("not begun", shell.calls.mutations, shell.calls.reads)
with interruption.tidying():
    print(shell.run(["echo", "tidied"]).stdout)
""")
    assert said.splitlines()[:4] == ["True False Ctrl-C", "not begun 1 0", "not begun 1 0", "tidied"]


def test_items_that_were_not_begun_are_not_and_those_that_run_come_to_their_end() -> None:
    said = _said("""
import threading
from provision.base import interruption
from provision.base.parallel import for_each
begun, all_run = [], threading.Event()
def work(item):
    begun.append(item)
    if len(begun) == 16:
        interruption.ask("Ctrl-C", 130)
        all_run.set()
    all_run.wait(5)
    done.append(item)
done = []
try:
    for_each(range(100), work)
except interruption.Interrupted:
    print(len(begun), len(done))
""")
    assert said == "16 16\n"


def test_a_wait_ends_at_once_and_one_for_work_that_hangs_after_its_grace() -> None:
    said = _said("""
import threading, time
from provision.base import interruption
from provision.base.bounded import bounded, hanging, unended
from provision.base.waiting import NotYet, wait_until
threading.Timer(0.2, lambda: interruption.ask("Ctrl-C", 130)).start()
started = time.monotonic()
for wait in (
    lambda: wait_until(lambda: NotYet(""), what="x", within_s=60, every_s=60),
    lambda: bounded(threading.Event().wait, "a read", changes=False),
    lambda: bounded(threading.Event().wait, "a change", changes=True),
):
    try:
        wait()
    except interruption.Interrupted:
        print(round(time.monotonic() - started, 1))
print(hanging(), unended())
""").splitlines()
    assert [float(seconds) for seconds in said[:3]] == pytest.approx([0.2, 0.2, 1.4], abs=0.5)
    assert said[3] == "True ('a change',)"


def test_a_wait_that_saw_nothing_says_so() -> None:
    with pytest.raises(Exception, match="x: not within 0 s; last seen: nothing"):
        wait_until(lambda: NotYet(""), what="x", within_s=0)


MEANWHILE = """
import sys, threading, time
from provision.base import interruption
from provision.base.shell import Local
threading.Timer(0.5, lambda: interruption.ask("SIGTERM", 143)).start()
started = time.monotonic()
try:
    Local().run(["sh", "-c", 'sleep 97 & echo $! > "$1"; wait', "sh", sys.argv[1]])
except interruption.Interrupted:
    print(time.monotonic() - started)
"""


def _gone(pid: int) -> Ready[None] | NotYet:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().split()[2]
    except OSError:  # FileNotFoundError, or ProcessLookupError while it ends
        return Ready(None)
    return Ready(None) if state == "Z" else NotYet("it lives")


def test_commands_on_this_machine_end_with_us(tmp_path: Path) -> None:
    took_s = float(_said(MEANWHILE, str(tmp_path / "pid")))  # without the interpreter's own start
    assert took_s < 0.5 + 1.8 + 1.0
    wait_until(lambda: _gone(int((tmp_path / "pid").read_text())), what="its end", within_s=2, every_s=0.1)


BEHIND_SSH = """
import sys
from provision.hosts.host_shell import Through
Through("far", prefix=("sh", "-c"), quoted=True).run(["sh", "-c", 'echo $$ > "$1"; sleep 98; true', "sh", sys.argv[1]])
"""


def test_commands_behind_ssh_end_when_we_are_killed(tmp_path: Path) -> None:
    """ssh is the `sh -c` that reads what we hold open: it knows as much of us as sshd's shell does."""
    file = tmp_path / "pid"
    process = _python(BEHIND_SSH, str(file))
    wait_until(
        lambda: Ready(None) if file.exists() and file.read_text() else NotYet(""), what="it", within_s=20, every_s=0.1
    )
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until(lambda: _gone(int(file.read_text())), what="its end", within_s=5, every_s=0.1)


def test_a_command_that_no_signal_ends_in_time_is_killed_with_its_deadline() -> None:
    started = time.monotonic()
    with pytest.raises(Exception, match="was ended by signal"):
        Local().run(["sh", "-c", "trap '' TERM; sleep 96 & wait; wait"], within_s=0.2)
    assert time.monotonic() - started < 8
