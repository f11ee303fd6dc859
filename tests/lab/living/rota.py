"""Which scenarios of a living cluster a run of `make test` takes: those of the hour's turn, or of the next that its time is enough for.
Where they are long, the lab's tests beside the main job wait for a run with a shorter turn. `make test-all` takes all.

A scenario that needs what another leaves is in its turn.
"""

from __future__ import annotations

import sys
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
    Turn(
        (
            *("runbook-grow-a-disk", "runbook-rotate-the-ssh-key", "runbook-renew-certificates"),
            "runbook-take-a-cluster-over-from-a-colleague",
        ),
        1600,
    ),
    Turn(("runbook-restore-from-backup", "runbook-rebuild-a-worker"), 1800),
    Turn(("runbook-restart-a-node", "runbook-rebuild-the-control-plane"), 2000),
    Turn(("rebuild-control-plane",), 1800),
    Turn(("rebuild-control-plane-dead",), 1700),
    Turn(("mesh-moves",), 1500),
    Turn(("upgrade",), 2700),
    Turn(("ports",), 1400),
    Turn(("backup-restore",), 1700),
    Turn(("mesh-roll",), 2300),
)

ONLY_IN_ALL = (
    *(
        "rolling-restart-of-all",
        "three-control-planes",
        "renew-expired",
        "golden-image",
        "tracing",
        "diagnose",
        "bench-latency",
    ),
    "runbook-upgrade-a-patch-version",
    *("runbook-add-a-hypervisor", "runbook-replace-a-dead-nvme", "runbook-move-a-node-to-another-host"),
)
"""Not seen green yet with the code as it is, each by itself: a scenario comes into a turn when it was."""


MAIN_JOB_S, REST_S = 750, 1250
"""What the lab's main job takes, and what its other tests take, beside a turn; on the same two cores."""


@dataclass(frozen=True)
class Share:
    """What a run takes of the lab: scenarios, and whether the tests beside the main job."""

    names: tuple[str, ...]
    rest: bool


def share(at_s: float, left_s: float) -> Share:
    """What a run takes that has `left_s` seconds for the lab at a moment, in seconds of the epoch. The rest comes before a later turn."""
    for one in _from(at_s):
        if one.seconds + MAIN_JOB_S <= left_s:
            return Share(one.names, one.seconds + MAIN_JOB_S + REST_S <= left_s)
    return Share((), left_s >= MAIN_JOB_S + REST_S)


def turn(at_s: float, left_s: float) -> tuple[str, ...]:
    """The scenarios alone, of a moment: each hour another turn. None when so many seconds are not enough for any."""
    return next((one.names for one in _from(at_s) if one.seconds <= left_s), ())


def _from(at_s: float) -> tuple[Turn, ...]:
    """All turns, that of the hour first."""
    first = int(at_s // 3600) % len(TURNS)
    return (*TURNS[first:], *TURNS[:first])


if __name__ == "__main__":
    at, left = float(sys.argv[2]), float(sys.argv[3])
    if sys.argv[1] == "share":
        taken = share(at, left)
        sys.stdout.write(f"{','.join(taken.names)} {'rest' if taken.rest else 'alone'}\n")
    else:
        sys.stdout.write(",".join(turn(at, left)) + "\n")
