"""A command that runs on a node in a unit of systemd, apart from our SSH session: its log, followed, and how it ended.

Its result is a file, so that whoever is ended meanwhile changes nothing: the next run finds it running and waits, or finds its end.
"""

from __future__ import annotations

from dataclasses import dataclass

from provision.base.errors import Unreachable
from provision.base.events import Emit, Output
from provision.base.shell import Shell
from provision.base.waiting import NotYet, Ready
from provision.guests import HostKeyMismatch, KeyRefused
from provision.kubernetes.lookout import Watched, wait_on
from provision.kubernetes.places import STATE
from provision.kubernetes.token import redacted

GRACE_S = 60.0
"""How much later than the command's own deadline we give up on its unit: `timeout` needs up to 30 s to end it."""

# Prints one line on the state, then what the log has beyond the offset $3. $1: the unit, $2: what its files are called. A result counts
# when the unit has ended. For a moment after its start the unit runs and has no log yet.
_POLL = f"""
cd {STATE} || exit 0
if systemctl is-active --quiet "$1"; then echo running
elif [ -e "$2.done" ]; then echo done
elif [ -e "$2.failed" ]; then echo "failed $(cat "$2.failed")"
else echo vanished
fi
tail -c "+$3" "$2.log" 2>/dev/null || true
"""


@dataclass(frozen=True)
class Detached:
    """A command's unit, and what its files in our folder are called: `.log`, and `.done` or `.failed`."""

    unit: str
    stem: str


def follow(
    shell: Shell, node: str, what: str, detached: Detached, within_s: float, emit: Emit, generation: str = ""
) -> str:
    """Waits for its end, a connection that is lost notwithstanding; each line of its log becomes an event. Gives the outcome: done,
    `failed STATUS` or vanished. Raises StageTimeout when it does not end, and
    KubernetesError when it is waited for in vain.
    """
    log = _Log(node, detached, emit)

    def look() -> Ready[str] | NotYet:
        try:
            outcome = log.read(shell)
        except (HostKeyMismatch, KeyRefused):
            raise
        except Unreachable as error:
            return NotYet(error.message)  # it does not hang on our session, so neither does the wait
        return NotYet(log.last or f"{what} has said nothing yet") if outcome == "running" else Ready(outcome)

    return wait_on(
        Watched.by(generation, shell),
        look,
        what=f"{node}: {what}",
        within_s=within_s + GRACE_S,
        every_s=2.0,
        emit=emit,
    )


def in_words(outcome: str, within_s: float) -> str:
    """An outcome for people; `within_s` was the command's deadline in seconds."""
    if outcome == "failed 124":
        return f"not within {within_s:.0f} s"
    return (
        "ended without a result: did the guest restart?"
        if outcome == "vanished"
        else outcome.replace("failed", "status")
    )


class _Log:
    """Follows a log: each line becomes an event once."""

    def __init__(self, node: str, detached: Detached, emit: Emit) -> None:
        self._source, self._emit, self._offset, self._rest = f"{node}: kubeadm", emit, 1, ""
        self._detached, self.last = detached, ""

    def read(self, shell: Shell) -> str:
        """Emits what is new, and gives the state: running, done, failed N or vanished."""
        words = ("poll", self._detached.unit, self._detached.stem, str(self._offset))
        state, _, text = shell.read(["sh", "-c", _POLL, *words]).stdout.partition("\n")
        self._offset += len(text.encode())
        *lines, self._rest = (self._rest + text).split("\n")
        for line in filter(None, map(str.rstrip, lines)):
            self.last = redacted(line)
            self._emit(Output(self._source, self.last))
        return state
