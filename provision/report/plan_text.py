"""A plan as text for people and as data for programs."""

from __future__ import annotations

from typing import Any

from provision.base.cpu_lists import cpu_list
from provision.placement import page_name
from provision.plan import Plan, Verb
from provision.specs import GuestSpec

SIGNS = {Verb.CREATE: "+", Verb.CHANGE: "~", Verb.START: ">", Verb.LEAVE: "=", Verb.REMOVE: "-"}


def as_text(plan: Plan) -> str:
    """The plan, one action a line, then where the guests' CPUs are, then notes and the sum."""
    only = f", {', '.join(sorted(plan.limit))} only" if plan.limit else ""
    until = f", needed until {plan.desired.expires}" if plan.desired.expires else ""
    lines = [f"Plan for cluster {plan.cluster}{until}{only}:"]
    stage = ""
    for action in plan.actions:
        if action.stage != stage:
            stage = action.stage
            lines.append(f"  {stage}")
        name = "" if action.name in (action.where, "l5d") else f" {action.name}"
        lines.append(f"    {SIGNS[action.verb]} {action.where}: {action.kind}{name}: {action.reason}")
    lines += ["  placement", *(f"    {_placement(guest)}" for guest in plan.desired.guests)]
    lines += [f"    {cell}" for cell in plan.cells]
    lines += [f"  note: {note}" for note in (*plan.notes, *plan.pending)]
    return "\n".join([*lines, _sum(plan)])


def _placement(guest: GuestSpec) -> str:
    pins = " ".join(f"{vcpu}→{cpu}" for vcpu, cpu in enumerate(guest.vcpu_pins))
    return (
        f"{guest.host} {guest.node}: vCPU {pins}; emulator {cpu_list(guest.emulator_cpus)}; "
        f"iothread {cpu_list(guest.iothread_cpus)}; {_memory(guest)}"
    )


def _memory(guest: GuestSpec) -> str:
    memory = guest.memory
    cells = f" of NUMA node{'s' if len(memory.cells) > 1 else ''} {cpu_list(memory.cells)}" if memory.bound else ""
    pages = f" in huge pages of {page_name(memory.page_kib)}" if memory.page_kib else ""
    return f"{guest.memory_mib} MiB{cells}{pages}{', locked' if memory.locked else ''}"


def _sum(plan: Plan) -> str:
    count = {verb: sum(action.verb is verb for action in plan.actions) for verb in Verb}
    if not plan.changes:
        return f"No changes: {count[Verb.LEAVE]} things are as wanted."
    verbs = (Verb.CREATE, Verb.CHANGE, Verb.START, *([Verb.REMOVE] if count[Verb.REMOVE] else []))
    parts = (f"{count[verb]} to {verb}" for verb in verbs)
    return f"{', '.join(parts)}, {count[Verb.LEAVE]} left as they are."


def as_data(plan: Plan) -> dict[str, Any]:
    """The plan for programs: actions, placement and notes."""
    return {
        "cluster": plan.cluster,
        "limit": sorted(plan.limit),
        "expires": plan.desired.expires or None,
        "changes": len(plan.changes),
        "actions": [
            {
                "stage": a.stage,
                "verb": a.verb.value,
                "where": a.where,
                "kind": a.kind,
                "name": a.name,
                "reason": a.reason,
            }
            for a in plan.actions
        ],
        "guests": [
            {
                "node": guest.node,
                "host": guest.host,
                "address": guest.address,
                "pod_subnet": next(m.pod_subnet for m in plan.desired.members if m.name == guest.node),
                "virtualization": guest.virtualization,
                "memory_mib": guest.memory_mib,
                "vcpu_pins": list(guest.vcpu_pins),
                "emulator_cpus": list(guest.emulator_cpus),
                "iothread_cpus": list(guest.iothread_cpus),
                "cells": list(guest.memory.cells),
                "hugepages": [
                    {"cell": cell, "size_kib": size, "count": count} for cell, size, count in guest.memory.hugepages
                ],
            }
            for guest in plan.desired.guests
        ],
        "cells": [cell.as_data() for cell in plan.cells],
        "notes": list(plan.notes),
        "pending": list(plan.pending),
    }
