"""linkerd, and the endpoints behind it. Pure."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping

from provision.diagnose.cause import Cause, cause
from provision.diagnose.estimate import SYN_RETRY_MS, at_p99, part, share_of_p99
from provision.diagnose.facts import Cache, Endpoint, Recording, Router, Service

SLOWER, SLOWER_MS = 3.0, 20.0
"""An endpoint against the others of its service."""

LEAST_SEEN = 5.0
"""Looks in which a connection waited for it: once is chance."""

HIT = 0.01
"""Of requests: from here on it is p99."""

PAUSE_MS, BIND_MS, USUAL_MS = 5.0, 50.0, 20.0
"""`BIND_MS`: a question to the API server through kubectl proxy, and its answer."""

AGAIN, FILES = 0.05, 0.9
LEAST_REQUESTS = 10


def judge_mesh(recording: Recording) -> Iterator[Cause]:
    """MD451 to MD458."""
    yield from _endpoints(recording)
    for router in recording.routers:
        services = [one for one in router.services if recording.service in ("", one.name)]
        for service in services:
            yield from _waiting(router, service)
            yield from _again(router, service)
        for cache in router.caches:
            yield from _cache(router, cache, services)
        yield from _pauses(recording, router)
        yield from _files(router)
    yield from _ejected(recording)


# ── endpoints ────────────────────────────────────────────────────────────────────────────────────────────────────


def answers_ms(recording: Recording) -> dict[str, dict[Endpoint, float]]:
    """By service and endpoint: how long an answer takes, with the wire's part taken off; the mean over all nodes that ask it."""
    asked: dict[str, list[float]] = defaultdict(list)
    for guest in recording.guests:
        for one in guest.connections:
            if one.answer_ms is not None:
                asked[one.end].append(max(one.answer_ms - one.rtt_ms, 0.0))
    found: dict[str, dict[Endpoint, float]] = defaultdict(dict)
    for endpoint in recording.endpoints:
        if asked[endpoint.address] and recording.service in ("", endpoint.service):
            found[endpoint.service][endpoint] = statistics.fmean(asked[endpoint.address])
    return found


def _endpoints(recording: Recording) -> Iterator[Cause]:
    waited = _seen_waiting(recording)
    for service, answers in answers_ms(recording).items():
        for endpoint, took in answers.items():
            others = [ms for other, ms in answers.items() if other is not endpoint]
            usual = statistics.median(others) if others else took
            if waited[endpoint.address] >= LEAST_SEEN and took >= SLOWER * usual and took - usual >= SLOWER_MS:
                seen = f"{endpoint.address} of {service} answers in {took:.0f} ms, the others in {usual:.0f} ms"
                where = " on ".join(filter(None, (endpoint.pod or endpoint.address, endpoint.node)))
                pod = endpoint.pod.rpartition("/")[2] or "POD"
                yield cause("MD451", where, seen, took - usual, "certain", {endpoint.node}, pod=pod)


def _seen_waiting(recording: Recording) -> Mapping[str, float]:
    """By the other end, how often a connection was seen waiting: a look is taken each second."""
    found: dict[str, float] = defaultdict(float)
    for guest in recording.guests:
        for one in guest.connections:
            found[one.end] += one.waiting * guest.seconds
    return found


def _ejected(recording: Recording) -> Iterator[Cause]:
    """One cause for each service: told of the router that misses most."""
    worst: dict[str, tuple[float, Router, Service]] = {}
    for router in recording.routers:
        for one in router.services:
            missing = part(one.size - one.available, one.size)
            if one.removals and missing > 0 and recording.service in ("", one.name):
                worst[one.name] = max(
                    worst.get(one.name, (0.0, router, one)), (missing, router, one), key=lambda each: each[0]
                )
    for name, (missing, router, one) in worst.items():
        seen = f"{one.available} of {one.size} endpoints are left, {one.removals} ejected, as {router.node} sees it"
        explains = share_of_p99(recording, missing, USUAL_MS)
        yield cause("MD452", f"service {name}", seen, explains, "certain", {router.node}, service=name)


# ── a service as a router reaches it ─────────────────────────────────────────────────────────────────────────────


def _waiting(router: Router, service: Service) -> Iterator[Cause]:
    share = part(service.waited, service.requests)
    if service.requests >= LEAST_REQUESTS and share >= HIT:
        cost = service.acquire_p99_ms or service.p50_ms or USUAL_MS
        seen = f"{service.waited} of {service.requests} requests waited for a connection ({share:.0%}), {service.waiters} do now"
        where = f"service {service.name} from {router.node}"
        yield cause("MD456", where, seen, at_p99(cost, share), "likely", {router.node}, service=service.name)


def _again(router: Router, service: Service) -> Iterator[Cause]:
    share = part(service.retries, service.requests)
    if service.requests >= LEAST_REQUESTS and (share >= AGAIN or service.budget_exhausted):
        budget = f", {service.budget_exhausted} times without budget" if service.budget_exhausted else ""
        seen = f"{service.retries} of {service.requests} requests were sent again ({share:.0%}){budget}"
        where, cost = f"service {service.name} from {router.node}", service.p50_ms or USUAL_MS
        yield cause("MD457", where, seen, at_p99(cost, share), "possible", {router.node}, node=router.node)


# ── a router ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _cache(router: Router, cache: Cache, services: list[Service]) -> Iterator[Cause]:
    again = cache.evicts + cache.oneshots
    share = part(again, router.requests)
    if router.requests >= LEAST_REQUESTS and share >= HIT:
        connect = max((one.connect_p99_ms or 0.0 for one in services), default=0.0)
        seen = (
            f"{cache.name} cache of {cache.router}: {cache.evicts} names evicted and {cache.oneshots} clients for one request "
            f"in {router.requests} requests"
        )
        explains = at_p99(BIND_MS + connect, share)
        values = {"cache": f"{cache.name}s"}
        yield cause("MD453", f"linkerd on {router.node}", seen, explains, "certain", {router.node}, **values)


def _pauses(recording: Recording, router: Router) -> Iterator[Cause]:
    where, whole_ms = f"linkerd on {router.node}", router.seconds * 1000
    collecting, each = part(router.gc_ms, whole_ms), part(router.gc_ms, router.gc_cycles)
    heap = router.heap_max_mib
    if collecting >= HIT and each >= PAUSE_MS:
        used = f"; heap {router.heap_used_mib or 0:.0f} of {heap:.0f} MiB" if heap else ""
        seen = f"{router.gc_cycles} collections, {each:.0f} ms each, {collecting:.0%} of the time{used}"
        values = {"node": router.node, "heap": f"{heap:.0f}" if heap else "so many"}
        yield cause("MD454", where, seen, at_p99(each, collecting), "certain", {router.node}, **values)
    other = part(router.safepoint_ms - router.gc_ms, whole_ms)
    if other >= HIT:
        explains = max(share_of_p99(recording, other, USUAL_MS), 1000 * other)
        yield cause("MD455", where, f"{other:.1%} of the time", explains, "likely", {router.node}, node=router.node)


def _files(router: Router) -> Iterator[Cause]:
    if router.files and router.files_max and router.files >= FILES * router.files_max:
        seen = f"{router.files} of {router.files_max} are open"
        yield cause("MD458", f"linkerd on {router.node}", seen, SYN_RETRY_MS, "likely", {router.node}, node=router.node)
