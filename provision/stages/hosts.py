"""Stage hosts: the storage pools."""

from __future__ import annotations

from provision.domain_xml import pool_xml
from provision.events import Changed
from provision.parallel import for_each
from provision.plan import Action, Plan, Verb
from provision.stages.doors import Doors

NAME, TITLE = "hosts", "storage pools"


def run(plan: Plan, doors: Doors) -> None:
    """Creates or starts each host's pool, and marks it for autostart where somebody took that off."""
    for_each(plan.of(NAME), lambda action: _pool(action, plan, doors))


def _pool(action: Action, plan: Plan, doors: Doors) -> None:
    hypervisor = doors.hypervisors[action.where]
    if action.kind != "pool":
        hypervisor.autostart_pool(action.name)
    elif action.verb is Verb.START:
        hypervisor.start_pool(action.name)
    else:
        hypervisor.create_pool(pool_xml(next(pool for pool in plan.desired.pools if pool.host == action.where)))
    doors.emit(Changed(action.where, f"{action.kind} {action.name}", action.verb))
