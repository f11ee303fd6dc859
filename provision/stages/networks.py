"""Stage networks: the guests' network on each host."""

from __future__ import annotations

from provision.domain_xml import network_xml
from provision.events import Changed
from provision.parallel import for_each
from provision.plan import Action, Plan, Verb
from provision.stages.doors import Doors

NAME, TITLE = "networks", "networks"


def run(plan: Plan, doors: Doors) -> None:
    """Creates or starts each host's network."""
    for_each(plan.of(NAME), lambda action: _network(action, plan, doors))


def _network(action: Action, plan: Plan, doors: Doors) -> None:
    hypervisor = doors.hypervisors[action.where]
    if action.verb is Verb.START:
        hypervisor.start_network(action.name)
    else:
        hypervisor.create_network(network_xml(next(net for net in plan.desired.networks if net.host == action.where)))
    doors.emit(Changed(action.where, f"network {action.name}", action.verb))
