"""Takes the stamp off what carries our cluster's and is not ours: a clone, or another cluster of our name. Pure.

Done once, where hosts are seen: whoever looks for a stamp behind this finds those of our own things only, and others' clusters'.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from provision.libvirt_xml.libvirt_seen import DomainSeen, NetworkSeen
from provision.specs import Owner


def judged_domains(owner: Owner, domains: Iterable[DomainSeen]) -> tuple[DomainSeen, ...]:
    """The same domains; one that only pretends to be ours has no stamp, and says why in `not_ours`."""
    return tuple(_judged(owner, domain) for domain in domains)


def _judged(owner: Owner, domain: DomainSeen) -> DomainSeen:
    why = owner.why_not(domain.stamp or domain.definition.stamp, domain.name, domain.uuid)
    if not why:
        return domain
    later = replace(domain.next_start, stamp=None) if domain.next_start else None
    return replace(
        domain, stamp=None, next_start=later, not_ours=why, pretended=domain.stamp or domain.definition.stamp
    )


def judged_networks(owner: Owner, networks: Iterable[NetworkSeen]) -> tuple[NetworkSeen, ...]:
    """The same for networks."""
    return tuple(
        replace(network, stamp=None, not_ours=why)
        if (why := owner.why_not(network.stamp, network.name, network.uuid))
        else network
        for network in networks
    )
