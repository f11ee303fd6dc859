"""A cluster while it is watched, as data: a row for each node, and what of the findings of `diagnose` is true now. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from provision.base.errors import cause
from provision.diagnose import (
    UNSEEN,
    Cause,
    Guest,
    Host,
    Planned,
    Recording,
    Router,
    Seen,
    Vcpu,
    guest_between,
    judge,
    merged,
    router_between,
)
from provision.hosts import DomainTimes, VcpuTimes
from provision.mesh import Scrape, Vitals, judge_vitals

SILENT_S = 10.0
"""A tick that is so late, beyond as long again as it was to take, is missed: what was seen before is not true now."""

MOST_NAMED = 4
"""Guests that a line names."""

MOST_CPU = 0.01
"""Of one CPU, for all guests of a cluster and their hosts together: what watching may take."""


@dataclass(frozen=True)
class Heard:
    """What is known of a guest: its last samples, when the last one came by our clock, why no more come ("" while they do), and what lies
    between the samples.
    """

    host: str = ""
    seen: Seen | None = None
    at_s: float | None = None
    fault: str = ""
    guest: Guest | None = None
    router: Router | None = None
    vitals: Vitals | None = None


@dataclass(frozen=True)
class Times:
    """All domains of a host at one moment of our clock."""

    at_s: float
    domains: Mapping[str, DomainTimes]


@dataclass(frozen=True)
class HostHeard:
    """What is known of a host: the last two looks at its domains, whom it has by plan, and why it says nothing ("" while it does)."""

    last: Times | None = None
    before: Times | None = None
    planned: tuple[Planned, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Names:
    """What Kubernetes said at the beginning: pods by uid, which of them are routers; `fault`: why it said nothing."""

    pods: Mapping[str, str] = field(default_factory=dict)
    routers: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Row:
    """A node now. None: nothing to measure, or it is not said. Shares are 0 to 1.

    `steal`: of each vCPU's time, what it was ready and waited for a CPU of the host, by the host's word; where that has none, the guest's
    own, one number for all (`steal_by`). `busy`: of its CPUs' time, what was spent at work. `again…`: TCP segments sent a second time.
    `cost`: the share of a CPU that watching takes there. `causes`: ids of what makes it slow now.
    """

    node: str
    host: str = ""
    fault: str = ""
    age_s: float | None = None
    steal: tuple[float, ...] = ()
    steal_by: str = ""
    busy: float | None = None
    again_per_s: float | None = None
    again_share: float | None = None
    requests_per_s: float | None = None
    success_rate: float | None = None
    p99_ms: float | None = None
    ejected: int = 0
    mesh_fault: str = ""
    cost: float | None = None
    causes: tuple[str, ...] = ()

    @property
    def worst_steal(self) -> float:
        """Of the vCPU that waits most."""
        return max(self.steal, default=0.0)


@dataclass(frozen=True)
class Watched:
    """All of it at one moment. `causes` are true between the last two ticks, the heaviest first; `cost` is the share of one CPU that
    watching takes of all guests together; `unseen` are pairs of a place and why it is not seen.
    """

    cluster: str
    at: str
    rows: tuple[Row, ...]
    causes: tuple[Cause, ...] = ()
    cost: float | None = None
    unseen: tuple[tuple[str, str], ...] = ()
    blind: str = UNSEEN

    def as_data(self) -> dict[str, Any]:
        """For --json."""
        return {
            "cluster": self.cluster,
            "at": self.at,
            "cost": self.cost,
            "nodes": [asdict(one) for one in self.rows],
            "causes": [one.as_data() for one in self.causes],
            "unseen": [list(one) for one in self.unseen],
            "blind": self.blind,
        }


UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError)
"""What reading raises of words that are not as they should be."""


def told(heard: Heard, node: str, line: str, at_s: float, names: Names, label: str) -> Heard:
    """A guest after one more line of its script; `heard` has no samples before the first one. `label` is the router that applications
    ask. What cannot be read is its fault: a guest's kernel, or who has become root there, may say anything.
    """
    try:
        seen = merged(heard.seen, line)
    except UNREADABLE as error:
        return replace(heard, fault=_unreadable(error))
    try:
        guest = guest_between(node, heard.host, seen, names.pods)
        router = router_between(node, seen, label)
        return Heard(heard.host, seen, at_s, "", guest, router, _vitals(seen, label))
    except UNREADABLE as error:
        return Heard(heard.host, seen, at_s, _unreadable(error))  # the next line says what changed since this one


def _unreadable(error: Exception) -> str:
    return f"what its script says cannot be read: {cause(error)}"


def _vitals(seen: Seen, label: str) -> Vitals | None:
    first, last = seen.metrics_before, seen.last.metrics
    if first is None or last is None or first.fault or last.fault:
        return None
    return judge_vitals(Scrape(first.at_s, first.values), Scrape(last.at_s, last.values), label, "")


@dataclass(frozen=True)
class _Node:
    """A node as it is heard now, and how long its vCPUs waited by the host's word."""

    heard: Heard
    fault: str
    age_s: float | None
    waits: tuple[float, ...]

    @property
    def now(self) -> Heard:
        """What is true now: nothing of who says nothing."""
        return Heard() if self.fault else self.heard


