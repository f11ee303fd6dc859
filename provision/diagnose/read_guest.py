"""The answer of the script on a guest, as facts. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from provision.diagnose.facts import NODE, Connections, Destination, Dns, Filesystem, Guest, Listener, Space, Throttled
from provision.diagnose.numbers import grown, paired, percentile, rows, said, table, whole
from provision.diagnose.read_machine import cpu_shares, files, read_disks, read_pressure

TIME_WAIT = "6"
"""The kernel's number of that state (net/tcp_states.h)."""

_POD = re.compile(r"pod([0-9a-f_-]{32,36})")

Pods = Mapping[str, str]
"""Names of pods, `namespace/name`, by their uid."""


def read_guest(name: str, host: str, raw: Mapping[str, Any], pods: Pods, ends: Iterable[str]) -> Guest:
    """All facts. `ends` are the addresses with port whose connections are of interest: endpoints of services."""
    before, after = files(raw)
    shares = cpu_shares(raw)
    first, last = (table(one.get("/proc/vmstat", "")) for one in (before, after))
    softnet = [_softnet(one.get("/proc/net/softnet_stat", "")) for one in (before, after)]
    packets, drops, squeezes = (max(b - a, 0) for a, b in zip(*softnet, strict=True))
    pressure = read_pressure(raw)
    return Guest(
        name=name,
        host=host,
        seconds=raw["seconds"],
        cpus=max(len(shares) - 1, 1),
        steal=shares.get("cpu", {}).get("steal", 0.0),
        idle=shares.get("cpu", {}).get("idle", 1.0),
        iowait=shares.get("cpu", {}).get("iowait", 0.0),
        pressure=pressure,
        swap_ins_per_s=round(grown(first, last, "pswpin") / raw["seconds"], 2),
        spaces=tuple(_spaces(raw, pods)),
        conntrack=whole(after, "/proc/sys/net/netfilter/nf_conntrack_count") or 0,
        conntrack_max=whole(after, "/proc/sys/net/netfilter/nf_conntrack_max") or 0,
        conntrack_drops=_conntrack_drops(after) - _conntrack_drops(before),
        packets=packets,
        softnet_drops=drops,
        softnet_squeezes=squeezes,
        neighbours=max(len(after.get("/proc/net/arp", "").splitlines()) - 1, 0),
        neighbours_max=whole(after, "/proc/sys/net/ipv4/neigh/default/gc_thresh3") or 0,
        disks=read_disks(raw),
        filesystems=tuple(
            Filesystem(point=point, bytes_used=round(full, 4), inodes_used=round(inodes, 4))
            for point, _, full, inodes in raw["filesystems"]
        ),
        throttled=tuple(_throttled(raw, pods)),
        dns=tuple(_dns(raw)),
        connections=tuple(_connections(raw, frozenset(ends))),
        unread=tuple(_unread(raw, after, pressure.cpu is None)),
    )


def _unread(raw: Mapping[str, Any], after: Mapping[str, str], no_pressure: bool) -> Iterator[str]:
    if not raw["sockets"]:
        yield "sockets: ports, backlogs, answers by endpoint (its kernel has no inet_diag)"
    if no_pressure:
        yield "pressure (PSI: its kernel has none, or wants psi=1 on its command line)"
    if "/proc/sys/net/netfilter/nf_conntrack_count" not in after:
        yield "connection tracking (the kernel follows no connections)"


def _softnet(text: str) -> tuple[int, int, int]:
    """Packets taken, dropped, and how often the kernel ran out of time while it took some: hexadecimal, a line a CPU."""
    lines = [[int(word, 16) for word in line[:3]] for line in rows(text)]
    return sum(one[0] for one in lines), sum(one[1] for one in lines), sum(one[2] for one in lines)


def _conntrack_drops(seen: Mapping[str, str]) -> int:
    """Packets that found no place in the table: columns `drop` and `insert_failed` is not one of them (races, harmless)."""
    head, *lines = list(rows(seen.get("/proc/net/stat/nf_conntrack", ""))) or [[]]
    at = head.index("drop") if "drop" in head else -1
    return sum(int(line[at], 16) for line in lines) if at >= 0 else 0


# ── network namespaces ───────────────────────────────────────────────────────────────────────────────────────────


def _spaces(raw: Mapping[str, Any], pods: Pods) -> Iterator[Space]:
    before = said(raw, "before", "spaces")
    for key, now in said(raw, "after", "spaces").items():
        yield _space(pod_name(key, pods) if key else NODE, before.get(key, now), now)


