"""The script's answer as facts: what the kernel's files and a linkerd's metrics say, in the words of real ones."""

from __future__ import annotations

from typing import Any

import pytest

from provision.diagnose import Planned, read_guest, read_host, read_paths, read_router
from provision.diagnose.facts import NODE
from provision.diagnose.read_guest import pod_name, searches_of

UID = "12345678-1234-1234-1234-123456789abc"
SNMP = "Tcp: RtoAlgorithm ActiveOpens PassiveOpens OutSegs RetransSegs\nTcp: 1 {opens} 5 {sent} {again}\n"
NETSTAT = "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPSynRetrans\nTcpExt: 0 {over} {over} {syn}\nIpExt: InNoRoutes\nIpExt: 0\n"
CONNTRACK = (
    "entries  searched drop early_drop\n00000010  00000000 {drop} 00000000\n00000010  00000000 00000000 00000000\n"
)
INTERRUPTS = "           CPU0       CPU1\n  1:   {a}          5   IO-APIC   1-edge  i8042\nLOC:   99999   99999   Local timer interrupts\n"


def files(*, late: bool) -> dict[str, str]:
    ticks, n = (2, 1) if late else (1, 0)
    return {
        "/proc/stat": f"cpu  {100 * ticks} 0 0 {700 * ticks} 0 0 0 {200 * ticks}\ncpu0 0 0 0 9 0 0 0 0\ncpu1 0 0 0 9 0 0 0 0\nctxt 9\n",
        "/proc/vmstat": f"pswpin {600 * ticks}\ncompact_stall {60 * ticks}\n",
        "/proc/pressure/io": f"some avg10=0.00 avg60=0.00 avg300=0.00 total={6_000_000 * ticks}\nfull avg10=0.00 total=0\n",
        "/proc/diskstats": (
            f" 254 0 vda {10 * ticks} 0 0 {1000 * ticks} 50 0 0 0 0 {3000 * ticks} {1200 * ticks}\n"
            " 254 1 vda1 1 0 0 0 0 0 0 0 0 0 0\n"
        ),
        "/proc/net/softnet_stat": f"0000{ticks}000 0000000{n} 00000000\n",
        "/proc/net/stat/nf_conntrack": CONNTRACK.format(drop=f"0000000{n * 3}"),
        "/proc/sys/net/netfilter/nf_conntrack_count": "12\n",
        "/proc/sys/net/netfilter/nf_conntrack_max": "65536\n",
        "/proc/net/arp": "IP address HW type\n10.0.0.1 0x1\n10.0.0.2 0x1\n",
        "/proc/interrupts": INTERRUPTS.format(a=60 * ticks),
        "/sys/devices/system/node/node0/numastat": f"numa_hit 5\nnuma_miss {600 * ticks}\n",
        "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1200000\n",
        "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "3500000\n",
        "/sys/devices/system/cpu/cpu0/cpuidle/state0/time": f"{n}\n",
        "/sys/devices/system/cpu/cpu0/cpuidle/state0/latency": "2\n",
        "/sys/devices/system/cpu/cpu0/cpuidle/state1/time": f"{30_000_000 * ticks}\n",
        "/sys/devices/system/cpu/cpu0/cpuidle/state1/latency": "133\n",
    }


def space(*, late: bool) -> dict[str, Any]:
    n = int(late)
    return {
        "files": {
            "/proc/net/snmp": SNMP.format(opens=10 + 90 * n, sent=100 + 900 * n, again=20 * n),
            "/proc/net/netstat": NETSTAT.format(over=7 * n, syn=3 * n),
            "/proc/sys/net/core/somaxconn": "128\n",
            "/proc/sys/net/ipv4/ip_local_port_range": "1024\t65000\n",
            "/proc/sys/net/ipv4/tcp_tw_reuse": "1\n",
        },
        "listeners": [["0.0.0.0", 80, 9, 8]],
        "busy": {"10.0.0.9:80>6": 40, "10.0.0.9:80>1": 2},
    }


