"""What stays on a guest while somebody watches it: sent as text behind that of `on_machine`, whose readers it uses, run as root by its
python3 (3.9 or later), standard library only.

One process, started once: it reads files and asks linkerd, and prints a line of JSON each tick, of what is no longer as it was in the
line before. It only reads. It keeps itself to a share of a CPU by ticking less often, and ends when nobody reads its lines any longer.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from provision.diagnose.on_machine import cpu_stats, files_of, filesystems, metrics, spaces, text_of

TICK_FILES = (
    "/proc/stat",
    "/proc/vmstat",
    "/proc/diskstats",
    "/proc/net/softnet_stat",
    "/proc/net/stat/nf_conntrack",
    "/proc/pressure/cpu",
    "/proc/pressure/memory",
    "/proc/pressure/io",
    "/proc/sys/net/netfilter/nf_conntrack_count",
)
SLOW_FILES = (
    "/proc/net/arp",
    "/proc/sys/net/netfilter/nf_conntrack_max",
    "/proc/sys/net/ipv4/neigh/default/gc_thresh3",
    "/proc/sys/net/core/somaxconn",
)
"""Those that fill up or are set by hand: now and then is enough."""

LINES = {"/proc/stat": "cpu", "/proc/vmstat": "pswpin "}
"""Of these only the lines that begin so: the rest is not judged, and is most of them."""

COUNTERS = {
    "snmp": {"Tcp": {"ActiveOpens", "PassiveOpens", "OutSegs", "RetransSegs"}},
    "netstat": {"TcpExt": {"ListenOverflows", "ListenDrops", "TCPSynRetrans"}},
}
"""Of /proc/net of each network namespace: what `read_guest` takes."""

METRICS = (
    "/requests",
    "/success",
    "/request_latency_ms.p50",
    "/request_latency_ms.p95",
    "/request_latency_ms.p99",
    "/connect_latency_ms.p99",
    "/service_acquisition_latency_ms.p99",
    "/loadbalancer/size",
    "/loadbalancer/available",
    "/failure_accrual/removals",
    "/failure_accrual/revivals",
    "/retries/requeues",
    "/retries/budget_exhausted",
    "/pool_waiters",
    "/pool_num_waited",
    "/misses",
    "/evicts",
    "/oneshots",
    "jvm/uptime",
    "jvm/heap/used",
    "jvm/heap/max",
    "jvm/gc/msec",
    "jvm/gc/cycles",
    "jvm/safepoint/total_time_millis",
    "jvm/fd_count",
    "jvm/fd_limit",
)
"""Ends of the names that `read_router` and `mesh.judge_vitals` take, of some thousand that a linkerd has."""

METRICS_S, SLOW_S = 10.0, 60.0
"""How often linkerd is asked at the most, and pods, quotas and filesystems are looked for."""

CARRIERS = ("sudo", "sshd", "sshd-session")
"""By name, what may be between us and the wire."""

NICE = 10
"""Who is watched goes first."""


def trimmed(text: str, wanted: dict[str, set[str]]) -> str:
    """Lines of names and lines of numbers under a title (/proc/net/snmp), with the wanted columns only."""
    lines, kept = text.splitlines(), list[str]()
    for names, numbers in zip(lines[::2], lines[1::2]):  # noqa: B905 - Python 3.9
        title = names.partition(":")[0]
        if title in wanted:
            pairs = [one for one in zip(names.split(), numbers.split()) if one[0] in wanted[title]]  # noqa: B905
            kept += [f"{title}: {' '.join(one[column] for one in pairs)}" for column in (0, 1)]
    return "\n".join(kept)


def counters(folder: str) -> Iterator[tuple[str, str]]:
    """The counters of the network namespace whose /proc/net this is, as files of /proc/net."""
    for name, wanted in COUNTERS.items():
        text = text_of(folder + "/" + name)
        if text:
            yield "/proc/net/" + name, trimmed(text, wanted)


def begins(path: str, text: str) -> str:
    """A file without the lines that nobody judges."""
    start = LINES.get(path)
    return text if start is None else "\n".join(line for line in text.splitlines() if line.startswith(start))


def carriers() -> list[str]:
    """The processes that carry our lines and work for nobody else: sudo and the sshd of this connection, not the one that listens."""
    found: list[str] = []
    pid = str(os.getppid())
    while True:
        stat = (text_of("/proc/" + pid + "/stat") or "").rpartition(")")[2].split()
        if len(stat) < 2 or stat[1] == "1" or (text_of("/proc/" + pid + "/comm") or "").strip() not in CARRIERS:
            return found
        found.append(pid)
        pid = stat[1]


def ran_s(pid: str) -> float:
    """How long a process of one thread was on a CPU; 0 where the kernel does not say."""
    with suppress(ValueError, IndexError):
        return int((text_of("/proc/" + pid + "/schedstat") or "").split()[0]) / 1e9
    return 0.0


class Ticks:
    """What is read each tick, and what it costs."""

    def __init__(self, admin_port: int, share: float) -> None:
        """Nothing was read yet. `admin_port` is linkerd's, 0 for none; `share` of a CPU is what it may take, 0: as much as it takes."""
        self.port, self.share, self.rare_s = admin_port, share, 0.0
        self.last: dict[str, dict[str, Any]] = {"files": {}, "spaces": {}, "cgroups": {}, "metrics": {}}
        self.slow: dict[str, str] = {}
        self.full: list[list[Any]] = []
        self.pods: dict[str, str] = {}
        self.quotas: dict[str, str] = {}
        self.due = {"slow": 0.0, "metrics": 0.0}
        self.asked_at_s: float | None = None
        self.said: dict[str, float] = {}
        self.fault = ""
        self.quickest_s, self.linkerd_s = float("inf"), 0.0
        self.carriers = carriers()

    def cost_s(self) -> float:
        """CPU time that watching has cost this guest: ours, that of who carries our lines, and linkerd's for its answers: for each what
        we waited for the quickest so far (others may have waited for a CPU themselves).
        """
        return time.process_time() + sum(map(ran_s, self.carriers)) + self.linkerd_s

    def rarely(self, what: str, every_s: float, work: Callable[[], None]) -> None:
        """Does what takes longer, when it is time again: a quarter of our share is for each such work, however seldom that lets it be."""
        now = time.monotonic()
        if now < self.due[what]:
            return
        before_s = self.cost_s()
        work()
        took_s = self.cost_s() - before_s
        self.rare_s += took_s
        # A tick that comes a little early is not put off to the next one.
        self.due[what] = now + max(every_s * 0.95, 4 * took_s / self.share if self.share else 0.0)

    def pause_s(self, every_s: float, took_s: float) -> float:
        """From one tick to the next: half of our share is for what is done each tick."""
        rare_s, self.rare_s = self.rare_s, 0.0
        return max(every_s, 2 * (took_s - rare_s) / self.share if self.share else 0.0)

    def look_around(self) -> None:
        """What changes slowly: pods, who has a quota, filesystems, tables' sizes."""
        self.slow = files_of(SLOW_FILES)
        self.full = filesystems(text_of("/proc/mounts") or "")
        self.pods = {pod: "/proc/" + pid + "/net" for pod, pid in spaces().items()}
        self.quotas = {path: file for file, path, text in cpu_stats() if "nr_periods 0\n" not in text}

    def ask(self) -> None:
        """What linkerd says of itself, as far as it is judged; {} with `fault` where it says nothing."""
        began, own = time.monotonic(), time.process_time()
        said = metrics(self.port)
        self.asked_at_s = time.monotonic()
        if not isinstance(said, dict):
            self.fault, self.said = said or "there is no linkerd to ask", {}
            return
        waited_s = max(self.asked_at_s - began - (time.process_time() - own), 0.0)
        self.quickest_s = min(self.quickest_s, waited_s)
        self.linkerd_s += self.quickest_s
        self.fault = ""
        self.said = {name: value for name, value in said.items() if name.endswith(METRICS)}

    def read(self) -> dict[str, dict[str, Any]]:
        """All parts, as they are now."""
        self.rarely("slow", SLOW_S, self.look_around)
        if self.port:
            self.rarely("metrics", METRICS_S, self.ask)
        folders = {"": "/proc/net", **self.pods}
        return {
            "files": {**{path: begins(path, text) for path, text in files_of(TICK_FILES).items()}, **self.slow},
            "spaces": {pod + " " + path: text for pod, folder in folders.items() for path, text in counters(folder)},
            "cgroups": {path: text for path, file in self.quotas.items() for text in [text_of(file)] if text},
            "metrics": self.said,
        }

    def tick(self) -> dict[str, Any]:
        """What is no longer as it was; None stands for what is gone."""
        at_s, now = time.monotonic(), self.read()
        line: dict[str, Any] = {part: changes(self.last[part], told) for part, told in now.items()}
        self.last = now
        return {
            **line,
            "at_s": at_s,
            "asked_at_s": self.asked_at_s,
            "fault": self.fault,
            "filesystems": self.full,
        }


def changes(last: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What is new or different, and None for what is gone."""
    found = {name: value for name, value in now.items() if last.get(name) != value}
    return {**found, **{name: None for name in last if name not in now}}


def stay(spec: dict[str, Any]) -> None:
    """Ticks until nobody reads. `every_s` apart, or further, so that no more than `share` of a CPU is taken (0: as much as it takes)."""
    os.nice(NICE)
    ticks, readers = Ticks(spec["admin_port"], spec["share"]), select.poll()
    readers.register(sys.stdout.fileno(), 0)  # says a hang-up, and nothing else
    before_s = ticks.cost_s()
    while True:
        began = time.monotonic()
        line = ticks.tick()
        cost_s = ticks.cost_s()
        next_s = ticks.pause_s(spec["every_s"], cost_s - before_s)
        before_s = cost_s
        sys.stdout.write(json.dumps({**line, "cost_s": cost_s, "next_s": next_s}, separators=(",", ":")) + "\n")
        sys.stdout.flush()
        if readers.poll(max(began + next_s - time.monotonic(), 0.0) * 1000):
            return


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        stay(json.loads(sys.argv[3]))
    os._exit(0)  # Python would try once more to write what nobody reads
