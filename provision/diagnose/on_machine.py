"""What runs on each machine that is looked at: sent as text, run as root by its python3 (3.9 or later), standard library only.

It only reads and probes: files of /proc and /sys before and after the look, sockets by netlink (sock_diag(7)) once a second, and between
them small ICMP and DNS packets to the machines that it was told of. `python3 -c TEXT SPEC`: SPEC is JSON, so is the answer.
"""

from __future__ import annotations

import ctypes
import glob
import http.client
import json
import os
import re
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

FILES = (
    "/proc/stat",
    "/proc/vmstat",
    "/proc/meminfo",
    "/proc/interrupts",
    "/proc/diskstats",
    "/proc/mounts",
    "/proc/net/arp",
    "/proc/net/softnet_stat",
    "/proc/net/stat/nf_conntrack",
    "/proc/pressure/cpu",
    "/proc/pressure/memory",
    "/proc/pressure/io",
    "/etc/resolv.conf",
    "/proc/sys/net/netfilter/nf_conntrack_count",
    "/proc/sys/net/netfilter/nf_conntrack_max",
    "/proc/sys/net/ipv4/neigh/default/gc_thresh3",
    "/sys/kernel/mm/ksm/pages_sharing",
    "/sys/kernel/mm/ksm/full_scans",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/devices/system/node/node*/numastat",
    "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq",
    "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq",
    "/sys/devices/system/cpu/cpu[0-9]*/cpuidle/state*/time",
    "/sys/devices/system/cpu/cpu[0-9]*/cpuidle/state*/latency",
)
"""Read before and after; those that are not there are left out."""

CGROUPS = ("/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup")
"""Where cpu.stat of pods lies: cgroup v1 under two names, then v2."""

SPACE_FILES = (
    "/proc/net/snmp",
    "/proc/net/netstat",
    "/proc/sys/net/core/somaxconn",
    "/proc/sys/net/ipv4/ip_local_port_range",
    "/proc/sys/net/ipv4/tcp_tw_reuse",
)
"""Of each network namespace."""

MOST_SPACES = 120
"""A node has 110 pods at the most (kubelet's --max-pods)."""

MAGIC = b"meshctl!"
HEAD = struct.Struct("!BBHHH")
STAMPED = struct.Struct("!8sQII")
"""Of an echo's payload: whose it is, when it left (ns), to which peer, whether it is a whole packet."""

DAY_MS = 86400000
PROBES_PER_S = 100.0
"""Of one machine to all others together: 8 KB a second."""

DRAIN_S = 1.5
"""What comes later is lost: linux sends a lost segment again after 0.2 s already."""

IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_PROBE = 10, 0, 3
SO_TIMESTAMPNS = 35
CLONE_NEWNET = 0x40000000
"""From the kernel's headers; Python 3.9 has no names for them."""

# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────


def text_of(path: str) -> str | None:
    """A file's text; None where there is none, or not for us."""
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
    return None


def files_of(patterns: Any) -> dict[str, str]:
    """The texts of all files that some patterns name."""
    paths = (path for pattern in patterns for path in sorted(glob.glob(pattern)))
    return {path: text for path in paths for text in [text_of(path)] if text is not None}


def throttled() -> dict[str, str]:
    """cpu.stat of every pod's and container's cgroup that has a quota, by its path below the hierarchy."""
    return {path: text for _, path, text in cpu_stats()}


def cpu_stats() -> list[tuple[str, str, str]]:
    """Each of these files, its cgroup's path below the hierarchy, and its text."""
    for root in CGROUPS:
        found = [
            (os.path.join(folder, "cpu.stat"), os.path.relpath(folder, root), text)
            for folder, _, names in os.walk(root)
            if "pod" in folder and "cpu.stat" in names
            for text in [text_of(os.path.join(folder, "cpu.stat"))]
            if text and "nr_throttled" in text
        ]
        if found:
            return found
    return []


def filesystems(mounts: str) -> list[list[Any]]:
    """Mount point, device, and the shares that are used of bytes and inodes, of filesystems on disks; each device once."""
    seen: dict[str, list[Any]] = {}
    for line in mounts.splitlines():
        device, point = line.split()[:2]
        if device.startswith("/dev/") and device not in seen and line.split()[3].split(",")[0] == "rw":
            with suppress(OSError):
                told = os.statvfs(point)
                seen[device] = [point, device, used(told.f_blocks, told.f_bavail), used(told.f_files, told.f_favail)]
    return list(seen.values())


def used(total: int, free: int) -> float:
    """The share that is used; 0 where nothing is counted."""
    return 1 - free / total if total else 0.0


