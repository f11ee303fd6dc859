"""Causes of slow requests, planted in the guests of a living cluster beside a load: `diagnose` names each first; without one, none.

`MESHCTL_LOOKS` says how often each is tried. What this lab has no means for is judged on recordings (tests/unit/diagnose/planted.py): CPUs
that are somebody's own, as its guests share two; the JVM and the caches of linkerd, whose stand-in has neither.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from provision.base.shell import Local
from tests.lab.conftest import MESHCTL, Place
from tests.lab.living.load import NAME, kubectl, steady
from tests.lab.living.test_members import converged

pytestmark = [pytest.mark.lab, pytest.mark.scenario("diagnose")]

LOOKS = int(os.environ.get("MESHCTL_LOOKS", "1"))
FOR = "30s"

# What each script below begins with: the guest's way to others.
_NAMES = """
device=$(ip -o route get 10.77.0.1 | sed 's/.* dev \\([^ ]*\\).*/\\1/')
"""


@dataclass(frozen=True)
class Planted:
    """A cause: its id, the shell scripts that bring it to a guest and take it away, both as root; and whether it is told of that guest."""

    id: str
    plant: str
    mend: str
    there: bool = True


# Answers to what is asked of port 53 take a second: a band of its own for what goes there.
_SLOW_DNS = """
tc qdisc add dev "$device" root handle 1: prio priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
tc qdisc add dev "$device" parent 1:3 handle 30: netem delay 1000ms
tc filter add dev "$device" protocol ip parent 1: prio 3 u32 match ip dport 53 0xffff flowid 1:3
"""

_FULL_DISK = """
truncate -s 64M /var/tmp/full.img
mkfs.ext4 -q /var/tmp/full.img
mkdir -p /mnt/full
mount -o loop /var/tmp/full.img /mnt/full
dd if=/dev/zero of=/mnt/full/all bs=1M 2>/dev/null || true
"""

# Nobody accepts, and forty come, again and again.
_BACKLOG = """
systemd-run --unit=planted python3 -c '
import socket, time
door = socket.socket(); door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); door.bind(("127.0.0.1", 18080)); door.listen(8)
while True:
    kept = []
    for _ in range(40):
        one = socket.socket(); one.setblocking(False); one.connect_ex(("127.0.0.1", 18080)); kept.append(one)
        time.sleep(0.05)
'
"""

# Closed by the client first: the client has it in TIME_WAIT for a minute, and of ports there are a hundred.
_PORTS = """
sysctl -q net.ipv4.tcp_tw_reuse=0
sysctl -q net.ipv4.ip_local_port_range="40000 40099"
systemd-run --unit=planted python3 -c '
import socket, time
door = socket.socket(); door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); door.bind(("127.0.0.1", 18081)); door.listen(64)
while True:
    try:
        one = socket.socket(); one.connect(("127.0.0.1", 18081)); other = door.accept()[0]; one.close(); other.recv(1); other.close()
    except OSError:
        time.sleep(0.2)
'
"""
_MANY_PORTS = """
systemctl stop planted
sysctl -q net.ipv4.ip_local_port_range="32768 60999"
"""

_CONNTRACK = """
sysctl -n net.netfilter.nf_conntrack_max > /run/planted.max
sysctl -q net.netfilter.nf_conntrack_max=$(( $(cat /proc/sys/net/netfilter/nf_conntrack_count) * 9 / 10 ))
systemd-run --unit=planted python3 -c '
import socket, time
while True:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.sendto(b"x", ("10.77.0.1", 9)); one.close(); time.sleep(0.02)
'
"""
_NO_CONNTRACK = """
sysctl -q net.netfilter.nf_conntrack_max=$(cat /run/planted.max)
systemctl stop planted
"""

# The pods' application stands still for most of the time; or for good, for whoever asks it.
_PID = "pid=$(docker inspect --format '{{.State.Pid}}' $(docker ps --quiet --filter name=k8s_echo_pair) | head -1)\n"
_SLOW_ENDPOINT = (
    _PID
    + """
systemd-run --unit=planted sh -c "while kill -STOP $pid; do sleep 0.4; kill -CONT $pid; sleep 0.1; done"
"""
)
_QUICK_ENDPOINT = (
    """
systemctl stop planted
"""
    + _PID
    + """
