"""How a node's linkerd is: two scrapes of its admin port, and what lies between them. Pure.

Counters are since its start, so that only their difference says something of now; percentiles are of the last whole minute (finagle's
histograms roll on the minute). Names of 0.8.5 and of 1.0 and later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from provision.base.curl import Answer, options
from provision.base.units import MIB

_EACH = options(within_s=20)

SERVER = re.compile(r"(?P<server>rt/[^/]+/(?:srv|server)/[^/]+/[0-9]+)/requests")
"""A server's counter, with the words of 0.8.5 and of 1.0; what comes before it in the name is the server."""


def vitals_argv(admin_port: int) -> tuple[str, ...]:
    """One command for a node: what its linkerd is, its metrics, and its configuration where the release shows it."""
    admin = f"http://127.0.0.1:{admin_port}"
    server_info, metrics, config = (
        (*_EACH, f"{admin}/admin/server_info"),
        f"{admin}/admin/metrics.json",
        f"{admin}/config.json",
    )
    return ("curl", *server_info, "--next", *_EACH, metrics, "--next", *_EACH, config)


@dataclass(frozen=True)
class Scrape:
    """One look: seconds of whatever clock the caller has, the metrics, and what else was said (None: the release does not say it)."""

    at_s: float
    values: Mapping[str, float]
    release: str | None = None
    config: Mapping[str, Any] | None = None


def read_scrape(at_s: float, answers: tuple[Answer, ...]) -> Scrape | str:
    """The answers to `vitals_argv` as a look; a text where the admin port does not answer."""
    if len(answers) != 3:
        return f"{len(answers)} answers instead of 3"
    info, metrics, config = answers
    if metrics.status != 200:
        return f"/admin/metrics.json: status {metrics.status}, {metrics.body[:80]!r}"
    values = _mapping(metrics.body)
    if values is None:
        return f"/admin/metrics.json: no JSON object: {metrics.body[:80]!r}"
    said = _mapping(info.body) if info.status == 200 else None
    release = str(said["version"]) if said and said.get("version") else None
    numbers = {key: float(value) for key, value in values.items() if isinstance(value, int | float)}
    return Scrape(at_s, numbers, release, _mapping(config.body) if config.status == 200 else None)


def _mapping(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


@dataclass(frozen=True)
class Vitals:
    """A linkerd between two looks. None: it does not say so, or there was nothing to measure. Shares are 0 to 1, latencies milliseconds."""

    release: str | None
    uptime_s: float | None
    heap_mib: float | None
    heap_max_mib: float | None
    gc_share: float | None
    requests_per_s: float
    success_rate: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    ejected: int
    open_files: int | None
    max_open_files: int | None
    drift: tuple[str, ...] | None
    """Settings of the running configuration that are not the wanted ones; None where the release does not show it."""


def judge_vitals(first: Scrape, last: Scrape, label: str, wanted: str) -> Vitals:
    """What lies between two looks; `label` is the router whose latencies are shown, `wanted` the configuration's text."""
    passed_s = last.at_s - first.at_s
    if _value(last, "jvm/uptime", 0.0) < _value(first, "jvm/uptime", 0.0):
        first = Scrape(first.at_s, {})  # it was started anew meanwhile: what it has counted is since then
    requests, successes = _counted(first, last, "requests"), _counted(first, last, "success")
    gc_msec = _value(last, "jvm/gc/msec")
    return Vitals(
        release=last.release,
        uptime_s=_scaled(last, "jvm/uptime", 1000),
        heap_mib=_scaled(last, "jvm/heap/used", MIB),
        heap_max_mib=_scaled(last, "jvm/heap/max", MIB),
        gc_share=None if gc_msec is None else (gc_msec - _value(first, "jvm/gc/msec", 0.0)) / (passed_s * 1000),
        requests_per_s=requests / passed_s,
        success_rate=successes / requests if requests else None,
        p50_ms=_latency(last, label, "p50"),
        p95_ms=_latency(last, label, "p95"),
        p99_ms=_latency(last, label, "p99"),
        ejected=_ejected(last),
        open_files=_whole(last, "jvm/fd_count"),
        max_open_files=_whole(last, "jvm/fd_limit"),
        drift=None if last.config is None else config_drift(yaml.safe_load(wanted), last.config),
    )


def _value(one: Scrape, key: str, absent: Any = None) -> Any:
    return one.values.get(key, absent)


def _scaled(one: Scrape, key: str, by: float) -> float | None:
    value = one.values.get(key)
    return None if value is None else value / by


def _whole(one: Scrape, key: str) -> int | None:
    value = one.values.get(key)
    return None if value is None else int(value)


def _servers(one: Scrape) -> Iterator[str]:
    return (found["server"] for key in one.values if (found := SERVER.fullmatch(key)))


def _counted(first: Scrape, last: Scrape, what: str) -> float:
    keys = [f"{server}/{what}" for server in _servers(last)]
    return float(sum(_value(last, key, 0.0) - _value(first, key, 0.0) for key in keys))


def _latency(one: Scrape, label: str, which: str) -> float | None:
    here = [server for server in _servers(one) if server.split("/")[1] == label]
    found = [value for server in here if (value := one.values.get(f"{server}/request_latency_ms.{which}")) is not None]
    return max(found, default=None)  # percentiles of several servers cannot be added up


def _ejected(one: Scrape) -> int:
    """Endpoints that failure accrual has taken out: removed more often than revived, and no more than the balancer misses."""
    total = 0
    for key, removals in one.values.items():
        scope, found, _ = key.partition("/failure_accrual/removals")
        if found and re.match(r"rt/[^/]+/(dst/id|client)/", key):
            out = removals - _value(one, f"{scope}/failure_accrual/revivals", 0.0)
            size, left = _value(one, f"{scope}/loadbalancer/size"), _value(one, f"{scope}/loadbalancer/available")
            total += int(max(0.0, out if size is None or left is None else min(out, size - left)))
    return total


def config_drift(wanted: Any, running: Any, path: str = "") -> tuple[str, ...]:
    """Settings that both have, and not the same. What linkerd writes of a configuration leaves out what it has no word for, and has its
    defaults in: neither is a difference.
    """
    if isinstance(wanted, Mapping) and isinstance(running, Mapping):
        both = (key for key in wanted if key in running)
        return tuple(
            text
            for key in both
            for text in config_drift(wanted[key], running[key], f"{path}.{key}" if path else str(key))
        )
    if isinstance(wanted, list) and isinstance(running, list):
        if len(wanted) != len(running):
            return (f"{path}: wanted {len(wanted)} entries, runs with {len(running)}",)
        pairs = enumerate(zip(wanted, running, strict=True))
        return tuple(text for index, (one, other) in pairs for text in config_drift(one, other, f"{path}[{index}]"))
    return (
        () if _plain(wanted) == _plain(running) else (f"{path}: wanted {_shown(wanted)}, runs with {_shown(running)}",)
    )


def _plain(value: Any) -> str:
    """Dtabs are written back without blanks and without their last semicolon; numbers may come back as text."""
    return "".join(str(value).split()).rstrip(";").lower()


def _shown(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:60]}…"
