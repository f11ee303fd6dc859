"""A guest's sockets and its pods': ports, queues, what TCP sent again. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provision.diagnose.cause import Cause, cause
from provision.diagnose.estimate import RTO_MS, SYN_RETRY_MS, at_p99, part
from provision.diagnose.facts import NODE, Guest, Listener, Recording, Space

FULL = 0.8
"""Of the port range: from here on the kernel searches long (it tries odd and even ports apart)."""

AGAIN, LEAST_AGAIN = 0.01, 20
"""Segments that are sent again, as a share and in number."""

LEAST_OVERFLOWS = 3


def judge_sockets(recording: Recording) -> Iterator[Cause]:
    """MD403, MD411, MD412."""
    for guest in recording.guests:
        for space in guest.spaces:
            yield from _ports(guest, space)
            yield from _backlog(guest, space)
            yield from _again(guest, space)


def _where(guest: Guest, space: Space) -> str:
    return guest.name if space.name == NODE else f"{space.name} on {guest.name}"


def _ports(guest: Guest, space: Space) -> Iterator[Cause]:
    for one in space.destinations:
        used = part(one.time_wait + one.open, space.ports)
        if used >= FULL and one.time_wait > one.open / 4:
            seen = (
                f"{one.time_wait} connections in TIME_WAIT and {one.open} open to {one.address}, of {space.ports} ports "
                f"({used:.0%}); net.ipv4.tcp_tw_reuse = {space.tw_reuse}"
            )
            explains = SYN_RETRY_MS * min((used - 0.5) / 0.5, 1.0)
            yield cause("MD411", _where(guest, space), seen, explains, "certain", {guest.name}, node=guest.name)


def _backlog(guest: Guest, space: Space) -> Iterator[Cause]:
    if space.listen_overflows < LEAST_OVERFLOWS:
        return
    shortest = min(space.listeners, key=lambda one: (-part(one.waiting, one.backlog), one.backlog), default=None)
    dropped = part(space.listen_overflows, space.accepted + space.listen_overflows)
    listener = f"; shortest queue: {_said(shortest)}" if shortest else ""
    most = f"; somaxconn is {space.somaxconn}" if space.somaxconn else ""
    seen = f"{space.listen_overflows} connections dropped, {space.accepted} taken{most}{listener}"
    explains = at_p99(SYN_RETRY_MS, dropped)
    way = _remedy(guest, space, shortest)
    yield cause("MD412", _where(guest, space), seen, explains, "certain", {guest.name}, way=way)


def _said(listener: Listener) -> str:
    return f"{listener.address}:{listener.port} has a backlog of {listener.backlog}"


def _remedy(guest: Guest, space: Space, listener: Listener | None) -> str:
    if listener is not None and listener.backlog < space.somaxconn:
        who = f"`ss -ltnp sport = :{listener.port}` on {guest.name} says which program asked for so few"
        return f"{who}: raise its own backlog (nginx `listen … backlog=`, `ServerSocket(port, backlog)`; the JDK's default is 50)"
    where = "in the inventory" if space.name == NODE else "in the pod's securityContext.sysctls"
    return f"`net.core.somaxconn: 4096` under `sysctl:` {where}, and the program started anew"


def _again(guest: Guest, space: Space) -> Iterator[Cause]:
    share = part(space.retransmitted, space.segments_sent)
    if space.retransmitted >= LEAST_AGAIN and share >= AGAIN:
        seen = (
            f"{space.retransmitted} of {space.segments_sent} segments ({share:.1%}), {space.syn_retries} of them SYNs"
        )
        yield cause("MD403", _where(guest, space), seen, at_p99(RTO_MS, share), "likely", {guest.name}, node=guest.name)