kill -CONT "$pid"
"""
)
_DEAD_ENDPOINT = (
    _PID + 'nsenter -t "$pid" -n iptables -w -I INPUT -p tcp --dport 8080 -j REJECT --reject-with tcp-reset\n'
)
_LIVE_ENDPOINT = _PID + 'nsenter -t "$pid" -n iptables -w -F INPUT\n'

# A fiftieth of a CPU for the router.
_ROUTERS = """
pid=$(docker inspect --format '{{.State.Pid}}' $(docker ps --quiet --filter name=k8s_l5d_l5d) | head -1)
folder=/sys/fs/cgroup/cpu,cpuacct$(sed -n 's/^[0-9]*:cpu,cpuacct://p' "/proc/$pid/cgroup")
"""
_LIMIT, _NO_LIMIT = (f'{_ROUTERS}echo {quota_us} > "$folder/cpu.cfs_quota_us"\n' for quota_us in (2000, -1))

PLANTED = (
    Planted("MD401", 'tc qdisc add dev "$device" root netem loss 1%\n', 'tc qdisc del dev "$device" root\n'),
    Planted("MD402", 'tc qdisc add dev "$device" root netem delay 100ms 50ms\n', 'tc qdisc del dev "$device" root\n'),
    Planted("MD404", 'ip link set "$device" mtu 1400\n', 'ip link set "$device" mtu 1500\n'),
    Planted("MD405", "date --set='2 seconds' > /dev/null\n", "date --set='2 seconds ago' > /dev/null\n"),
    Planted("MD411", _PORTS, _MANY_PORTS),
    Planted("MD412", _BACKLOG, "systemctl stop planted\n"),
    Planted("MD413", _CONNTRACK, _NO_CONNTRACK),
    Planted("MD416", _SLOW_DNS, 'tc qdisc del dev "$device" root\n', there=False),
    Planted("MD425", _LIMIT, _NO_LIMIT),
    Planted("MD443", _FULL_DISK, "umount /mnt/full\nrm /var/tmp/full.img\n"),
    Planted("MD451", _SLOW_ENDPOINT, _QUICK_ENDPOINT),
    Planted("MD452", _DEAD_ENDPOINT, _LIVE_ENDPOINT, there=False),
)


def root(place: Place, node: str, script: str) -> None:
    argv = [str(MESHCTL), "ssh", str(place.inventory), node, "--", "sudo", "sh", "-ec", _NAMES + script]
    Local().run(argv, within_s=300)


@contextmanager
def planted(place: Place, node: str, cause: Planted) -> Iterator[None]:
    root(place, node, cause.plant)
    try:
        yield
    finally:
        root(place, node, cause.mend)


def look(place: Place) -> list[dict[str, Any]]:
    """The causes that are named, the worst first."""
    done = place.meshctl("diagnose", str(place.inventory), "--for", FOR, "--json")
    assert done.status == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["causes"]
    print([(one["id"], one["where"], one["seen"]) for one in found], flush=True)
    return found


def node_of_a_pod(place: Place) -> str:
    """A node that has one of the two pods that are asked."""
    pods = json.loads(kubectl(place, "get", "pods", "-l", f"app={NAME}", "-o", "json"))["items"]
    return str(next(pod["spec"]["nodeName"] for pod in pods if pod["spec"]["nodeName"] != "cp1"))


@pytest.fixture(scope="module", autouse=True)
def asked(place: Place) -> Iterator[None]:
    with steady(place, "cp1"):
        yield


def test_nothing_is_named_where_nothing_was_planted(place: Place) -> None:
    named = [look(place) for _ in range(LOOKS)]
    assert named == [[]] * LOOKS


@pytest.mark.parametrize("cause", PLANTED, ids=[one.id for one in PLANTED])
def test_what_was_planted_is_named_first(place: Place, cause: Planted) -> None:
    node = node_of_a_pod(place)
    for _ in range(LOOKS):
        with planted(place, node, cause):
            found = look(place)
        assert found
        assert (found[0]["id"], node in found[0]["where"]) == (cause.id, cause.there)


def test_of_two_both_are_named(place: Place) -> None:
    loss, full = (next(one for one in PLANTED if one.id == wanted) for wanted in ("MD401", "MD443"))
    with planted(place, "w1", loss), planted(place, "w2", full):
        found = {one["id"]: one["where"] for one in look(place)}
    assert {"MD401", "MD443"} <= found.keys()
    assert ("w1" in found["MD401"], "w2" in found["MD443"]) == (True, True)


def test_the_cluster_is_as_it_was(place: Place) -> None:
    assert converged(place)
