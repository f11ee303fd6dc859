"""Which scenarios of a living cluster a run of `make test` takes: those of the hour's turn, or of the next that its time is enough for.
`make test-all` takes all.

A scenario that needs what another leaves is in its turn.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Turn:
    """Scenarios that a run takes together, and their seconds on two slow emulated cores, the cluster's making (900) included."""

    names: tuple[str, ...]
    seconds: float


TURNS = (
    Turn(("rebuild-worker",), 1900),
    Turn(("rolling-restart",), 1400),
    Turn(("grow-disk", "rotate-key"), 1200),
    Turn(("remove-worker", "add-worker"), 1350),
    Turn(("node-commands", "run-options"), 1450),
    Turn(("rebuild-worker-resumed",), 1350),
    Turn(("host-restart",), 1800),
    Turn(("two-clusters", "ttl-gc"), 2700),
    Turn(("rebuild-control-plane",), 1800),
    Turn(("rebuild-control-plane-dead",), 1700),
    Turn(("ports",), 1400),
    Turn(("backup-restore",), 1700),
    Turn(("mesh-roll",), 2300),
)

ONLY_IN_ALL = (
    *(
        "rolling-restart-of-all",
        "three-control-planes",
        "renew-expired",
        "upgrade",
        "golden-image",
        "tracing",
        "bench-latency",
    ),
    *("runbook-restart-a-node", "runbook-grow-a-disk", "runbook-rotate-the-ssh-key", "runbook-renew-certificates"),
    *("runbook-restore-from-backup", "runbook-rebuild-a-worker", "runbook-rebuild-the-control-plane"),
    *("runbook-take-a-cluster-over-from-a-colleague", "runbook-upgrade-a-patch-version"),
    *("runbook-add-a-hypervisor", "runbook-replace-a-dead-nvme", "runbook-move-a-node-to-another-host"),
)
"""Not seen green yet with the code as it is, each by itself: a scenario comes into a turn when it was."""


def turn(at_s: float, left_s: float) -> tuple[str, ...]:
    """The scenarios of a moment, in seconds of the epoch: each hour another turn. None when so many seconds are not enough for any."""
    first = int(at_s // 3600) % len(TURNS)
    fitting = [one.names for one in (*TURNS[first:], *TURNS[:first]) if one.seconds <= left_s]
    return fitting[0] if fitting else ()


if __name__ == "__main__":
    sys.stdout.write(",".join(turn(time.time(), float(sys.argv[1]))) + "\n")
