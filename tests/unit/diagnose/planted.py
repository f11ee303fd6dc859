"""The causes of the issue's list, each planted into a recording at machines that a test chooses, with numbers that vary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from provision.diagnose import Recording
from provision.diagnose.facts import Destination, Listener, Other, Path, Space, Throttled
from tests.unit.diagnose.cluster import (
    ENDPOINTS,
    PLACES,
    PODS,
    Draw,
    between,
    in_guest,
    in_host,
    in_router,
    in_service,
    in_space,
    slower,
    with_,
)

Plant = Callable[[Recording, Draw, str, str], Recording]


@dataclass(frozen=True)
class Planted:
    """A cause: its id, and what it changes at a node (and on the way to another one)."""

    name: str
    id: str
    plant: Plant
    p99_ms: float = 600.0


def loss(seen: Recording, draw: Draw, node: str, other: str) -> Recording:
    """1 % of packets, so 2 % of rounds; TCP sends again what is lost."""
    lost = lambda path: with_(path, lost=int(draw(5, 20)))  # noqa: E731
    seen = between(seen, node, other, lost)
    again = lambda space: with_(space, retransmitted=int(space.segments_sent * draw(0.011, 0.02)))  # noqa: E731
    return in_space(in_space(seen, node, again), other, again)


def delay(seen: Recording, draw: Draw, node: str, other: str) -> Recording:
    """100 ms ± 50; the endpoint behind it looks slow too."""

    def slow(path: Path) -> Path:
        return with_(path, median_ms=draw(90, 115), p99_ms=draw(145, 180), jitter_ms=draw(25, 40))

    seen = between(seen, node, other, slow)
    return _endpoint_at(seen, node, draw(80, 110), asked_by=other)


def hog(seen: Recording, draw: Draw, node: str, _other: str) -> Recording:
    """Somebody takes half of a pinned CPU; the guest sees steal, and its endpoint answers late."""
    host = PLACES[node]
    cpu = int(next(v.planned for h in seen.hosts if h.name == host for v in h.vcpus if v.guest == node))
    seen = in_host(
        seen,
        host,
        lambda one: with_(
            one,
            others=(*one.others, Other(cpu=cpu, who="stress-ng", share=draw(0.3, 0.6))),
            vcpus=tuple(
                with_(v, waited=draw(0.15, 0.5), wait_ms=draw(3, 12)) if v.guest == node and v.vcpu == 0 else v
                for v in one.vcpus
            ),
        ),
    )
    return in_guest(seen, node, lambda one: with_(one, steal=draw(0.08, 0.25)))


def moved(seen: Recording, draw: Draw, node: str, _other: str) -> Recording:
    """Its first vCPU floats over all CPUs."""
    return in_host(
        seen,
        PLACES[node],
        lambda one: with_(
            one,
            vcpus=tuple(
                with_(v, live="0-7", waited=draw(0.01, 0.2), wait_ms=draw(0.5, 6))
                if v.guest == node and v.vcpu == 0
                else v
                for v in one.vcpus
            ),
        ),
    )


def throttling(seen: Recording, draw: Draw, node: str, _other: str) -> Recording:
    stopped = int(draw(60, 400))
    row = Throttled(pod=f"default/l5d-{node}", periods=600, stopped=stopped, stopped_s=stopped * draw(0.03, 0.08))
    return in_guest(seen, node, lambda one: with_(one, throttled=(row,)))


def backlog(seen: Recording, draw: Draw, node: str, _other: str) -> Recording:
    def full(space: Space) -> Space:
        overflows = int(draw(40, 900))
        listeners = (*space.listeners, Listener(address="0.0.0.0", port=80, backlog=8, waiting=9))
        return with_(
            space, listeners=listeners, listen_overflows=overflows, listen_drops=overflows, syn_retries=overflows
        )

    return in_space(seen, node, full, name=PODS.get(node, "node"))


def ports(seen: Recording, draw: Draw, node: str, other: str) -> Recording:
    def full(space: Space) -> Space:
        waiting = int(space.ports * draw(0.9, 1.0))
        return with_(space, destinations=(Destination(address=ENDPOINTS["w1"], time_wait=waiting, open=20),))

    return in_space(seen, node, full)


def conntrack(seen: Recording, draw: Draw, node: str, _other: str) -> Recording:
    return in_guest(seen, node, lambda one: with_(one, conntrack=one.conntrack_max, conntrack_drops=int(draw(5, 5000))))


def ejected(seen: Recording, draw: Draw, node: str, _other: str) -> Recording:
    retries = lambda one: with_(one, available=2, removals=1, retries=int(one.requests * draw(0.02, 0.08)))  # noqa: E731
    return in_service(seen, node, retries)


def slow_endpoint(seen: Recording, draw: Draw, node: str, _other: str) -> Recording:
    return _endpoint_at(seen, node, draw(300, 700))


def _endpoint_at(seen: Recording, node: str, answer_ms: float, asked_by: str = "") -> Recording:
    """An endpoint's answers, as one or as all nodes see them."""
    end = ENDPOINTS.get(node, ENDPOINTS["w1"])
    return with_(
        seen,
        guests=tuple(
            with_(
                one,
                connections=tuple(
                    with_(each, waiting=each.answers_per_s * answer_ms / 1000)
                    if each.end == end and asked_by in ("", one.name)
                    else each
                    for each in one.connections
                ),
            )
            for one in seen.guests
        ),
    )


