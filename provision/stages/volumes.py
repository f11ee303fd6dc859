"""Stage volumes: root volumes over the base image."""

from __future__ import annotations

from provision.domain_xml import root_volume_xml
from provision.events import Changed
from provision.parallel import for_each
from provision.plan import Action, Plan
from provision.stages.doors import Doors

NAME, TITLE = "volumes", "root volumes and seeds"


def run(plan: Plan, doors: Doors) -> None:
    """Creates the root volumes that are missing. Seeds are made with their guest: their host key lives in its stamp."""
    for_each(plan.of(NAME, "root volume"), lambda action: _root(action, plan, doors))


def _root(action: Action, plan: Plan, doors: Doors) -> None:
    root = next(root for root in plan.desired.roots if root.name == action.name)
    doors.hypervisors[action.where].create_volume(root.pool, root_volume_xml(root))
    doors.emit(Changed(action.where, f"root volume {root.name}", "create"))
