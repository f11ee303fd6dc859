"""Two scrapes of a linkerd, as facts. Names of 0.8.5 and, behind the bar, of 1.0 and later. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from provision.base.units import MIB
from provision.diagnose.facts import Cache, Router, Service

Metrics = Mapping[str, float]

_SERVER = re.compile(r"(rt/([^/]+)/(?:srv|server)/[^/]+/\d+)/requests")
_CLIENT = re.compile(r"(rt/([^/]+)/(?:dst/id|client)/(.+))/requests")
_CACHE = re.compile(r"(rt/([^/]+)/bindcache/(path|tree|bound|client))/misses")


def read_router(
    node: str, first: Metrics | str | None, last: Metrics | str | None, label: str, seconds: float
) -> Router:
    """What lies between them; `label` is the router that applications ask."""
    if last is None or isinstance(last, str) or not last:
        return Router(node=node, fault=_fault(last))
    if first is None or isinstance(first, str) or last.get("jvm/uptime", 0) < first.get("jvm/uptime", 0):
        first = {}  # it was started meanwhile: what it has counted is since then
    servers = [match[1] for key in last if (match := _SERVER.fullmatch(key)) and match[2] == label]
    more = _Grown(first, last)
    return Router(
        node=node,
        seconds=seconds,
        requests=sum(more(f"{one}/requests") for one in servers),
        p50_ms=max(filter(None, (last.get(f"{one}/request_latency_ms.p50") for one in servers)), default=None),
        p99_ms=max(filter(None, (last.get(f"{one}/request_latency_ms.p99") for one in servers)), default=None),
        services=tuple(_services(more)),
        caches=tuple(_caches(more)),
        gc_ms=float(more("jvm/gc/msec")),
        gc_cycles=more("jvm/gc/cycles"),
        safepoint_ms=float(more("jvm/safepoint/total_time_millis")),
        heap_used_mib=_mib(last, "jvm/heap/used"),
        heap_max_mib=_mib(last, "jvm/heap/max"),
        files=_whole(last, "jvm/fd_count"),
        files_max=_whole(last, "jvm/fd_limit"),
    )


def _fault(said: Metrics | str | None) -> str:
    return said if isinstance(said, str) else "there is no linkerd to ask"


def _mib(last: Metrics, key: str) -> float | None:
    return round(last[key] / MIB, 1) if key in last else None


def _whole(last: Metrics, key: str) -> int | None:
    return int(last[key]) if key in last else None


class _Grown:
    """What counters have gone up by."""

    def __init__(self, first: Metrics, last: Metrics) -> None:
        self.first, self.last = first, last

    def __call__(self, key: str) -> int:
        return max(int(self.last.get(key, 0) - self.first.get(key, 0)), 0)


def _services(more: _Grown) -> Iterator[Service]:
    last = more.last
    for key in last:
        match = _CLIENT.fullmatch(key)
        if match is None or re.search(r"/(?:path|service)/", match[3]) or "/failures" in match[3]:
            continue  # the same once more, by logical name
        scope, label, bound = match.groups()
        yield Service(
            router=label,
            name=bound.rpartition("/")[2],
            requests=more(key),
            p50_ms=last.get(f"{scope}/request_latency_ms.p50"),
            p99_ms=last.get(f"{scope}/request_latency_ms.p99"),
            connect_p99_ms=last.get(f"{scope}/connect_latency_ms.p99"),
            acquire_p99_ms=last.get(f"{scope}/service_acquisition_latency_ms.p99"),
            size=int(last.get(f"{scope}/loadbalancer/size", 0)),
            available=int(last.get(f"{scope}/loadbalancer/available", last.get(f"{scope}/loadbalancer/size", 0))),
            removals=_out(last, scope),
            retries=more(f"{scope}/retries/requeues"),
            budget_exhausted=more(f"{scope}/retries/budget_exhausted"),
            waiters=int(last.get(f"{scope}/pool_waiters", 0)),
            waited=more(f"{scope}/pool_num_waited"),
        )


def _out(last: Metrics, scope: str) -> int:
    """Endpoints that failure accrual has taken out and not put back."""
    removed, revived = (last.get(f"{scope}/failure_accrual/{one}", 0) for one in ("removals", "revivals"))
    return max(int(removed - revived), 0)


def _caches(more: _Grown) -> Iterator[Cache]:
    for key in more.last:
        if match := _CACHE.fullmatch(key):
            scope, label, name = match.groups()
            misses, evicts, oneshots = (more(f"{scope}/{one}") for one in ("misses", "evicts", "oneshots"))
            yield Cache(router=label, name=name, misses=misses, evicts=evicts, oneshots=oneshots)