def tasks() -> dict[str, list[int]]:
    """For each thread of the machine: ns on a CPU, ns ready but waiting for one, and how often it was put on one (sched-stats.rst)."""
    found = {}
    for path in glob.iglob("/proc/[0-9]*/task/[0-9]*/schedstat"):
        text = text_of(path)
        if text:
            found[path[6 : -len("/schedstat")]] = [int(one) for one in text.split()[:3]]
    return found


def worked(first: dict[str, list[int]], least_ns: float, vcpus: set[str]) -> list[list[Any]]:
    """Threads that ran for so long between two looks, and all of some processes: process, name, allowed and last CPU, the differences."""
    found = []
    for task, now in tasks().items():
        ran, waited, slices = (b - a for a, b in zip(first.get(task, [0, 0, 0]), now))  # noqa: B905 - Python 3.9
        process = task.partition("/")[0]
        if ran >= least_ns or process in vcpus:
            status, stat = text_of("/proc/" + task + "/status"), text_of("/proc/" + task + "/stat")
            if status and stat:
                name, cpus = (
                    re.search(r"^Name:\s*(.*)$", status, re.M),
                    re.search(r"Cpus_allowed_list:\s*(\S+)", status),
                )
                last = int(stat.rpartition(")")[2].split()[36])  # field 39, proc_pid_stat(5)
                found.append([process, name[1] if name else "", cpus[1] if cpus else "", last, ran, waited, slices])
    return found


def domains(names: list[str]) -> dict[str, str]:
    """The process of each of libvirt's domains, by its pid file; a stale one names a process that is not this guest."""
    found = {}
    for name in names:
        pid = (text_of("/run/libvirt/qemu/" + name + ".pid") or "").strip()
        if pid and "guest=" + name + "," in (text_of("/proc/" + pid + "/cmdline") or ""):
            found[name] = pid
    return found


# ── sockets and network namespaces ───────────────────────────────────────────────────────────────────────────────

SOCK_DIAG_BY_FAMILY, NLMSG_DONE, NLMSG_ERROR, INET_DIAG_INFO = 20, 3, 2, 2
ESTABLISHED, TIME_WAIT, LISTEN = 1, 6, 10


def sockets(states: int, *, info: bool) -> Iterator[tuple[int, Any, Any, int, int, bytes]]:
    """TCP sockets over IPv4 in some states: state, both ends, queues, and the kernel's tcp_info (linux/inet_diag.h).

    Nothing where the kernel does not say: `says_sockets`.
    """
    with suppress(OSError), socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 4) as door:
        door.send(asking(states, info=info))
        while True:
            data = door.recv(1 << 20)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    return
                yield parsed_socket(data[16:length])
                data = data[(length + 3) & ~3 :]


def says_sockets() -> bool:
    """Whether the kernel has sock_diag for TCP: one without says so at the question, or by an error in its answer."""
    with suppress(OSError), socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 4) as door:
        door.send(asking(1 << LISTEN, info=False))
        return bool(struct.unpack_from("=IH", door.recv(1 << 20))[1] != NLMSG_ERROR)
    return False


def asking(states: int, *, info: bool) -> bytes:
    """The question for all sockets in some states (NLM_F_REQUEST | NLM_F_DUMP)."""
    request = struct.pack("=BBBxI48x", socket.AF_INET, socket.IPPROTO_TCP, 2 if info else 0, states)
    return struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, 0x301, 1, 0) + request


def parsed_socket(message: bytes) -> tuple[int, Any, Any, int, int, bytes]:
    """One answer: an inet_diag_msg of 72 bytes, and attributes behind it."""
    sport, dport = struct.unpack_from("!HH", message, 4)
    ends = [socket.inet_ntoa(message[at : at + 4]) for at in (8, 24)]
    receiving, sending = struct.unpack_from("=II", message, 56)
    at, info = 72, b""
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if kind == INET_DIAG_INFO:
            info = message[at + 4 : at + length]
        at += max((length + 3) & ~3, 4)
    return message[1], (ends[0], sport), (ends[1], dport), receiving, sending, info


def in_space(pid: str, work: Any) -> Any:
    """What `work` gives in the network namespace of a process; None where that is gone."""
    return ended(*begun_in_space(pid, work))