def watched(
    cluster: str,
    at: str,
    now_s: float,
    guests: Mapping[str, Heard],
    hosts: Mapping[str, HostHeard],
    names: Names,
) -> Watched:
    """The cluster as it is now, by what was heard of each node and host. `now_s` is of the clock that `Heard` and `Times` have."""
    vcpus = {name: tuple(_vcpus(one)) for name, one in hosts.items()}
    nodes = {name: _node(name, one, vcpus.get(one.host, ()), now_s) for name, one in guests.items()}
    recording = Recording(
        cluster=cluster,
        hosts=tuple(Host(name=name, vcpus=found) for name, found in vcpus.items() if found),
        guests=tuple(_stolen(one.now.guest, one.waits) for one in nodes.values() if one.now.guest),
        routers=tuple(one.now.router for one in nodes.values() if one.now.router and not one.now.router.fault),
        router_pods=names.routers,
    )
    causes = judge(recording).causes
    costs = [cost for one in guests.values() if one.seen and (cost := one.seen.cost) is not None]
    unseen = tuple(_unseen(nodes, hosts, names))
    rows = tuple(_row(name, one, causes) for name, one in nodes.items())
    return Watched(cluster, at, rows, causes, sum(costs) if costs else None, unseen)


def _node(name: str, heard: Heard, vcpus: Iterable[Vcpu], now_s: float) -> _Node:
    age_s = None if heard.at_s is None else max(now_s - heard.at_s, 0.0)
    waits = tuple(one.waited for one in vcpus if one.guest == name)
    return _Node(heard, heard.fault or _silence(heard.seen, age_s), age_s, waits)


def _silence(seen: Seen | None, age_s: float | None) -> str:
    if seen is None or age_s is None:
        return "it has not answered yet"
    return f"nothing was heard for {age_s:.0f} s" if age_s > 2 * seen.last.next_s + SILENT_S else ""


def _stolen(guest: Guest, waits: Sequence[float]) -> Guest:
    """Its steal by the host's word where that is more: an emulated guest's kernel knows of none."""
    return guest.model_copy(update={"steal": max(guest.steal, statistics.fmean(waits))}) if waits else guest


def _vcpus(host: HostHeard) -> Iterator[Vcpu]:
    """What lies between the last two looks, each thread where it was planned: where it is now, libvirt does not say in bulk."""
    if host.fault or host.last is None or host.before is None:
        return
    seconds = host.last.at_s - host.before.at_s
    for one in host.planned:
        first, last = (times.domains.get(one.domain) for times in (host.before, host.last))
        for number, after in sorted(last.vcpus.items()) if first and last else ():
            before = first.vcpus.get(number) if first else None
            if before and number < len(one.pins) and (waited := _share(before, after, seconds)) is not None:
                ran = min(max(after.ran_s - before.ran_s, 0.0) / seconds, 1.0)
                pin = one.pins[number]
                yield Vcpu(guest=one.guest, vcpu=number, planned=pin, live=pin, own=one.own, ran=ran, waited=waited)


def _share(before: VcpuTimes, after: VcpuTimes, seconds: float) -> float | None:
    if before.waited_s is None or after.waited_s is None or seconds <= 0:
        return None
    return round(min(max(after.waited_s - before.waited_s, 0.0) / seconds, 1.0), 4)


# ── a row ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _row(name: str, one: _Node, causes: Iterable[Cause]) -> Row:
    mine = tuple(dict.fromkeys(cause.id for cause in causes if name in cause.touches))
    row = Row(name, one.heard.host, one.fault, one.age_s, one.waits, "host" if one.waits else "", causes=mine)
    row = replace(row, cost=one.heard.seen.cost if one.heard.seen else None)
    if one.now.router and one.now.router.fault:
        row = replace(row, mesh_fault=one.now.router.fault)
    if found := one.now.vitals:
        row = replace(row, requests_per_s=found.requests_per_s, success_rate=found.success_rate)
        row = replace(row, p99_ms=found.p99_ms, ejected=found.ejected)
    return _with_guest(row, one.now.guest) if one.now.guest else row


def _with_guest(row: Row, guest: Guest) -> Row:
    again, sent = (sum(getattr(one, what) for one in guest.spaces) for what in ("retransmitted", "segments_sent"))
    return replace(
        row,
        steal=row.steal or (guest.steal,),
        steal_by=row.steal_by or "guest",
        busy=max(1.0 - guest.idle - guest.iowait - guest.steal, 0.0),
        again_per_s=again / guest.seconds,
        again_share=again / sent if sent else 0.0,
    )


def _unseen(nodes: Mapping[str, _Node], hosts: Mapping[str, HostHeard], names: Names) -> Iterator[tuple[str, str]]:
    yield from ((name, one.fault) for name, one in hosts.items() if one.fault)
    yield from ((name, one.fault) for name, one in nodes.items() if one.fault)
    routers = [(name, one.now.router) for name, one in nodes.items() if one.now.router]
    yield from ((f"linkerd on {name}", one.fault) for name, one in routers if one.fault)
    yield from (
        (name, "waits of vCPUs: libvirt does not say them") for name, one in hosts.items() if _says_no_waits(one)
    )
    yield from _unread([one.now.guest for one in nodes.values() if one.now.guest])
    if names.fault:
        yield "Kubernetes", f"{names.fault}: pods have no names"


def _unread(guests: Sequence[Guest]) -> Iterator[tuple[str, str]]:
    """What kernels of guests do not say, each once."""
    for what in dict.fromkeys(what for one in guests for what in one.unread):
        names = [one.name for one in guests if what in one.unread]
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        yield ", ".join(names[:MOST_NAMED]) + more, what


def _says_no_waits(host: HostHeard) -> bool:
    """Whether a host's guests run, and it does not say how long their vCPUs wait."""
    last = host.last.domains if host.last else {}
    ours = [last[one.domain] for one in host.planned if one.domain in last]
    return bool(ours) and not any(each.waited_s is not None for one in ours for each in one.vcpus.values())
