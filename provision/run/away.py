"""Hosts that give no answer: what can be said of them, and the world without them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from provision.base.errors import HypervisorError
from provision.base.events import Warned
from provision.base.parallel import for_each
from provision.inventory import Host
from provision.libvirt_xml import DomainSeen, judged_domains
from provision.run.engine import World


@dataclass(frozen=True)
class Away:
    """A host that gives no answer and why; `unseen` are the inventory's nodes that no other host has: they may be there."""

    host: str
    error: HypervisorError
    unseen: tuple[str, ...] = ()

    def but(self, consequence: str) -> Warned:
        """What to say of it: what comes of its being away, and which guests that may concern."""
        guests = f", perhaps {', '.join(self.unseen)}" if self.unseen else ""
        return Warned(f"{self.error.message}; {consequence}{guests}", self.error.hint)


def answering(world: World) -> tuple[World, tuple[Away, ...]]:
    """The world of those hosts that answer, and the others. Raises HypervisorError when none does."""
    cluster = world.cluster
    looks = for_each(cluster.hosts, lambda host: _look(world, host))
    away = tuple(look for look in looks if isinstance(look, Away))
    if len(away) == len(looks):
        error = away[0].error
        raise HypervisorError("\n".join(["no host answers:", *(one.error.message for one in away)]), hint=error.hint)
    domains = [domain for look in looks if not isinstance(look, Away) for domain in look]
    seen = {domain.stamp.node for domain in judged_domains(cluster.owner, domains) if domain.stamp is not None}
    unseen = tuple(node.name for node in cluster.nodes if node.name not in seen)
    gone = {one.host for one in away}
    here = cluster.model_copy(update={"hosts": tuple(host for host in cluster.hosts if host.name not in gone)})
    doors = {host.name: world.hypervisors[host.name] for host in here.hosts}
    seeing = replace(world, cluster=here, hypervisors=doors, silent=frozenset(gone))
    return seeing, tuple(replace(one, unseen=unseen) for one in away)


def _look(world: World, host: Host) -> tuple[DomainSeen, ...] | Away:
    try:
        return world.hypervisors[host.name].domains()
    except HypervisorError as error:
        return Away(host.name, error)
