"""Which scenarios of a living cluster a run of `make test` takes: those of the hour's turn. `make test-all` takes all.

A turn is what fits into CI's time beside all other tests, the making of the cluster included. A scenario that needs what another leaves
is in its turn.
"""

from __future__ import annotations

import sys
import time

TURNS: tuple[tuple[str, ...], ...] = (
    ("rebuild-worker",),
    ("rolling-restart",),
    ("grow-disk", "rotate-key"),
)

ONLY_IN_ALL = (
    *("rebuild-worker-resumed", "rebuild-control-plane", "run-options", "remove-worker", "add-worker", "node-commands"),
    *("backup-restore", "upgrade", "two-clusters", "ttl-gc", "host-restart", "golden-image", "mesh-roll"),
    *("runbook-restart-a-node", "runbook-grow-a-disk", "runbook-rotate-the-ssh-key", "runbook-renew-certificates"),
    *("runbook-restore-from-backup", "runbook-rebuild-a-worker", "runbook-rebuild-the-control-plane"),
    *("runbook-take-a-cluster-over-from-a-colleague", "runbook-upgrade-a-patch-version"),
    *("runbook-add-a-hypervisor", "runbook-replace-a-dead-nvme", "runbook-move-a-node-to-another-host"),
)
"""Not seen green yet, each by itself: a scenario comes into a turn when it was."""


def turn(at_s: float) -> tuple[str, ...]:
    """The scenarios of a moment, in seconds of the epoch: each hour another turn."""
    return TURNS[int(at_s // 3600) % len(TURNS)]


if __name__ == "__main__":
    sys.stdout.write(",".join(turn(time.time())) + "\n")
