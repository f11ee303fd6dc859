"""The real script on nodes of namespaces, with causes planted for real: the kernel counts them, and they are named. Needs root.

Packets are lost by iptables, as not every kernel has netem; what delays them is tried where it has (conftest.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from provision.base.parallel import begin, for_each, result_of
from provision.diagnose import Endpoint, Recording, Verdict, argv, judge, read_guest, read_host, read_paths, read_router
from provision.diagnose.facts import NODE, read_recording, written
from provision.specs.objects import Member
from tests.doubles.sandbox import Lab, NodeShell
from tests.unit.diagnose.cluster import with_

ONE = Member("w1", "worker", "hv1", "10.78.0.61", "10.244.61.0/24")
TWO = Member("w2", "worker", "hv2", "10.78.0.62", "10.244.62.0/24")
ADDRESSES = {member.name: member.address for member in (ONE, TWO)}

FOR_S = 3.0
NAME = "kubernetes.default.svc.cluster.local"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, NodeShell]]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    lab.start()
    try:
        yield {member.name: lab.node(member) for member in (ONE, TWO)}
    finally:
        lab.stop()


def gathered(nodes: dict[str, NodeShell], for_s: float = FOR_S, **more: Any) -> dict[str, dict[str, Any]]:
    """What the script says on both nodes, at the same time."""

    def look(name: str) -> dict[str, Any]:
        peers = [("guest", other, address) for other, address in ADDRESSES.items() if other != name]
        found: dict[str, Any] = json.loads(nodes[name].read(argv(for_s=for_s, peers=peers, mtu=1500, **more)).stdout)
        return found

    return dict(zip(nodes, for_each(nodes, look), strict=True))


def recorded(said: dict[str, dict[str, Any]], ends: tuple[str, ...] = ()) -> Recording:
    """As `run.diagnosis` makes it of what nodes say. Loads of this machine are not the nodes' own: its CPUs and disks are left out."""
    guests = [read_guest(name, f"hv-{name}", raw, {}, ends) for name, raw in said.items()]
    quiet = [with_(one, steal=0.0, disks=(), filesystems=(), idle=1.0, throttled=()) for one in guests]
    seen = Recording(
        cluster="lab",
        guests=tuple(quiet),
        paths=tuple(path for name, raw in said.items() for path in read_paths(name, raw)),
        routers=tuple(
            read_router(name, raw["before"]["metrics"], raw["after"]["metrics"], "outgoing", raw["seconds"])
            for name, raw in said.items()
        ),
        endpoints=tuple(
            Endpoint(service="web", address=end, pod=f"default/web-{n}", node="w2") for n, end in enumerate(ends)
        ),
    )
    return read_recording(written(seen), "lab.json")


def verdict(nodes: dict[str, NodeShell], **more: Any) -> Verdict:
    return judge(recorded(gathered(nodes, **more)))


def ids(found: Verdict) -> list[str]:
    return [one.id for one in found.causes]


@contextmanager
def running(shell: NodeShell, program: str, *words: str) -> Iterator[None]:
    """A Python program in a node, ended by its standard input's end: it lives as long as we want it to."""
    done = begin(lambda: shell.read(["python3", "-c", PREAMBLE + program, *words], within_s=60, check=False))
    shell.read(["sh", "-c", 'while [ ! -e "/run/$1" ]; do sleep 0.05; done', "wait", words[-1]], within_s=30)
    try:
        yield
    finally:
        shell.read(["rm", "-f", f"/run/{words[-1]}"])
        result_of(done)


# Ready when the file of its last word is there, to end when it is gone.
PREAMBLE = """
import os, socket, struct, sys, threading, time
flag = "/run/" + sys.argv[-1]
def ready(): open(flag, "w").close()
def going(): return os.path.exists(flag)
"""


def test_two_nodes_that_are_well(nodes: dict[str, NodeShell]) -> None:
    said = gathered(nodes)
    seen = recorded(said)
    way = next(one for one in seen.paths if one.start == "w1")
    assert (way.kind, way.end, way.lost, way.whole_lost) == ("guest", "w2", 0, 0)
    assert way.sent >= 8 * FOR_S
    assert way.median_ms is not None
    assert way.median_ms < 50
    assert way.clock_ahead_s == pytest.approx(0, abs=0.1)
    own = seen.guests[0].own
    assert (own.name, own.ports, own.somaxconn > 0) == (NODE, 28232, True)
    assert not {"MD401", "MD404", "MD405", "MD411", "MD412"} & set(ids(judge(seen)))
    assert not any("sockets" in what for one in seen.guests for what in one.unread)
    assert "environ" not in json.dumps(said)


def test_packets_that_are_lost(nodes: dict[str, NodeShell]) -> None:
    rule = ["INPUT", "-p", "icmp", "-m", "statistic", "--mode", "random", "--probability", "0.3", "-j", "DROP"]
    nodes["w2"].run(["iptables", "-A", *rule])
    try:
        found = verdict(nodes)
    finally:
        nodes["w2"].run(["iptables", "-D", *rule])
    assert ids(found)[0] == "MD401"
    assert found.causes[0].where == "w1 – w2"