def raw(**more: Any) -> dict[str, Any]:
    stat = "nr_periods {p}\nnr_throttled {t}\nthrottled_time {ns}\n"
    return {
        "before": {
            "files": files(late=False),
            "spaces": {"": space(late=False)},
            "cgroups": {f"kubepods/pod{UID}": stat.format(p=0, t=0, ns=0)},
        },
        "after": {
            "files": files(late=True),
            "spaces": {"": space(late=True)},
            "cgroups": {f"kubepods/pod{UID}": stat.format(p=600, t=60, ns=3 * 10**9)},
        },
        "seconds": 60.0,
        "filesystems": [["/", "/dev/vda1", 0.5, 0.1]],
        "domains": {},
        "tasks": [],
        "probes": [],
        "dns": [],
        "resolvers": [],
        "connections": {},
        "looks": 60,
        "schedstat": True,
        "sockets": True,
        **more,
    }


def test_a_guest() -> None:
    ends = {"10.244.1.5:80": {"seen": 120, "waiting": 30, "rtt_us": 120000, "answers": 300, "again": 2}}
    dns = [["10.96.0.10", "name", {"sent": 3, "ms": [1.0, 2.0]}]]
    resolver = (
        "nameserver 10.96.0.10\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
    )
    found = read_guest(
        "w1",
        "hv1",
        raw(connections={**ends, "1.2.3.4:5": ends["10.244.1.5:80"]}, dns=dns, resolvers=[resolver]),
        {UID: "default/web"},
        ["10.244.1.5:80"],
    )
    assert (found.cpus, found.steal, found.pressure.io, found.pressure.cpu, found.swap_ins_per_s) == (
        2,
        0.2,
        0.1,
        None,
        10.0,
    )
    assert (found.conntrack, found.conntrack_max, found.conntrack_drops, found.softnet_drops, found.neighbours) == (
        12,
        65536,
        3,
        1,
        2,
    )
    disk = found.disks[0]
    assert (disk.name, disk.ios_per_s, disk.await_ms, disk.busy, disk.queue) == ("vda", 0.17, 100.0, 0.05, 0.02)
    own = found.own
    assert (own.name, own.ports, own.tw_reuse, own.somaxconn) == (NODE, 63977, 1, 128)
    assert (own.listen_overflows, own.syn_retries, own.segments_sent, own.retransmitted, own.opened) == (
        7,
        3,
        900,
        20,
        90,
    )
    assert (own.destinations[0].time_wait, own.destinations[0].open, own.listeners[0].backlog) == (40, 2, 8)
    assert (found.throttled[0].pod, found.throttled[0].stopped, found.throttled[0].stopped_s) == (
        "default/web",
        60,
        3.0,
    )
    assert [one.end for one in found.connections] == ["10.244.1.5:80"]
    assert found.connections[0].answer_ms == pytest.approx(100.0)
    assert (found.dns[0].lost, found.dns[0].searches) == (1, 4)
    assert any("PSI" in one for one in found.unread)


def test_a_host() -> None:
    tasks = [
        ["77", "CPU 0/KVM", "2", 2, 30 * 10**9, 6 * 10**9, 1000],
        ["77", "qemu-system-x86", "0-1", 0, 10**9, 0, 10],
        ["5", "stress-ng", "0-7", 2, 24 * 10**9, 0, 10],
        ["6", "sshd", "0-7", 3, 10**6, 0, 10],
    ]
    planned = (Planned(guest="w1", domain="lab-w1", pins=("2", "3")), Planned(guest="w2", domain="lab-w2", pins=("4",)))
    found = read_host("hv1", raw(tasks=tasks, domains={"lab-w1": "77"}), planned)
    vcpu = found.vcpus[0]
    assert (len(found.vcpus), vcpu.guest, vcpu.planned, vcpu.live, vcpu.ran, vcpu.waited, vcpu.wait_ms) == (
        1,
        "w1",
        "2",
        "2",
        0.5,
        0.1,
        6.0,
    )
    assert [(one.cpu, one.who, one.share) for one in found.others] == [(2, "stress-ng", 0.4)]
    cpu = found.cpus[0]
    assert (cpu.mhz, cpu.max_mhz, cpu.deep, cpu.deep_us, cpu.irqs_per_s) == (1200.0, 3500.0, 0.5, 133, 1.0)
    assert (found.numa_misses_per_s, found.compact_stalls_per_s, found.thp) == (10.0, 1.0, "madvise")
    assert "the process of w2" in found.unread


