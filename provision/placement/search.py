"""Seats for guests that have none: one after the other, and where that fails by trying every arrangement of few guests."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from provision.inventory import Node, Spread
from provision.placement.need import Need, need_of
from provision.placement.room import TINY, HostRoom, Seat
from provision.placement.seats import every_seats, seats

MOST_GUESTS = 24
MOST_STEPS = 20_000
"""Bounds of the exact search: about a second. Beyond them a refusal means that placing one after the other failed."""

Seated = tuple[HostRoom, tuple[Seat, ...]]


@dataclass(frozen=True)
class Guest:
    """A node to be seated. `host` is the one it is bound to, by the inventory or because its volumes are there."""

    node: Node
    index: int
    host: str | None


def hardest_first(guests: Sequence[Guest], hosts: Sequence[HostRoom]) -> list[Guest]:
    """Bound guests, then the control plane, then those that are split, isolated or large; else the inventory's order."""
    any_host = hosts[0].host

    def key(guest: Guest) -> tuple[Any, ...]:
        need = need_of(guest.node, any_host)
        strict = ("isolate", "require", "prefer").index(need.threads)
        worker = guest.node.role == "worker"
        return (
            guest.host is None,
            worker,
            -need.cells,
            not need.dedicated,
            strict,
            -need.vcpus,
            -need.memory_mib,
            guest.index,
        )

    return sorted(guests, key=key)


class Ranking:
    """Hosts in the order in which they are tried, kept sorted while they fill. Equal hosts stay in the inventory's order."""

    def __init__(self, hosts: Sequence[HostRoom], policy: Spread) -> None:
        self.hosts = hosts
        self.sign = -1 if policy.hosts == "spread" else 1
        self.keys = [self._key(host) for host in hosts]
        self.order = sorted(self.keys)
        self.useless: dict[tuple[Need, str | None], set[int]] = {}

    def _key(self, host: HostRoom) -> tuple[float, int, int]:
        return (self.sign * host.room(), self.sign * host.memory_mib(), host.index)

    def candidates(self, guest: Guest) -> Iterator[HostRoom]:
        """Hosts that may still hold the guest: rooms only get smaller, so one that refused its like once is left out."""
        if guest.host is not None:
            yield from (host for host in self.hosts if host.host.name == guest.host)
            return
        useless = self.useless.setdefault(_kind(guest), set())
        if len(useless) < len(self.hosts):
            yield from (self.hosts[index] for _, _, index in self._with_room(guest) if index not in useless)

    def _with_room(self, guest: Guest) -> list[tuple[float, int, int]]:
        """Keys of hosts that have as many CPUs left as the guest has vCPUs; all, where it shares CPUs that are not left."""
        if guest.node.cpu.policy == "shared":
            return self.order.copy()
        edge = bisect_left(self.order, (self.sign * (guest.node.vcpus - TINY),))
        return self.order[edge:] if self.sign > 0 else self.order[:edge]

    def refused(self, guest: Guest, host: HostRoom) -> None:
        """Notes that a host cannot hold the guest, nor any like it."""
        if guest.host is None:
            self.useless[_kind(guest)].add(host.index)

    def changed(self, host: HostRoom) -> None:
        """Sorts a host anew."""
        del self.order[bisect_left(self.order, self.keys[host.index])]
        self.keys[host.index] = self._key(host)
        insort(self.order, self.keys[host.index])


def _kind(guest: Guest) -> tuple[Any, ...]:
    """Guests of one kind fit the same hosts."""
    node = guest.node
    return (node.cpu, node.vcpus, node.memory, node.hugepages, node.numa_cells, node.group)


def one_by_one(guests: Sequence[Guest], hosts: Sequence[HostRoom], policy: Spread) -> dict[str, Seated]:
    """Seats for as many guests as fit, each where it is best at its turn."""
    ranking = Ranking(hosts, policy)
    found: dict[str, Seated] = {}
    for guest in guests:
        for host in ranking.candidates(guest):
            seated = _seats(guest, host, policy)
            if seated is not None:
                sit(guest.node, host, seated)
                ranking.changed(host)
                found[guest.node.name] = (host, seated)
                break
            ranking.refused(guest, host)
    return found


def _seats(guest: Guest, host: HostRoom, policy: Spread) -> tuple[Seat, ...] | None:
    if guest.node.group is not None and guest.node.group in host.groups:
        return None
    return seats(host, need_of(guest.node, host.host), policy)


def sit(node: Node, host: HostRoom, seated: tuple[Seat, ...]) -> None:
    """Gives a guest its seats."""
    host.take(seated, need_of(node, host.host))
    if node.group is not None:
        host.groups[node.group] = node.name


def stand_up(node: Node, host: HostRoom, before: Sequence[tuple[Any, ...]]) -> None:
    """Undoes `sit`; `before` are the snapshots of the host's cells."""
    for cell, snapshot in zip(host.cells, before, strict=True):
        cell.restore(snapshot)
    if node.group is not None:
        del host.groups[node.group]


def all_of_them(guests: Sequence[Guest], hosts: Sequence[HostRoom], policy: Spread) -> dict[str, Seated] | None:
    """Seats for all guests, None when no arrangement seats them all (or none was found within the bounds)."""
    if len(guests) > MOST_GUESTS:
        return None
    search = _Search(guests, hosts, policy)
    return search.found if search.run(0) else None


class _Search:
    """Depth first over guests; states that failed once are not tried again."""

    def __init__(self, guests: Sequence[Guest], hosts: Sequence[HostRoom], policy: Spread) -> None:
        self.guests, self.hosts, self.policy = guests, hosts, policy
        self.steps = 0
        self.failed: set[tuple[Any, ...]] = set()
        self.found: dict[str, Seated] = {}

    def run(self, depth: int) -> bool:
        """Whether the guests from `depth` on find seats."""
        if depth == len(self.guests):
            return True
        state = (depth, *(self._state(host) for host in self.hosts))
        if state in self.failed:
            return False
        guest = self.guests[depth]
        for host in self.hosts:
            if (
                guest.host in (None, host.host.name)
                and guest.node.group not in host.groups
                and self._on(host, guest, depth)
            ):
                return True
        self.failed.add(state)
        return False

    def _state(self, host: HostRoom) -> tuple[Any, ...]:
        return (tuple(cell.signature() for cell in host.cells), frozenset(host.groups))

    def _on(self, host: HostRoom, guest: Guest, depth: int) -> bool:
        """Whether the guest sits on this host in a solution."""
        for seated in every_seats(host, need_of(guest.node, host.host), self.policy):
            self.steps += 1
            if self.steps > MOST_STEPS:
                return False
            before = [cell.snapshot() for cell in host.cells]
            sit(guest.node, host, seated)
            self.found[guest.node.name] = (host, seated)
            if self.run(depth + 1):
                return True
            stand_up(guest.node, host, before)
            del self.found[guest.node.name]
        return False