def begun_in_space(pid: str, work: Any) -> tuple[int, int]:
    """Begins work in the network namespace of a process, in a child of ours, as a thread could not come back; for `ended`."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            space = os.open("/proc/" + pid + "/ns/net", os.O_RDONLY)
            if ctypes.CDLL(None).setns(space, CLONE_NEWNET) == 0:
                with os.fdopen(writer, "w") as out:
                    json.dump(work(), out)
        os._exit(0)
    os.close(writer)
    return reader, child


def ended(reader: int, child: int) -> Any:
    """What a child says, and its end."""
    with os.fdopen(reader) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return json.loads(said) if said else None


def spaces() -> dict[str, str]:
    """A process of each network namespace but our own, by the pod's cgroup path."""
    own = os.stat("/proc/self/ns/net").st_ino
    found: dict[int, tuple[str, str]] = {}
    for path in glob.iglob("/proc/[0-9]*/ns/net"):
        with suppress(OSError):
            inode = os.stat(path).st_ino
            cgroup = text_of("/proc/" + path.split("/")[2] + "/cgroup") or ""
            if inode != own and inode not in found and len(found) < MOST_SPACES:
                pod = re.search(r"pod[0-9a-f_-]{32,36}", cgroup)
                if pod:
                    found[inode] = (pod[0], path.split("/")[2])
    return dict(found.values())


def space() -> dict[str, Any]:
    """The network namespace that we are in: counters, limits, listeners with their queues, sockets by state and other end."""
    listeners: list[list[Any]] = []
    busy: dict[str, int] = {}
    states = 1 << LISTEN | 1 << TIME_WAIT | 1 << ESTABLISHED
    for state, here, there, receiving, sending, _ in sockets(states, info=False):
        if state == LISTEN:
            listeners.append([here[0], here[1], receiving, sending])
        else:
            key = f"{there[0]}:{there[1]}>{state}"
            busy[key] = busy.get(key, 0) + 1
    most = sorted(busy.items(), key=lambda one: -one[1])[:200]
    return {"files": files_of(SPACE_FILES), "listeners": listeners, "busy": dict(most), "route": ""}


class Watched:
    """What connections were doing, once a second: by the other end, how many waited for an answer, and what came over them."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self.looks = 0
        self.ends: dict[str, dict[str, float]] = {}
        self.last: dict[Any, tuple[int, int]] = {}

    def look(self) -> None:
        """One look. Of tcp_info: last_data_sent at 44 and last_data_recv at 52 (ms ago), rtt at 68 (µs), total_retrans at 100, and
        data_segs_in at 152 (linux/tcp.h).
        """
        self.looks += 1
        now = {}
        for _, here, there, _, _, info in sockets(1 << ESTABLISHED, info=True):
            if len(info) < 160 or there[0].startswith("127."):
                continue
            sent_ago, heard_ago = struct.unpack_from("=I4xI", info, 44)
            rtt_us, retransmits, answers = (struct.unpack_from("=I", info, at)[0] for at in (68, 100, 152))
            end = self.ends.setdefault(
                f"{there[0]}:{there[1]}", dict.fromkeys(("seen", "waiting", "rtt_us", "again", "answers"), 0)
            )
            before = self.last.get((here, there), (answers, retransmits))
            end["seen"] += 1
            end["waiting"] += sent_ago < heard_ago
            end["rtt_us"] += rtt_us
            end["answers"] += max(answers - before[0], 0)
            end["again"] += max(retransmits - before[1], 0)
            now[here, there] = (answers, retransmits)
        self.last = now


# ── probes ───────────────────────────────────────────────────────────────────────────────────────────────────────


def checksum(data: bytes) -> int:
    """Of ICMP (RFC 1071); `data` has an even length."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def icmp(kind: int, ident: int, number: int, payload: bytes) -> bytes:
    """An ICMP packet."""
    bare = HEAD.pack(kind, 0, 0, ident, number & 0xFFFF) + payload
    return HEAD.pack(kind, 0, checksum(bare), ident, number & 0xFFFF) + payload


def day_ms() -> int:
    """Milliseconds since midnight UTC, as ICMP's timestamps say them (RFC 792)."""
    return time.time_ns() // 1000000 % DAY_MS


