"""Recordings of a cluster as it would be seen, healthy or with causes planted: four guests on three hosts, a service of three endpoints.

Strict: a planter names the machines that it changes, and fails when they are not there. Numbers vary with `draw`, within what is usual.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

from provision.diagnose import Endpoint, Recording
from provision.diagnose.facts import (
    NODE,
    Cache,
    Connections,
    Destination,
    Disk,
    Dns,
    Fact,
    Filesystem,
    Guest,
    Host,
    HostCpu,
    Listener,
    Other,
    Path,
    Pressure,
    Router,
    Service,
    Space,
    Throttled,
    Vcpu,
)

F = TypeVar("F", bound=Fact)

PLACES = {"cp1": "hv1", "w1": "hv1", "w2": "hv2", "w3": "hv3"}
PODS = {"w1": "default/web-1", "w2": "default/web-2", "w3": "default/web-3"}
ENDPOINTS = {"w1": "10.244.1.5:80", "w2": "10.244.2.5:80", "w3": "10.244.3.5:80"}
PINS = {"cp1": ("2", "3"), "w1": ("4", "5"), "w2": ("2", "3"), "w3": ("2", "3")}

Draw = Callable[[float, float], float]
"""A number between two."""


def drawer(seed: int) -> Draw:
    return random.Random(seed).uniform


def with_(fact: F, **changes: Any) -> F:
    """A fact with other values, checked as the facts are."""
    unknown = set(changes) - set(type(fact).model_fields)
    assert not unknown, unknown
    return type(fact).model_validate({**{name: getattr(fact, name) for name in type(fact).model_fields}, **changes})


def healthy(draw: Draw, places: dict[str, str] = PLACES, p99_ms: float = 40.0) -> Recording:
    """Nothing is wrong: no more than what a cluster shows that works."""
    hosts = sorted(set(places.values()))
    return Recording(
        cluster="lab",
        at="2026-12-01T00:00:00Z",
        hosts=tuple(_host(draw, host, [node for node, on in places.items() if on == host]) for host in hosts),
        guests=tuple(_guest(draw, node, host) for node, host in places.items()),
        paths=(
            *(_path(draw, "guest", a, b) for a in places for b in places if a != b),
            *(_path(draw, "host", a, b) for a in hosts for b in hosts if a != b),
        ),
        routers=tuple(_router(draw, node, p99_ms) for node in places),
        endpoints=tuple(
            Endpoint(service="web", address=ENDPOINTS[node], pod=PODS[node], node=node)
            for node in places
            if node in PODS
        ),
        router_pods=tuple(f"default/l5d-{node}" for node in places),
    )


def _host(draw: Draw, name: str, nodes: list[str]) -> Host:
    pins = {node: PINS.get(node, ("2", "3")) for node in nodes}
    return Host(
        name=name,
        vcpus=tuple(
            Vcpu(
                guest=node,
                vcpu=n,
                planned=cpu,
                live=cpu,
                ran=draw(0.05, 0.6),
                waited=draw(0, 0.005),
                wait_ms=draw(0, 0.05),
            )
            for node in nodes
            for n, cpu in enumerate(pins[node])
        ),
        others=(
            Other(cpu=0, who="libvirtd", share=draw(0.01, 0.2)),
            Other(cpu=2, who="kworker/2:1", share=draw(0.01, 0.015)),
        ),
        cpus=tuple(
            HostCpu(cpu=n, mhz=draw(2900, 3500), max_mhz=3500.0, deep=draw(0, 0.05), deep_us=10) for n in range(8)
        ),
        pressure=Pressure(cpu=draw(0, 0.05), memory=draw(0, 0.005), io=draw(0, 0.05)),
        numa_misses_per_s=draw(0, 20),
        disks=(
            Disk(name="nvme0n1", ios_per_s=draw(5, 900), await_ms=draw(0.05, 1.5), queue=draw(0, 1), busy=draw(0, 0.4)),
        ),
    )


def _guest(draw: Draw, name: str, host: str) -> Guest:
    return Guest(
        name=name,
        host=host,
        steal=draw(0, 0.01),
        idle=draw(0.3, 0.9),
        iowait=draw(0, 0.03),
        pressure=Pressure(cpu=draw(0, 0.2), memory=draw(0, 0.01), io=draw(0, 0.05)),
        spaces=(_space(draw, NODE), *(_space(draw, PODS[name]) for _ in (1,) if name in PODS)),
        conntrack=int(draw(200, 30000)),
        conntrack_max=65536,
        packets=1_000_000,
        softnet_squeezes=int(draw(0, 30)),
        neighbours=int(draw(4, 60)),
        neighbours_max=1024,
        disks=(Disk(name="vda", ios_per_s=draw(1, 60), await_ms=draw(0.2, 12), queue=draw(0, 0.3), busy=draw(0, 0.2)),),
        filesystems=(Filesystem(point="/", bytes_used=draw(0.2, 0.85), inodes_used=draw(0.05, 0.3)),),
        throttled=(Throttled(pod=f"default/l5d-{name}", periods=600, stopped=int(draw(0, 3)), stopped_s=0.05),),
        dns=(
            Dns(
                server="10.96.0.10",
                name="kubernetes.default.svc.cluster.local",
                sent=20,
                lost=0,
                median_ms=draw(0.5, 8),
                p99_ms=draw(8, 60),
                searches=4,
            ),
        ),
        connections=tuple(_connections(draw, end, draw(4, 12)) for end in ENDPOINTS.values()),
    )


def _connections(draw: Draw, end: str, answer_ms: float) -> Connections:
    rate = draw(5, 60)
    return Connections(
        end=end, connections=4, waiting=rate * answer_ms / 1000, answers_per_s=rate, rtt_ms=draw(0.2, 0.9)
    )


def _space(draw: Draw, name: str) -> Space:
    return Space(
        name=name,
        destinations=(Destination(address=ENDPOINTS["w1"], time_wait=int(draw(0, 6000)), open=int(draw(1, 60))),),
        listeners=(
            Listener(address="0.0.0.0", port=4140, backlog=1024),
            Listener(address="0.0.0.0", port=10250, backlog=4096),
        ),
        segments_sent=int(draw(20000, 90000)),
        retransmitted=int(draw(0, 15)),
        syn_retries=int(draw(0, 3)),
        opened=int(draw(50, 3000)),
        accepted=int(draw(50, 3000)),
    )


def _path(draw: Draw, kind: str, start: str, end: str) -> Path:
    median = draw(0.2, 1.5)
    lost = 1 if draw(0, 1) > 0.95 else 0
    p99, jitter, whole = median * draw(1.5, 5), draw(0.05, 0.9), 8 if kind == "guest" else 0
    return Path(
        kind=kind,
        start=start,
        end=end,
        sent=600,
        lost=lost,
        median_ms=median,
        p99_ms=p99,
        jitter_ms=jitter,
        whole_sent=whole,
        whole_lost=1 if whole and draw(0, 1) > 0.95 else 0,
        clock_ahead_s=draw(-0.02, 0.02),
    )


def _router(draw: Draw, node: str, p99_ms: float) -> Router:
    requests = int(draw(800, 9000))
    return Router(
        node=node,
        requests=requests,
        p50_ms=draw(4, 9),
        p99_ms=p99_ms * draw(0.8, 1),
        services=(
            Service(
                router="outgoing",
                name="web",
                requests=requests,
                p50_ms=draw(3, 6),
                p99_ms=p99_ms * draw(0.6, 0.75),
                connect_p99_ms=draw(0.5, 3),
                size=3,
                available=3,
                retries=int(draw(0, requests / 200)),
            ),
        ),
        caches=tuple(
            Cache(router="outgoing", name=name, misses=int(draw(0, 5))) for name in ("path", "tree", "bound", "client")
        ),
        gc_ms=draw(20, 300),
        gc_cycles=int(draw(6, 40)),
        safepoint_ms=draw(300, 400),
        heap_used_mib=draw(90, 280),
        heap_max_mib=384.0,
        files=int(draw(90, 600)),
        files_max=1048576,
    )


# ── what is changed ──────────────────────────────────────────────────────────────────────────────────────────────


def _changed(facts: tuple[F, ...], is_it: Callable[[F], bool], change: Callable[[F], F]) -> tuple[F, ...]:
    assert any(is_it(one) for one in facts), "there is no such thing to change"
    return tuple(change(one) if is_it(one) else one for one in facts)


def in_guest(recording: Recording, name: str, change: Callable[[Guest], Guest]) -> Recording:
    return with_(recording, guests=_changed(recording.guests, lambda one: one.name == name, change))


def in_host(recording: Recording, name: str, change: Callable[[Host], Host]) -> Recording:
    return with_(recording, hosts=_changed(recording.hosts, lambda one: one.name == name, change))


def in_router(recording: Recording, node: str, change: Callable[[Router], Router]) -> Recording:
    return with_(recording, routers=_changed(recording.routers, lambda one: one.node == node, change))


def in_service(recording: Recording, node: str, change: Callable[[Service], Service]) -> Recording:
    return in_router(recording, node, lambda one: with_(one, services=tuple(map(change, one.services))))


def in_space(recording: Recording, node: str, change: Callable[[Space], Space], name: str = NODE) -> Recording:
    return in_guest(
        recording, node, lambda one: with_(one, spaces=_changed(one.spaces, lambda space: space.name == name, change))
    )


def between(recording: Recording, one: str, other: str, change: Callable[[Path], Path]) -> Recording:
    ends = {one, other}
    return with_(recording, paths=_changed(recording.paths, lambda path: {path.start, path.end} == ends, change))


def slower(recording: Recording, p99_ms: float) -> Recording:
    """What applications see of it: their requests' p99."""
    return with_(
        recording,
        routers=tuple(
            with_(one, p99_ms=p99_ms, services=tuple(with_(each, p99_ms=p99_ms * 0.9) for each in one.services))
            for one in recording.routers
        ),
    )
