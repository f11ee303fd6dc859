"""What of a cluster has drifted, on its hosts and in its guests: read, compared, told. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provision.base.errors import ShellError
from provision.base.parallel import for_each
from provision.guests import observe_boot, target
from provision.plan import MEANS, Drift, sysctl_drift
from provision.run import Intent, World, drifted, intent, table


@dataclass(frozen=True)
class DriftReport:
    """All differences, and notes about what could not be looked at."""

    cluster: str
    drifts: tuple[Drift, ...]
    notes: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """For --json."""
        return {
            "cluster": self.cluster,
            "drifts": [drift.as_data() for drift in self.drifts],
            "notes": list(self.notes),
        }


def drift_report(world: World) -> DriftReport:
    """Asks hosts and running guests, and compares them with what the inventory means."""
    meant = intent(world, probe=False)
    drifts, notes = drifted(world, meant)
    world.sessions.ask_now()
    inside = for_each(meant.wanted.guests, lambda guest: _inside(world, meant, guest.node))
    more = (drift for found, _ in inside for drift in found)
    return DriftReport(world.cluster.cluster, (*drifts, *more), (*notes, *(note for _, note in inside if note)))


def _inside(world: World, meant: Intent, node: str) -> tuple[tuple[Drift, ...], str]:
    """The kernel settings of a running guest that differ, or why nobody could ask it."""
    guest = meant.wanted.guest(node)
    seen = meant.hosts[guest.host].domain(guest.domain)
    if seen is None or not seen.active or seen.halted:
        return (), ""
    try:
        boot = observe_boot(world.sessions.to(target(world.cluster, node, [seen])), world.cluster.sysctl)
    except ShellError as error:
        return (), f"{node}: its kernel settings were not looked at: {error.message}"
    if boot.waiting:
        return (), f"{node}: its kernel settings were not looked at: {boot.waiting}"
    return tuple(sysctl_drift(guest, one.key, one.wanted, one.found) for one in boot.sysctl), ""


def as_text(report: DriftReport) -> str:
    """A table, one difference a line, then the notes."""
    head = ("WHERE", "WHAT", "SETTING", "WANTED", "FOUND", "IN", "MENDED BY")
    rows = [_row(drift) for drift in report.drifts]
    lines = table([head, *rows]) if rows else [f"No drift: cluster {report.cluster} is as it was made."]
    return "\n".join([*lines, *(f"note: {note}" for note in report.notes)])


def _row(drift: Drift) -> tuple[str, ...]:
    return (
        drift.where,
        drift.object,
        drift.field,
        drift.wanted,
        drift.found,
        ", ".join(drift.seen_in),
        MEANS[drift.mend],
    )