def test_ways() -> None:
    row = {
        "sent": 4,
        "rtt_us": [1000, 3000, 2000],
        "whole_sent": 2,
        "whole_back": 1,
        "clock": [[8, 900.0], [0, 2000.0]],
    }
    (way,) = read_paths("w1", raw(probes=[["guest", "w2", "10.0.0.2", row]]))
    assert (way.lost, way.median_ms, way.p99_ms, way.jitter_ms, way.whole_lost, way.clock_ahead_s) == (
        1,
        2.0,
        3.0,
        1.5,
        1,
        2.0,
    )


@pytest.mark.parametrize("words", [("srv", "dst/id"), ("server", "client")])
def test_a_linkerd_of_both_generations(words: tuple[str, str]) -> None:
    server, client = f"rt/outgoing/{words[0]}/0.0.0.0/4140", f"rt/outgoing/{words[1]}/#/io.l5d.k8s/default/http/web"
    first = {"jvm/uptime": 1.0, f"{server}/requests": 10.0, f"{client}/requests": 10.0}
    last = {
        "jvm/uptime": 2.0,
        f"{server}/requests": 110.0,
        f"{server}/request_latency_ms.p99": 40.0,
        f"{client}/requests": 90.0,
        f"{client}/path/svc/web/requests": 90.0,
        f"{client}/loadbalancer/size": 3.0,
        f"{client}/loadbalancer/available": 2.0,
        f"{client}/failure_accrual/removals": 2.0,
        f"{client}/failure_accrual/revivals": 1.0,
        "rt/outgoing/bindcache/client/misses": 5.0,
        "rt/outgoing/bindcache/client/evicts": 4.0,
        "jvm/gc/msec": 30.0,
        "jvm/gc/cycles": 3.0,
        "rt/incoming/srv/0.0.0.0/4141/requests": 7.0,
    }
    found = read_router("w1", first, last, "outgoing", 60.0)
    (service,) = found.services
    assert (found.requests, found.p99_ms, service.name, service.requests) == (100, 40.0, "web", 80)
    assert (service.size, service.available, service.removals) == (3, 2, 1)
    assert (found.caches[0].name, found.caches[0].evicts, found.gc_cycles) == ("client", 4, 3)


def test_a_linkerd_that_was_started_meanwhile_has_counted_since_then() -> None:
    server = "rt/outgoing/srv/0.0.0.0/4140/requests"
    found = read_router("w1", {"jvm/uptime": 9.0, server: 500.0}, {"jvm/uptime": 2.0, server: 40.0}, "outgoing", 60.0)
    assert found.requests == 40
    assert read_router("w1", None, "refused", "outgoing", 60.0).fault == "refused"


def test_pods_of_both_cgroups() -> None:
    container = "c" * 64
    v2 = f"kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/docker-{container}.scope"
    assert pod_name(v2, {UID: "default/web"}) == f"default/web ({container[:12]})"
    assert pod_name(f"kubepods/pod{UID}/{container}", {}) == f"{UID} ({container[:12]})"


def test_searches() -> None:
    assert searches_of("search a b\noptions ndots:1\n") == 1
    assert searches_of("nameserver 10.0.0.1\n") == 1
