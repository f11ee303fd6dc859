"""What is heard of guests and hosts, as rows and as the findings that are true now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from provision.diagnose import Planned
from provision.hosts import DomainTimes, VcpuTimes
from provision.run.watched import Heard, HostHeard, Names, Times, Watched, told, watched

UID = "12345678-1234-1234-1234-123456789abc"


def line(at_s: float, **more: Any) -> dict[str, Any]:
    """What the script says at a tick; counters are since its start, so that rates are the same at any two ticks."""
    n = int(at_s)
    stat = f"cpu {300 * n} 0 0 {650 * n} 0 0 0 {more.pop('steal', 0) * n}\ncpu0 1 0 0 1 0 0 0 0\ncpu1 1 0 0 1 0 0 0 0"
    snmp = f"Tcp: ActiveOpens PassiveOpens OutSegs RetransSegs\nTcp: {n} {n} {1000 * n} {more.pop('again', 0) * n}"
    said = {
        "files": {
            "/proc/stat": stat,
            "/proc/sys/net/core/somaxconn": "4096\n",
            "/proc/sys/net/netfilter/nf_conntrack_count": "1\n",
            **more.pop("pressure", {"/proc/pressure/cpu": "some avg10=0.00 total=0\n"}),
        },
        "spaces": {" /proc/net/snmp": snmp},
        "cgroups": {},
        "metrics": {
            "rt/outgoing/srv/0.0.0.0/4140/requests": 100 * n,
            "rt/outgoing/srv/0.0.0.0/4140/success": 99 * n,
            "rt/outgoing/srv/0.0.0.0/4140/request_latency_ms.p99": 41,
            "jvm/uptime": 1000 * n,
        },
        "at_s": at_s,
        "asked_at_s": at_s,
        "fault": "",
        "filesystems": [["/", "/dev/vda1", 0.5, 0.1]],
        "cost_s": at_s * 0.002,
        "next_s": 5.0,
    }
    return said | more


Lines = list[dict[str, Any]]

NOBODY = Names()


def told_by(node: str, lines: Lines, names: Names = NOBODY) -> Heard:
    found = Heard("hv1")
    for one in lines:
        found = told(found, node, json.dumps(one), 100.0, names, "outgoing")
    return found


def heard(**more: Any) -> Lines:
    """Two ticks that lie five seconds apart."""
    return [line(10.0, **more), line(15.0, **more)]


def host(waited: float | None = 0.0, *, own: bool = True) -> HostHeard:
    """A host whose guest w1 waited for so large a share of the time with its second vCPU."""

    def times(at_s: float) -> Times:
        second = None if waited is None else waited * at_s
        vcpus = {0: VcpuTimes(at_s / 2, None if waited is None else 0.0), 1: VcpuTimes(at_s / 3, second)}
        return Times(at_s, {"lab-w1": DomainTimes(vcpus), "other": DomainTimes({})})

    return HostHeard(times(95.0), times(90.0), (Planned(guest="w1", domain="lab-w1", pins=("2", "3"), own=own),))


def now(
    guests: Mapping[str, Lines | Heard],
    hosts: dict[str, HostHeard] | None = None,
    at_s: float = 102.0,
    names: Names = NOBODY,
) -> Watched:
    known = {node: one if isinstance(one, Heard) else told_by(node, one, names) for node, one in guests.items()}
    return watched("lab", "2026-12-01T12:00:00Z", at_s, known, hosts or {}, names)


def test_a_row_is_what_lies_between_the_last_two_ticks() -> None:
    (row,) = now({"w1": heard(steal=50, again=2)}, {"hv1": host(0.01)}).rows
    assert (row.node, row.host, row.fault, row.age_s) == ("w1", "hv1", "", 2.0)
    assert row.steal == pytest.approx((0.0, 0.01))
    assert row.steal_by == "host"
    assert row.busy == pytest.approx(0.3)
    assert (row.again_per_s, row.again_share) == (2.0, 0.002)
    assert (row.requests_per_s, row.success_rate, row.p99_ms) == (100.0, 0.99, 41)
    assert row.cost == pytest.approx(0.002)


def test_what_watching_takes_is_the_sum_of_all_guests() -> None:
    assert now({"w1": heard(), "w2": heard()}).cost == pytest.approx(0.004)
    assert now({"w1": Heard()}).cost is None


def test_the_host_knows_of_steal_that_an_emulated_guest_does_not() -> None:
    found = now({"w1": heard()}, {"hv1": host(0.3)})
    assert [(one.id, one.where) for one in found.causes] == [("MD423", "w1")]
    assert found.rows[0].causes == ("MD423",)
    assert now({"w1": heard()}, {"hv1": host(0.3, own=False)}).causes == ()  # they share their CPUs by plan


def test_without_the_hosts_word_the_guests_own_is_shown() -> None:
    found = now({"w1": heard(steal=50)}, {"hv1": host(None)})
    assert (found.rows[0].steal, found.rows[0].steal_by) == ((0.05,), "guest")
    assert found.unseen == (("hv1", "waits of vCPUs: libvirt does not say them"),)


def test_a_finding_is_true_only_between_the_last_two_ticks() -> None:
    well, sick = line(20.0), line(15.0, again=60)
    assert [one.id for one in now({"w1": heard(again=60)}).causes] == ["MD403"]
    sick["spaces"] = {" /proc/net/snmp": well["spaces"][" /proc/net/snmp"].replace("20 20 20000 0", "15 15 15000 900")}
    well["spaces"] = {" /proc/net/snmp": well["spaces"][" /proc/net/snmp"].replace("20000 0", "20000 900")}
    assert now({"w1": [line(10.0), sick, well]}).causes == ()


def test_who_says_nothing_is_shown_with_its_age_and_judged_no_longer() -> None:
    found = now({"w1": heard(again=60), "w2": heard()}, {"hv1": host(0.3)}, at_s=140.0)
    assert [one.fault for one in found.rows] == ["nothing was heard for 40 s"] * 2
    assert (found.rows[0].age_s, found.rows[0].again_per_s, found.causes) == (40.0, None, ())
    lost = now({"w1": replace(told_by("w1", heard()), fault="the connection was lost"), "w2": heard(), "w3": Heard()})
    assert [one.fault for one in lost.rows] == ["the connection was lost", "", "it has not answered yet"]
    assert ("w1", "the connection was lost") in lost.unseen


def test_a_host_that_does_not_answer_leaves_its_guests() -> None:
    found = now({"w1": heard(steal=20)}, {"hv1": replace(host(0.3), fault="libvirt has not answered for 5 s")})
    assert found.unseen == (("hv1", "libvirt has not answered for 5 s"),)
    assert (found.rows[0].steal_by, found.rows[0].requests_per_s) == ("guest", 100.0)


def test_a_linkerd_that_says_nothing_is_said_and_its_guest_is_there() -> None:
    found = now({"w1": heard(metrics={}, fault="ConnectionRefusedError: refused")})
    assert (found.rows[0].mesh_fault, found.rows[0].p99_ms) == ("ConnectionRefusedError: refused", None)
    assert found.rows[0].busy is not None
    assert ("linkerd on w1", "ConnectionRefusedError: refused") in found.unseen
    without = now({"w1": heard(asked_at_s=None, metrics={})})
    assert (without.rows[0].mesh_fault, without.unseen) == ("", ())


def test_linkerd_is_asked_less_often_than_files_are_read() -> None:
    """Its rates are between its own two answers, also at ticks that bring none."""
    third = line(20.0) | {"asked_at_s": 15.0, "metrics": {}}
    first, second = line(5.0), line(15.0)
    (row,) = now({"w1": [first, line(10.0) | {"asked_at_s": 5.0, "metrics": {}}, second, third]}).rows
    assert (row.requests_per_s, row.success_rate) == (100.0, 0.99)


def test_pods_are_called_by_their_names() -> None:
    def quota(n: int) -> dict[str, str]:
        return {f"kubepods/pod{UID}": f"nr_periods {50 * n}\nnr_throttled {40 * n}\nthrottled_usec {2000000 * n}\n"}

    limited = [line(10.0, cgroups=quota(1)), line(15.0, cgroups=quota(2))]
    names = Names({UID: "default/l5d-1"}, ("default/l5d-1",))
    (one,) = now({"w1": limited}, names=names).causes
    assert (one.id, one.where, one.sure) == ("MD425", "default/l5d-1 on w1", "certain")
    assert UID in now({"w1": limited}).causes[0].where
    assert now({"w1": heard()}, names=Names(fault="no API")).unseen == (("Kubernetes", "no API: pods have no names"),)


def test_what_kernels_do_not_say_is_said_once() -> None:
    found = now({f"w{n}": heard(pressure={}) for n in range(6)}).unseen
    assert [where for where, why in found if "PSI" in why] == ["w0, w1, w2, w3 and 2 more"]


def test_it_is_data() -> None:
    found = json.loads(json.dumps(now({"w1": heard(again=60)}, {"hv1": host()}).as_data()))
    assert found["nodes"][0]["causes"] == ["MD403"]
    assert found["causes"][0]["id"] == "MD403"
    assert "MD421" in found["blind"]


@pytest.mark.parametrize("text", ["{}", "[]", "7", '{"at_s": 1}', "nonsense", json.dumps(line(1.0) | {"files": 7})])
def test_what_is_no_line_of_the_script_is_refused(text: str) -> None:
    found = told(Heard("hv1"), "w1", text, 0.0, NOBODY, "outgoing")
    assert (found.host, found.seen) == ("hv1", None)
    assert found.fault.startswith("what its script says cannot be read: ")


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("files", {"/proc/stat": "cpu a b"}),
        ("files", {"/proc/net/softnet_stat": "zz"}),
        ("spaces", {" /proc/net/snmp": "Tcp: RetransSegs\nTcp: many"}),
        ("cgroups", {"x": 7}),
        ("metrics", {"rt/outgoing/srv/0.0.0.0/4140/requests": "many"}),
        ("metrics", {"jvm/uptime": []}),
    ],
)
def test_a_kernel_or_a_linkerd_that_says_nonsense_ends_nothing(part: str, values: dict[str, Any]) -> None:
    found = told_by("w1", [line(10.0), line(15.0) | {part: values}])
    assert found.fault.startswith("what its script says cannot be read: ")
    (row,) = now({"w1": found}).rows
    assert (row.fault, row.busy, row.requests_per_s) == (found.fault, None, None)
    well = [line(20.0) | {part: dict.fromkeys(values)}, line(25.0), line(30.0)]
    assert told_by("w1", [line(10.0), line(15.0) | {part: values}, *well]).fault == ""


def test_what_is_gone_is_gone_and_the_rest_stays() -> None:
    found = told_by("w1", [line(10.0), line(15.0) | {"files": {"/proc/stat": None}, "spaces": {}}]).seen
    assert found is not None
    assert "/proc/stat" not in found.last.files
    assert "/proc/sys/net/core/somaxconn" in found.last.files
    assert found.last.spaces