def small_cache(seen: Recording, draw: Draw, node: str, _other: str) -> Recording:
    return in_router(
        seen,
        node,
        lambda one: with_(
            one,
            caches=tuple(
                with_(each, evicts=int(one.requests * draw(0.1, 0.6)), oneshots=int(draw(0, 50)))
                if each.name == "client"
                else each
                for each in one.caches
            ),
        ),
    )


def small_heap(seen: Recording, draw: Draw, node: str, _other: str) -> Recording:
    cycles = int(draw(60, 200))
    gc_ms = cycles * draw(50, 140)
    return in_router(
        seen,
        node,
        lambda one: with_(
            one, gc_ms=gc_ms, gc_cycles=cycles, safepoint_ms=gc_ms * 1.02, heap_used_mib=62.0, heap_max_mib=64.0
        ),
    )


def slow_dns(seen: Recording, draw: Draw, _node: str, _other: str) -> Recording:
    return with_(
        seen,
        guests=tuple(
            with_(one, dns=tuple(with_(each, median_ms=draw(1000, 1010), p99_ms=draw(1010, 1100)) for each in one.dns))
            for one in seen.guests
        ),
    )


def clock(seen: Recording, draw: Draw, node: str, _other: str) -> Recording:
    off = draw(1.9, 2.1) * (1 if draw(0, 1) > 0.5 else -1)

    def shifted(path: Path) -> Path:
        if path.kind != "guest" or node not in (path.start, path.end):
            return path
        assert path.clock_ahead_s is not None
        return with_(path, clock_ahead_s=path.clock_ahead_s + (off if path.end == node else -off))

    return with_(seen, paths=tuple(map(shifted, seen.paths)))


def mtu(seen: Recording, _draw: Draw, node: str, other: str) -> Recording:
    return between(seen, node, other, lambda path: with_(path, whole_sent=8, whole_lost=8))


def full_disk(seen: Recording, draw: Draw, node: str, _other: str) -> Recording:
    return in_guest(
        seen,
        node,
        lambda one: with_(one, filesystems=tuple(with_(each, bytes_used=draw(0.97, 1)) for each in one.filesystems)),
    )


PLANTED = (
    Planted("packet loss 1 %", "MD401", loss, 400),
    Planted("delay 100 ms ± 50", "MD402", delay, 300),
    Planted("a CPU hog on a pinned CPU", "MD421", hog, 120),
    Planted("cgroup throttling of the router", "MD425", throttling, 180),
    Planted("a backlog of 8 under a burst", "MD412", backlog, 1500),
    Planted("exhausted ephemeral ports", "MD411", ports, 1200),
    Planted("a full conntrack table", "MD413", conntrack, 1500),
    Planted("an ejected endpoint", "MD452", ejected, 60),
    Planted("one slow endpoint", "MD451", slow_endpoint, 800),
    Planted("a too small binding cache", "MD453", small_cache, 150),
    Planted("GC pressure", "MD454", small_heap, 300),
    Planted("DNS that answers after 1 s", "MD416", slow_dns, 1300),
    Planted("a clock 2 s off", "MD405", clock, 45),
    Planted("an MTU that does not fit", "MD404", mtu, 1500),
    Planted("a full disk", "MD443", full_disk, 45),
    Planted("a moved pin", "MD422", moved, 60),
)
"""The issue's sixteen."""


def planted(cause: Planted, seen: Recording, draw: Draw, node: str, other: str) -> Recording:
    """The recording with the cause in it, and the p99 that comes of that where it is worse."""
    worst = max((one.p99_ms or 0 for one in seen.routers), default=0)
    after = cause.plant(seen, draw, node, other)
    return slower(after, max(cause.p99_ms * draw(0.9, 1.3), worst))