@pytest.mark.kernel("netem")
def test_a_way_that_takes_100_ms(nodes: dict[str, NodeShell]) -> None:
    netem = ["qdisc", "add", "dev", "mesh0", "root", "netem", "delay", "100ms", "50ms"]
    nodes["w2"].run(["tc", *netem])
    try:
        found = verdict(nodes)
    finally:
        nodes["w2"].run(["tc", "qdisc", "del", "dev", "mesh0", "root"])
    assert ids(found)[0] == "MD402"


def test_packets_that_do_not_fit(nodes: dict[str, NodeShell]) -> None:
    nodes["w2"].run(["ip", "link", "set", "mesh0", "mtu", "1400"])
    try:
        found = verdict(nodes)
    finally:
        nodes["w2"].run(["ip", "link", "set", "mesh0", "mtu", "1500"])
    assert ids(found)[0] == "MD404"
    assert "1500 bytes" in found.causes[0].seen


SLOW_DNS = """
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); door.bind((sys.argv[1], 53)); door.settimeout(0.2); ready()
def later(data, who): time.sleep(1.0); door.sendto(data[:2] + b"\\x81\\x80" + data[4:], who)
while going():
    try: threading.Thread(target=later, args=door.recvfrom(512), daemon=True).start()
    except socket.timeout: pass
"""


def test_dns_that_answers_after_a_second(nodes: dict[str, NodeShell]) -> None:
    with running(nodes["w2"], SLOW_DNS, TWO.address, "dns"):
        found = verdict(nodes, for_s=4.0, names=[(TWO.address, NAME)])
    first = found.causes[0]
    assert (first.id, first.where) == ("MD416", f"DNS server {TWO.address}")
    assert 1000 <= first.explains_ms < 3000


# Nobody accepts; those who come after the queue is full are dropped.
BACKLOG = """
door = socket.socket(); door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); door.bind((sys.argv[1], 8080)); door.listen(8); ready()
while going(): time.sleep(0.1)
"""
BURST = """
time.sleep(0.1); ready()
kept = []
while going():
    if len(kept) < 40:
        one = socket.socket(); one.setblocking(False); one.connect_ex((sys.argv[1], 8080)); kept.append(one)
    time.sleep(0.05)
"""


def test_a_backlog_of_eight_under_a_burst(nodes: dict[str, NodeShell]) -> None:
    with running(nodes["w2"], BACKLOG, TWO.address, "backlog"):
        # The burst begins while both look, which takes python3 a moment.
        done = begin(lambda: verdict(nodes, for_s=6.0))
        with running(nodes["w1"], BURST, TWO.address, "burst"):
            found = result_of(done)
    first = next(one for one in found.causes if one.where == "w2")
    assert (first.id, first.sure) == ("MD412", "certain")
    assert f"{TWO.address}:8080 has a backlog of 8" in first.seen
    assert "raise its own backlog" in first.fix


# Each connection is closed by its client first, so that the client has it in TIME_WAIT.
PORTS = """
door = socket.socket(); door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); door.bind((sys.argv[1], 8081)); door.listen(256)
for _ in range(int(sys.argv[2])):
    one = socket.socket(); one.connect((sys.argv[1], 8081)); other = door.accept()[0]; one.close(); other.recv(1); other.close()
ready()
while going(): time.sleep(0.1)
"""
SET_PORTS = 'echo "$1" > /proc/sys/net/ipv4/ip_local_port_range'


def test_ports_that_run_out(nodes: dict[str, NodeShell]) -> None:
    nodes["w1"].run(["sh", "-ec", SET_PORTS, "ports", "40000 40099"])
    try:
        with running(nodes["w1"], PORTS, ONE.address, "95", "ports"):
            found = verdict(nodes)
    finally:
        nodes["w1"].run(["sh", "-ec", SET_PORTS, "ports", "32768 60999"])
    first = found.causes[0]
    assert (first.id, first.where) == ("MD411", "w1")
    assert f"95 connections in TIME_WAIT and 0 open to {ONE.address}:8081, of 100 ports (95%)" in first.seen


# A client that asks two endpoints by turns, one of which takes its time.
ENDPOINTS = """
def serve(port, wait_s):
    door = socket.socket(); door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); door.bind((sys.argv[1], port)); door.listen(64)
    def answer(one):
        while one.recv(100): time.sleep(wait_s); one.send(b"x")
    while True: threading.Thread(target=answer, args=(door.accept()[0],), daemon=True).start()
for port, wait_s in ((8082, 0.4), (8083, 0.005), (8084, 0.005)): threading.Thread(target=serve, args=(port, wait_s), daemon=True).start()
ready()
while going(): time.sleep(0.1)
"""
CLIENT = """
def ask(port):
    one = socket.socket(); one.connect((sys.argv[1], port))
    while going(): one.send(b"x"); one.recv(1); time.sleep(0.02)
ready()
for port in (8082, 8083, 8084):
    for _ in range(4): threading.Thread(target=ask, args=(port,), daemon=True).start()
while going(): time.sleep(0.1)
"""


