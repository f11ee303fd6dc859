"""Until when a cluster is needed, as its stamps say it: a run with a time to live sets it, any other keeps it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from provision.libvirt_xml import DomainSeen, NetworkSeen
from provision.plan.action import Action, Verb
from provision.plan.compare import Plan
from provision.plan.observed import HostSeen, Observed
from provision.specs import Owner, Stamp

EXPIRY, NETWORK_EXPIRY = "expiry", "network expiry"
"""Kinds of actions: the stamp of a guest, or of a network, gets another moment."""


def lasting(plan: Plan, observed: Observed, expires: str) -> Plan:
    """The plan of a cluster that is needed until `expires`; where that is empty, until when it was said before, if it was."""
    owner = Owner(plan.cluster, plan.desired.owner_id)
    until = expires or kept_expiry(owner, observed.hosts.values())
    if not until:
        return plan
    actions = tuple(made for action in plan.actions for made in (action, *_marked(action, plan, observed, until)))
    return replace(plan, desired=replace(plan.desired, expires=until), actions=actions)


def kept_expiry(owner: Owner, hosts: Iterable[HostSeen]) -> str:
    """The latest moment that a stamp of the owner's says: a run that was ended may have set some of them only."""
    domains = [stamp_of(domain) for seen in hosts for domain in seen.domains]
    networks = [stamp_of(network) for seen in hosts for network in seen.networks]
    return max((stamp.upkeep.expires for stamp in (*domains, *networks) if owner.owns(stamp)), default="")


def stamp_of(thing: DomainSeen | NetworkSeen) -> Stamp | None:
    """The stamp of a thing's definition: what it will go on with."""
    return thing.definition.stamp if isinstance(thing, DomainSeen) else thing.stamp


def _marked(action: Action, plan: Plan, observed: Observed, until: str) -> Iterator[Action]:
    """What sets the moment on something that is there, and that is not defined anew anyway."""
    if action.kind not in ("guest", "network") or action.verb in (Verb.CREATE, Verb.CHANGE):
        return
    name = plan.desired.guest(action.name).domain if action.kind == "guest" else action.name
    seen = observed.hosts[action.where]
    there: tuple[DomainSeen | NetworkSeen, ...] = seen.domains if action.kind == "guest" else seen.networks
    for stamp in (stamp_of(one) for one in there if one.name == name):
        if stamp is not None and stamp.upkeep.expires != until:
            said = stamp.upkeep.expires or "nothing"
            kind = EXPIRY if action.kind == "guest" else NETWORK_EXPIRY
            reason = f"needed until {until}, its stamp says {said}"
            yield replace(action, verb=Verb.CHANGE, kind=kind, reason=reason, basis="")