def pod_name(path: str, pods: Pods) -> str:
    """The pod that a cgroup's path is of: by name where it is known, else by uid; a container's with the first of its id."""
    match = _POD.search(path)
    uid = match[1].replace("_", "-") if match else path
    container = re.search(r"/(?:[a-z-]+-)?([0-9a-f]{64})", path)
    return pods.get(uid, uid) + (f" ({container[1][:12]})" if container else "")


def _space(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Space:
    first, last = (_counters(one["files"]) for one in (before, after))
    sysctl = after["files"]
    low, high = map(int, sysctl.get("/proc/sys/net/ipv4/ip_local_port_range", "32768 60999").split())
    somaxconn, tw_reuse = (whole(sysctl, f"/proc/sys/net/{one}") for one in ("core/somaxconn", "ipv4/tcp_tw_reuse"))
    return Space(
        name=name,
        ports=high - low + 1,
        tw_reuse=2 if tw_reuse is None else tw_reuse,
        somaxconn=somaxconn or 0,
        destinations=tuple(_destinations(after["busy"])),
        listeners=tuple(
            Listener(address=address, port=port, backlog=backlog, waiting=waiting)
            for address, port, waiting, backlog in after["listeners"]
        ),
        listen_overflows=grown(first, last, "TcpExt.ListenOverflows"),
        listen_drops=grown(first, last, "TcpExt.ListenDrops"),
        segments_sent=grown(first, last, "Tcp.OutSegs"),
        retransmitted=grown(first, last, "Tcp.RetransSegs"),
        syn_retries=grown(first, last, "TcpExt.TCPSynRetrans"),
        opened=grown(first, last, "Tcp.ActiveOpens"),
        accepted=grown(first, last, "Tcp.PassiveOpens"),
    )


def _counters(seen: Mapping[str, str]) -> dict[str, int]:
    return paired(seen.get("/proc/net/snmp", "")) | paired(seen.get("/proc/net/netstat", ""))


def _destinations(busy: Mapping[str, int]) -> Iterator[Destination]:
    found: dict[str, dict[str, int]] = defaultdict(lambda: {"time_wait": 0, "open": 0})
    for key, count in busy.items():
        end, _, state = key.partition(">")
        found[end]["time_wait" if state == TIME_WAIT else "open"] += count
    for end, counts in found.items():
        yield Destination(address=end, **counts)


# ── pods, DNS, connections ───────────────────────────────────────────────────────────────────────────────────────


def _throttled(raw: Mapping[str, Any], pods: Pods) -> Iterator[Throttled]:
    before = said(raw, "before", "cgroups")
    for path, text in said(raw, "after", "cgroups").items():
        first, last = table(before.get(path, text)), table(text)
        # v1 counts nanoseconds, v2 microseconds, each under a name of its own.
        stopped_s = grown(first, last, "throttled_time") / 1e9 + grown(first, last, "throttled_usec") / 1e6
        if periods := grown(first, last, "nr_periods"):
            yield Throttled(
                pod=pod_name(path, pods),
                periods=periods,
                stopped=grown(first, last, "nr_throttled"),
                stopped_s=round(stopped_s, 3),
            )


def _dns(raw: Mapping[str, Any]) -> Iterator[Dns]:
    searches = max((searches_of(text) for text in raw["resolvers"]), default=0)
    for server, name, row in raw["dns"]:
        yield Dns(
            server=server,
            name=name,
            sent=row["sent"],
            lost=row["sent"] - len(row["ms"]),
            median_ms=percentile(row["ms"], 0.5),
            p99_ms=percentile(row["ms"], 0.99),
            searches=searches,
        )


def searches_of(resolver: str) -> int:
    """How many names are tried for one with fewer dots than `ndots`: all that are searched, then the name itself (resolv.conf(5))."""
    lines = list(rows(resolver))
    searched = next((len(line) - 1 for line in reversed(lines) if line[0] == "search"), 0)
    ndots = re.search(r"ndots:(\d+)", resolver)
    return searched + 1 if ndots and int(ndots[1]) > 1 else 1


def _connections(raw: Mapping[str, Any], ends: frozenset[str]) -> Iterator[Connections]:
    looks, seconds = max(raw["looks"], 1), raw["seconds"]
    for end, row in raw["connections"].items():
        if end in ends and row["seen"]:
            yield Connections(
                end=end,
                connections=round(row["seen"] / looks, 2),
                waiting=round(row["waiting"] / looks, 4),
                answers_per_s=round(row["answers"] / seconds, 3),
                rtt_ms=round(row["rtt_us"] / row["seen"] / 1000, 3),
                retransmits=int(row["again"]),
            )
