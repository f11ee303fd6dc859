"""What of a cluster has drifted, on its hosts, in its guests and in Kubernetes: read, compared, told. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provision.base.errors import ShellError
from provision.base.parallel import for_each
from provision.guests import observe_boot, target
from provision.kubernetes import NodeState
from provision.plan import MEANS, Drift, sysctl_drift
from provision.run import Intent, World, drifted, intent, table
from provision.run.cluster_drift import mesh_drifts, node_drifts, node_state


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
    states = {one.state.member.name: one.state for one in inside if one.state is not None}
    mesh, blind = mesh_drifts(world, meant, states)
    more = (drift for one in inside for drift in one.drifts)
    said = (note for note in (*(one.note for one in inside), blind) if note)
    return DriftReport(world.cluster.cluster, (*drifts, *more, *mesh), (*notes, *said))


@dataclass(frozen=True)
class _Inside:
    """What a guest says of itself, or why nobody could ask it."""

    drifts: tuple[Drift, ...] = ()
    note: str = ""
    state: NodeState | None = None


def _inside(world: World, meant: Intent, node: str) -> _Inside:
    """The kernel settings of a running guest that differ, and its Kubernetes."""
    guest = meant.wanted.guest(node)
    seen = meant.hosts[guest.host].domain(guest.domain)
    if seen is None or not seen.active or seen.halted:
        return _Inside()
    try:
        boot = observe_boot(world.sessions.to(target(world.cluster, node, [seen])), world.cluster.sysctl)
        if boot.waiting:
            return _Inside(note=f"{node}: its kernel settings were not looked at: {boot.waiting}")
        state = node_state(world, meant, node, [seen])
    except ShellError as error:
        return _Inside(note=f"{node}: its kernel settings were not looked at: {error.message}")
    settings = (sysctl_drift(guest, one.key, one.wanted, one.found) for one in boot.sysctl)
    return _Inside((*settings, *node_drifts(state)), state=state)


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
