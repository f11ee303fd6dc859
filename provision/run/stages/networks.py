"""Stage networks: the guests' network on each host."""

from __future__ import annotations

import time

from provision.base.events import Changed
from provision.base.moments import moment
from provision.libvirt_xml import network_xml
from provision.plan import Action, Plan, Verb
from provision.run.stages.doors import Doors
from provision.run.stages.steps import each_host
from provision.specs import Owner, Upkeep

NAME, TITLE = "networks", "networks"


def run(plan: Plan, doors: Doors) -> None:
    """Creates or starts each host's network, and defines it again where somebody changed its definition."""
    hosts = sorted({action.where for action in plan.of(NAME)})
    each_host(doors, NAME, plan, hosts, lambda host: _on_host(host, plan, doors))


def _on_host(host: str, plan: Plan, doors: Doors) -> None:
    for action in plan.of(NAME):
        if action.where == host:
            _network(action, plan, doors)


def _network(action: Action, plan: Plan, doors: Doors) -> None:
    hypervisor = doors.hypervisors[action.where]
    xml = network_xml(
        next(network for network in plan.desired.networks if network.host == action.where),
        Owner(plan.cluster, plan.desired.owner_id),
        _upkeep(action, plan, doors),
    )
    if action.kind != "network":
        hypervisor.define_network(xml)
    elif action.verb is Verb.START:
        hypervisor.start_network(action.name)
    else:
        hypervisor.create_network(xml)
    doors.emit(Changed(action.where, f"{action.kind} {action.name}", action.verb))


def _upkeep(action: Action, plan: Plan, doors: Doors) -> Upkeep:
    """What the network's stamp says beside its digest; since when it is there stays as it was."""
    pool, there = doors.cluster.host(action.where).pool, doors.hypervisors[action.where].networks()
    created = next((one.stamp.upkeep.created for one in there if one.name == action.name and one.stamp), "")
    if not created and action.kind == "network":
        created = moment(time.time())
    return Upkeep(created, plan.desired.expires, pool.name, pool.type)