def test_one_endpoint_that_is_slow(nodes: dict[str, NodeShell]) -> None:
    ends = tuple(f"{TWO.address}:{port}" for port in (8082, 8083, 8084))
    with running(nodes["w2"], ENDPOINTS, TWO.address, "endpoints"), running(nodes["w1"], CLIENT, TWO.address, "client"):
        seen = recorded(gathered(nodes, for_s=8.0), ends)
    slow = next(one for one in judge(seen).causes if one.id == "MD451")
    assert slow.where == "default/web-0 on w2"
    assert 150 < slow.explains_ms < 1000


# A linkerd's admin port, whose counters go up: it collects garbage half of the time.
ADMIN = """
import http.server, json
begun = time.time()
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        passed_ms = (time.time() - begun) * 1000
        said = {"jvm/uptime": passed_ms, "jvm/gc/msec": passed_ms / 2, "jvm/gc/cycles": passed_ms / 200, "jvm/heap/max": 2**26,
                "rt/outgoing/srv/0.0.0.0/4140/requests": int(passed_ms), "rt/outgoing/srv/0.0.0.0/4140/request_latency_ms.p99": 250}
        body = json.dumps(said).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 9990), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start(); ready()
while going(): time.sleep(0.1)
"""


def test_a_linkerd_that_collects_garbage(nodes: dict[str, NodeShell]) -> None:
    with running(nodes["w1"], ADMIN, "admin"):
        found = verdict(nodes, admin_port=9990)
    assert found.p99_ms == 250
    first = found.causes[0]
    assert (first.id, first.where) == ("MD454", "linkerd on w1")
    assert 80 <= first.explains_ms <= 120
    assert any(where == "linkerd on w2" for where, _ in found.unseen)


POD = "12345678-1234-1234-1234-123456789abc"

# A pod's cgroup with a fiftieth of a CPU, a namespace of its own, and somebody busy in it. `$1`: begin or end.
LIMITED = r"""
folder=/sys/fs/cgroup/cpu/kubepods/pod$2
if [ "$1" = begin ]; then
  mkdir -p /sys/fs/cgroup/cpu
  /usr/bin/mount -t cgroup -o cpu meshctl-test /sys/fs/cgroup/cpu || exit 1
  mkdir -p "$folder" || exit 1
  echo 2000 > "$folder/cpu.cfs_quota_us" || exit 1
  setsid unshare --net sh -c "$3" busy "$folder" > /dev/null 2>&1 < /dev/null &
  while ! grep -q . "$folder/cgroup.procs"; do sleep 0.1; done
else
  while read -r pid; do kill -9 "$pid"; done < "$folder/cgroup.procs"
  sleep 0.3
  rmdir "$folder" /sys/fs/cgroup/cpu/kubepods
  /usr/bin/umount /sys/fs/cgroup/cpu
fi
"""


INSIDE = """
ip link set lo up
ip link add name eth0 type veth peer name other0
ip link set other0 up
ip link set eth0 up
ip address add 10.9.9.1/24 dev eth0
echo $$ > "$1/cgroup.procs"
while :; do :; done
"""


@pytest.mark.kernel("cgroup v1")
def test_a_pod_that_its_limit_stops(nodes: dict[str, NodeShell]) -> None:
    shell = nodes["w1"]
    shell.run(["sh", "-c", LIMITED, "limited", "begin", POD, INSIDE])
    try:
        peers = [("pod", "w2", "10.9.9.1"), ("guest", "w2", TWO.address)]
        raw: dict[str, Any] = json.loads(shell.read(argv(for_s=FOR_S, peers=peers)).stdout)
    finally:
        with suppress(AssertionError):
            shell.run(["sh", "-c", LIMITED, "limited", "end", POD], check=False)
    guest = read_guest("w1", "hv1", raw, {POD: "default/l5d-abcde"}, ())
    assert {one.name for one in guest.spaces} == {NODE, "default/l5d-abcde"}
    ways = {one.kind: one for one in read_paths("w1", raw)}
    assert set(ways) == {"pod", "guest"}
    assert all(way.sent > way.lost for way in ways.values())  # 10.9.9.1 is nowhere but in the pod
    seen = Recording(
        cluster="lab", guests=(with_(guest, disks=(), filesystems=()),), router_pods=("default/l5d-abcde",)
    )
    first = next(one for one in judge(seen).causes if one.id == "MD425")
    assert (first.where, first.sure) == ("default/l5d-abcde on w1", "certain")


def test_a_host_without_guests_of_ours(nodes: dict[str, NodeShell]) -> None:
    raw: dict[str, Any] = json.loads(nodes["w1"].read(argv(for_s=0.5, domains=["lab-w9"])).stdout)
    host = read_host("hv1", raw, ())
    assert (host.vcpus, len(host.cpus) >= 1) == ((), True)
    assert all(0 <= one.softirq <= 1 for one in host.cpus)
