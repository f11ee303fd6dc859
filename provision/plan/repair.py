"""What `provision` does about drift: actions with the drift as their reason, and notes about what it leaves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from provision.libvirt_xml import is_pin
from provision.plan.compare import Action, Plan, Verb
from provision.plan.drift import MEANS, STATE, Drift, Mend, View

PINS, RESTART, AUTOSTART, DEFINITION = "pins", "restart", "autostart", "definition"
"""Kinds of actions: threads of a running guest put back; a guest started anew; a pool's or network's record mended."""


def repaired(plan: Plan, drifts: Sequence[Drift], *, restart: bool) -> Plan:
    """The plan with what mends the drifts.

    What needs a restart is an action with `restart`, else it is pending; what nobody may mend unasked is a note.
    """
    actions = tuple(made for action in plan.actions for made in _with_repairs(action, drifts, restart=restart))
    notes = (f"{d.where}: {d.object}: {d}: {_left(d)}" for d in drifts if d.mend in (Mend.RECREATE, Mend.NONE))
    pending = () if restart else tuple(_pending(drifts))
    return replace(plan, actions=actions, notes=(*plan.notes, *notes), pending=pending)


def restarts(drifts: Iterable[Drift]) -> frozenset[str]:
    """Nodes that run with something that only a restart mends."""
    return frozenset(drift.object.removeprefix("guest ") for drift in drifts if drift.mend is Mend.RESTART)


def _left(drift: Drift) -> str:
    return f"left as it is; to mend it: {MEANS[drift.mend]}"


def _with_repairs(action: Action, drifts: Iterable[Drift], *, restart: bool) -> Iterator[Action]:
    """An action of the plan, changed or followed by repairs of what it is about."""
    about = f"{action.kind} {action.name}"
    mine = [drift for drift in drifts if (drift.where, drift.object) == (action.where, about) and drift.field != STATE]
    if action.kind == "guest" and action.verb is not Verb.CREATE:
        yield _definition(action, mine)
        yield from _live(action, mine, restart=restart)
        return
    yield action
    if action.verb is Verb.CREATE:  # that makes it whole
        return
    if action.kind in ("pool", "network") and (kept := [drift for drift in mine if drift.mend is Mend.LIVE]):
        kind = f"{action.kind} {AUTOSTART if action.kind == 'pool' else DEFINITION}"
        yield replace(action, verb=Verb.CHANGE, kind=kind, reason=_reasons(kept))


def _definition(action: Action, drifts: Iterable[Drift]) -> Action:
    """A guest whose definition somebody changed is defined again, as one is whose inventory changed."""
    changed = [drift for drift in drifts if View.DEFINITION in drift.seen_in]
    if not changed or action.verb is Verb.CHANGE:
        return action
    start = f"{action.reason}; " if action.verb is Verb.START else ""
    what = "its definition is not finished" if start else "its definition was changed by hand"
    return replace(action, verb=Verb.CHANGE, reason=f"{start}{what}: {_reasons(changed)}")


def _live(action: Action, drifts: Iterable[Drift], *, restart: bool) -> Iterator[Action]:
    running = [drift for drift in drifts if set(drift.seen_in) - {View.DEFINITION}]
    if pins := [drift for drift in running if drift.mend is Mend.LIVE and is_pin(drift.field)]:
        yield replace(action, verb=Verb.CHANGE, kind=PINS, reason=_reasons(pins))
    if restart and (waiting := [drift for drift in running if drift.mend is Mend.RESTART]):
        yield replace(action, verb=Verb.CHANGE, kind=RESTART, reason=_reasons(waiting))


def _reasons(drifts: Iterable[Drift]) -> str:
    return "; ".join(map(str, drifts))


def _pending(drifts: Iterable[Drift]) -> Iterator[str]:
    """One line for each guest that runs on with something else than it should have."""
    waiting: dict[tuple[str, str], list[Drift]] = {}
    for drift in drifts:
        if drift.mend is Mend.RESTART:
            waiting.setdefault((drift.where, drift.object), []).append(drift)
    for (where, about), found in waiting.items():
        yield f"{where}: {about} goes on as it is until `provision --restart`: {_reasons(found)}"
