"""Stage hosts: the storage pools, and what of LVM the guests' volumes need."""

from __future__ import annotations

from provision.base.events import Changed
from provision.hosts import clear, make_group, make_thin_pool
from provision.libvirt_xml import pool_xml
from provision.plan import AUTOSTART, Action, Plan, Verb
from provision.run.stages.doors import Doors
from provision.run.stages.steps import each_host

NAME, TITLE = "hosts", "storage pools"


def run(plan: Plan, doors: Doors) -> None:
    """Creates or starts each host's pool, and marks it for autostart where somebody took that off; wipes what may be wiped,
    makes volume groups and thin pools. Hosts at once.
    """
    hosts = sorted({action.where for action in plan.of(NAME)})
    each_host(doors, NAME, plan, hosts, lambda host: _host(host, plan, doors))


def _host(host: str, plan: Plan, doors: Doors) -> None:
    work = {
        "pool": _pool,
        f"pool {AUTOSTART}": _pool,
        "device": _wipe,
        "volume group": _group,
        "thin pool": _thin_pool,
    }
    for action in plan.of(NAME):
        if action.where == host:
            work[action.kind](action, plan, doors)
            doors.emit(
                Changed(host, f"{action.kind} {action.name}", "wipe" if action.kind == "device" else action.verb)
            )


def _pool(action: Action, plan: Plan, doors: Doors) -> None:
    hypervisor = doors.hypervisors[action.where]
    if action.kind != "pool":
        hypervisor.autostart_pool(action.name)
    elif action.verb is Verb.START:
        hypervisor.start_pool(action.name)
    else:
        hypervisor.create_pool(pool_xml(next(pool for pool in plan.desired.pools if pool.host == action.where)))


def _wipe(action: Action, plan: Plan, doors: Doors) -> None:
    del plan
    clear(doors.host_shell(action.where), action.name, wipe=True)


def _group(action: Action, plan: Plan, doors: Doors) -> None:
    shell = doors.host_shell(action.where)
    group = next(group for group in plan.desired.groups if group.host == action.where)
    for device in group.devices:
        clear(shell, device, wipe=False)
    make_group(shell, group.name, group.devices)


def _thin_pool(action: Action, plan: Plan, doors: Doors) -> None:
    del plan
    make_thin_pool(doors.host_shell(action.where), action.name.partition("/")[0])
