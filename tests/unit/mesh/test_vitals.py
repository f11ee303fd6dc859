"""Two looks at a linkerd's metrics: in the words of 0.8.5 and of later releases."""

from __future__ import annotations

import json

import pytest
import yaml

from provision.base.curl import Answer
from provision.linkerd.wanted import Mesh
from provision.mesh import Scrape, Vitals, config_drift, configuration, judge_vitals, read_scrape, vitals_argv

WANTED = configuration(Mesh()).text
BOUND = "#/io.l5d.k8s/default/http/echo"


def metrics(requests: int, *, old: bool = True, uptime_s: float = 100.0, **more: float) -> dict[str, float]:
    server, client = ("srv", "dst/id") if old else ("server", "client")
    here = f"rt/outgoing/{server}/0.0.0.0/4140"
    there = f"rt/outgoing/{client}/{BOUND}"
    return {
        f"{here}/requests": requests,
        f"{here}/success": requests - requests // 10,
        f"{here}/request_latency_ms.p50": 3,
        f"{here}/request_latency_ms.p95": 9,
        f"{here}/request_latency_ms.p99": 40,
        f"rt/incoming/{server}/0.0.0.0/4141/request_latency_ms.p99": 900,
        f"{there}/requests": requests * 7,
        f"{there}/failure_accrual/removals": 3,
        f"{there}/failure_accrual/revivals": 1,
        f"{there}/loadbalancer/size": 4,
        f"{there}/loadbalancer/available": 3,
        "jvm/uptime": uptime_s * 1000,
        "jvm/heap/used": 200 * 2**20,
        "jvm/heap/max": 384 * 2**20,
        "jvm/gc/msec": uptime_s * 10,
        "jvm/fd_count": 120,
        "jvm/fd_limit": 1048576,
        **more,
    }


def look(at_s: float, **more: object) -> Scrape:
    return Scrape(at_s, metrics(**more))  # type: ignore[arg-type]


@pytest.mark.parametrize("old", [True, False])
def test_rates_are_between_the_looks_and_percentiles_of_the_router_asked_for(old: bool) -> None:
    first, last = look(10, requests=100, old=old), look(20, requests=300, old=old, uptime_s=110)
    assert judge_vitals(first, last, "outgoing", WANTED) == Vitals(
        release=None,
        uptime_s=110,
        heap_mib=200,
        heap_max_mib=384,
        gc_share=0.01,
        requests_per_s=20,
        success_rate=0.9,
        p50_ms=3,
        p95_ms=9,
        p99_ms=40,
        ejected=1,  # two removed and not revived, but the balancer misses one only: the other is gone for good
        open_files=120,
        max_open_files=1048576,
        drift=None,
    )


def test_who_was_started_anew_between_the_looks_counts_from_its_start() -> None:
    found = judge_vitals(look(10, requests=5000), look(20, requests=30, uptime_s=4), "outgoing", WANTED)
    assert (found.requests_per_s, found.success_rate) == (3, 0.9)


def test_nobody_asked_is_no_rate_of_success() -> None:
    found = judge_vitals(look(10, requests=100), look(20, requests=100), "outgoing", WANTED)
    assert (found.requests_per_s, found.success_rate) == (0, None)


def test_a_release_that_says_less_leaves_it_open() -> None:
    found = judge_vitals(Scrape(0, {}), Scrape(5, {}), "outgoing", WANTED)
    assert (found.uptime_s, found.gc_share, found.p99_ms, found.drift, found.ejected) == (None, None, None, None, 0)


def test_what_is_answered_is_read_and_what_is_missing_is_said() -> None:
    good = Answer(200, {}, json.dumps(metrics(1)))
    info, config = Answer(200, {}, '{"version": "0.8.5"}'), Answer(200, {}, '{"routers": []}')
    found = read_scrape(1.0, (info, good, config))
    assert isinstance(found, Scrape)
    assert (found.release, found.config) == ("0.8.5", {"routers": []})
    absent = Answer(404, {}, "")
    found = read_scrape(1.0, (absent, good, absent))
    assert isinstance(found, Scrape)
    assert (found.release, found.config) == (None, None)
    assert read_scrape(1.0, (info, Answer(0, {}, "refused"), config)) == "/admin/metrics.json: status 0, 'refused'"
    assert "no JSON object" in str(read_scrape(1.0, (info, Answer(200, {}, "<html>"), config)))
    assert "0 answers" in str(read_scrape(1.0, ()))
    assert vitals_argv(9990).count("--next") == 2


def test_the_running_configuration_is_compared_as_linkerd_writes_it() -> None:
    wanted = yaml.safe_load(WANTED)
    running = json.loads(json.dumps(wanted))
    running["routers"][0]["baseDtab"] = "/svc=>/#/io.l5d.k8s/default/http"  # no blanks, no last semicolon
    running["routers"][0]["timeoutMs"] = None  # a default
    del running["namers"]
    assert config_drift(wanted, running) == ()
    running["routers"][0]["client"]["failureAccrual"]["failures"] = 9
    running["routers"][0]["servers"].append({"port": 1})
    assert config_drift(wanted, running) == (
        "routers[0].servers: wanted 1 entries, runs with 2",
        "routers[0].client.failureAccrual.failures: wanted 5, runs with 9",
    )
