"""Which scenarios a run of CI takes: one turn each hour of the day, in turn. `make test-all` takes every one.

python -m tests.lab.living.rota HOUR
"""

from __future__ import annotations

import sys

TURNS = (
    ("remove-worker", "add-worker"),
    ("rolling-restart", "host-restart"),
    ("node-commands", "runbook-restart"),
    ("grow-disk", "rotate-key"),
)
"""Each about as long as the others."""

LONG = ("backup-restore", "run-options", "two-clusters", "ttl-gc", "upgrade")
"""By `make test-all` only: they take longer than a run of CI has for them, or nobody has seen them whole yet."""


def turn(hour: int) -> tuple[str, ...]:
    """The scenarios of an hour."""
    return TURNS[hour % len(TURNS)]


if __name__ == "__main__":
    print(",".join(turn(int(sys.argv[1]))))
