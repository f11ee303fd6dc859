"""Hosts without an inventory: from URIs to what is on them. Reads only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from provision.base.calls import Calls
from provision.base.errors import HypervisorError
from provision.base.parallel import for_each
from provision.hosts import Hypervisor
from provision.inventory import Host, machine_behind, parse_uri
from provision.plan.clusters import ClusterSeen, Machine, clusters, our_pools
from provision.run.away import Away


@dataclass(frozen=True)
class Ground:
    """Hosts and the doors to them."""

    hosts: tuple[Host, ...]
    doors: Mapping[str, Hypervisor]
    calls: Calls


@dataclass(frozen=True)
class Sight:
    """What was seen: hosts that answer, clusters on them, and hosts that do not answer."""

    machines: Mapping[str, Machine]
    clusters: tuple[ClusterSeen, ...]
    away: tuple[Away, ...]

    @property
    def silent(self) -> frozenset[str]:
        """The hosts that give no answer."""
        return frozenset(one.host for one in self.away)


def hosts_of(uris: Iterable[str], known: Iterable[Host] = ()) -> tuple[Host, ...]:
    """A host for each URI, called as the machine in it, beside those that are known. Raises ValueError as `parse_uri`."""
    found = {machine_behind(host.uri): host for host in known}
    for uri in uris:
        names = {host.name for host in found.values()}
        host = Host(name=next(name for name in _names(uri) if name not in names), uri=uri)
        found.setdefault(machine_behind(uri), host)
    return tuple(found.values())


def _names(uri: str) -> Iterator[str]:
    name = re.sub(r"[^a-z0-9]+", "-", parse_uri(uri).host.lower()).strip("-")[:60].rstrip("-") or "localhost"
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


@contextmanager
def ground(hosts: tuple[Host, ...]) -> Iterator[Ground]:
    """The doors to hosts, opened at their first use and closed at the end."""
    calls = Calls()
    doors = {host.name: Hypervisor(host.name, host.uri, Calls(whole=calls)) for host in hosts}
    try:
        yield Ground(hosts, doors, calls)
    finally:
        for door in doors.values():
            door.close()


def look_around(on: Ground, *, needs: bool = False) -> Sight:
    """Every host at once; with `needs` also who needs which file. Raises HypervisorError when no host answers."""
    looks = for_each(on.hosts, lambda host: _look(on.doors[host.name], needs=needs))
    machines = {host.name: one for host, one in zip(on.hosts, looks, strict=True) if isinstance(one, Machine)}
    away = tuple(one for one in looks if isinstance(one, Away))
    if not machines:
        lines = ["no host answers:", *(one.error.message for one in away)]
        raise HypervisorError("\n".join(lines), hint=away[0].error.hint)
    return Sight(machines, clusters(machines), away)


def _look(door: Hypervisor, *, needs: bool) -> Machine | Away:
    try:
        domains, networks, pools = door.domains(), door.networks(), door.pools()
        volumes = {pool: door.volumes(pool) for pool in sorted(our_pools(pools, domains, networks))}
        return Machine(domains, networks, pools, volumes, door.holders() if needs else ())
    except HypervisorError as error:
        return Away(door.host, error)