class Probes:
    """Small packets to all peers by turns, whole ones and questions for the time now and then; and questions to DNS servers."""

    def __init__(self, peers: list[list[str]], mtu: int, names: list[list[str]], for_s: float) -> None:
        """`peers` are kind, name and address; `names` a DNS server and a name; `mtu` in bytes, 0 for no whole packets."""
        self.peers, self.mtu, self.names = peers, mtu, names
        self.ident, self.number = os.getpid() & 0xFFFF, 0
        self.rows: list[dict[str, Any]] = [
            {"sent": 0, "rtt_us": [], "whole_sent": 0, "whole_back": 0, "clock": []} for _ in peers
        ]
        self.asked: list[dict[str, Any]] = [{"sent": 0, "ms": []} for _ in names]
        self.open: dict[int, tuple[int, float]] = {}
        self.door = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.door.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.door.setblocking(False)
        self.dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.dns.setblocking(False)
        # Each peer gets at most ten a second; whole packets and questions for the time eight times in a look.
        self.every_s = max(0.1 / max(len(peers), 1), 1 / PROBES_PER_S)
        self.now_and_then = max(int(for_s / self.every_s / max(len(peers), 1) / 8), 1)
        self.dns_every_s = max(for_s / 20, 0.25)

    def send(self) -> None:
        """The next packet."""
        if not self.peers:
            return
        turn, peer = divmod(self.number, len(self.peers))
        self.number += 1
        row, address = self.rows[peer], self.peers[peer][2]
        row["sent"] += self.put(address, self.echo(peer, 0, 56))
        if turn % self.now_and_then == 0:
            if self.mtu:
                row["whole_sent"] += 1  # one that cannot even leave does not arrive either
                self.put(address, self.echo(peer, 1, self.mtu - 28), whole=True)
            stamps = struct.pack("!III", day_ms(), 0, 0)
            self.put(address, icmp(13, self.ident, peer, stamps))

    def echo(self, peer: int, whole: int, size: int) -> bytes:
        """A question of so many bytes of payload."""
        head = STAMPED.pack(MAGIC, time.time_ns(), peer, whole)
        return icmp(8, self.ident, self.number, head + bytes(max(size - len(head), 0) & ~1))

    def put(self, address: str, packet: bytes, *, whole: bool = False) -> int:
        """Sends a packet; 1 when it left, or was kept from leaving by what we look for."""
        self.door.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE if whole else IP_PMTUDISC_DONT)
        try:
            self.door.sendto(packet, (address, 0))
        except BlockingIOError:
            return 0
        except OSError:
            return 1  # unreachable, or a full conntrack table: lost
        return 1

    def ask(self) -> None:
        """One question to each DNS server (RFC 1035)."""
        for at, (server, name) in enumerate(self.names):
            number = len(self.open) + 1
            labels = b"".join(bytes([len(part)]) + part.encode() for part in name.strip(".").split("."))
            question = struct.pack("!HHHHHH", number, 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"
            self.open[number] = (at, time.monotonic())
            self.asked[at]["sent"] += 1
            with suppress(OSError):
                self.dns.sendto(question, (server, 53))

    def receive(self, until_s: float) -> None:
        """All that has come; waits for the next no longer than until then."""
        select.select([self.door, self.dns], [], [], max(until_s - time.monotonic(), 0))
        with suppress(OSError):
            while True:
                self.take(*self.door.recvmsg(65536, 64)[:2])
        with suppress(OSError):
            while True:
                self.heard(self.dns.recv(4096))

    def heard(self, answer: bytes) -> None:
        """An answer of a DNS server, whatever it says."""
        number = struct.unpack_from("!H", answer)[0] if len(answer) > 1 else 0
        if number in self.open:
            at, asked = self.open.pop(number)
            self.asked[at]["ms"].append(round((time.monotonic() - asked) * 1000, 3))
            self.open[-number] = (at, asked)  # the number is not given again

    def take(self, data: bytes, beside: Any) -> None:
        """A packet: the IP header is in front of it. The kernel says when it came: we may have been off the CPU."""
        came_ns = next(
            (a * 10**9 + b for _, _, told in beside for a, b in [struct.unpack("=qq", told[:16])]), time.time_ns()
        )
        body = data[(data[0] & 15) * 4 :]
        if len(body) < 20 or HEAD.unpack_from(body)[3] != self.ident:
            return
        kind, _, _, _, number = HEAD.unpack_from(body)
        if kind == 0 and body[8:16] == MAGIC:
            _, left_ns, peer, whole = STAMPED.unpack_from(body, 8)
            if whole:
                self.rows[peer]["whole_back"] += 1
            else:
                self.rows[peer]["rtt_us"].append(max((came_ns - left_ns) // 1000, 0))
        elif kind == 14 and number < len(self.rows):
            here, there, _ = struct.unpack_from("!III", body, 8)
            took = (day_ms() - here) % DAY_MS
            ahead = (there - here - took / 2 + DAY_MS / 2) % DAY_MS - DAY_MS / 2
            self.rows[number]["clock"].append([took, ahead])


def metrics(port: int) -> dict[str, float] | str | None:
    """What a linkerd says of itself on its admin port: numbers of routers and of the JVM, or why it says nothing."""
    if not port:
        return None
    door = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        door.request("GET", "/admin/metrics.json")
        answer = door.getresponse()
        said = json.loads(answer.read().decode())
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        door.close()
    if not isinstance(said, dict):
        return "no JSON object"
    numbers = (one for one in said.items() if isinstance(one[1], (int, float)))
    return {
        k: v for k, v in numbers if k.startswith(("rt/", "jvm/")) and not k.endswith((".sum", ".avg", ".min", ".p9999"))
    }


# ── the look ─────────────────────────────────────────────────────────────────────────────────────────────────────


def state(spec: dict[str, Any]) -> dict[str, Any]:
    """What is read before and after."""
    return {
        "at_s": time.monotonic(),
        "files": files_of(FILES),
        "cgroups": throttled(),
        "spaces": {
            "": space(),
            **{pod: told for pod, pid in spaces().items() for told in [in_space(pid, space)] if told},
        },
        "metrics": metrics(spec["admin_port"]),
    }


def pods_resolvers() -> list[str]:
    """The resolv.conf files of pods, each text once."""
    texts = {text_of("/proc/" + pid + "/root/etc/resolv.conf") for pid in spaces().values()}
    return sorted(text for text in texts if text)


def resolvers() -> list[list[str]]:
    """The node's own DNS servers, behind systemd-resolved where it has that; and a name that each answers by itself (RFC 6761)."""
    said = text_of("/run/systemd/resolve/resolv.conf") or text_of("/etc/resolv.conf") or ""
    return [[one, "localhost"] for one in re.findall(r"(?m)^nameserver\s+([0-9.]+)", said)]


def watch(probes: Probes, watched: Watched | None, ends_s: float) -> None:
    """Sends, looks and receives until then."""
    work = {"send": (probes.send, probes.every_s), "ask": (probes.ask, probes.dns_every_s)}
    if watched is not None:
        work["look"] = (watched.look, 1.0)
    due = dict.fromkeys(work, time.monotonic())
    while True:
        now = time.monotonic()
        if now >= ends_s:
            return
        for name, (do, every_s) in work.items():
            if now >= due[name]:
                do()
                due[name] = max(due[name] + every_s, now)  # what was missed is not made up for in a burst
        probes.receive(min(ends_s, *due.values()))


def drain(probes: Probes) -> None:
    """Receives what is still on its way."""
    ends_s = time.monotonic() + DRAIN_S
    while time.monotonic() < ends_s:
        probes.receive(ends_s)


def from_a_pod(peers: list[list[str]], for_s: float) -> Any:
    """Begins to send probes to other nodes' pods from inside one of ours that has a network; None where there is none, or no peer."""
    here = [one for one in spaces().values() if len((text_of("/proc/" + one + "/net/route") or "").splitlines()) > 1]
    if not peers or not here:
        return None

    def work() -> list[Any]:
        probes = Probes(peers, 0, [], for_s)
        watch(probes, None, time.monotonic() + for_s)
        drain(probes)
        return probes.rows

    return begun_in_space(here[0], work)


def look(spec: dict[str, Any]) -> dict[str, Any]:
    """The whole look at this machine, `for_s` seconds long."""
    ours, for_s = domains(spec["domains"]), spec["for_s"]
    before = tasks() if spec["domains"] else {}
    first, watched = state(spec), Watched()
    names = spec["names"] + ([] if spec["domains"] else resolvers())
    pods, peers = ([one for one in spec["peers"] if (one[0] == "pod") == is_pod] for is_pod in (True, False))
    inside = from_a_pod(pods, for_s)
    probes = Probes(peers, spec["mtu"], names, for_s)
    watch(probes, watched, time.monotonic() + for_s)
    drain(probes)
    rows = list(zip(peers, probes.rows)) + list(zip(pods, (ended(*inside) or []) if inside else []))  # noqa: B905 - Python 3.9
    last = state(spec)
    return {
        "before": first,
        "after": last,
        "seconds": last["at_s"] - first["at_s"],
        "filesystems": filesystems(last["files"].get("/proc/mounts", "")),
        "domains": ours,
        "tasks": worked(before, for_s * 1e9 / 1000, set(ours.values())) if spec["domains"] else [],
        "probes": [[*peer, row] for peer, row in rows],
        "dns": [[*name, row] for name, row in zip(names, probes.asked)],  # noqa: B905
        "resolvers": pods_resolvers(),
        "connections": watched.ends,
        "looks": watched.looks,
        "sockets": says_sockets(),
        "schedstat": os.path.exists("/proc/self/schedstat"),
    }


if __name__ == "__main__":
    json.dump(look(json.loads(sys.argv[1])), sys.stdout)
