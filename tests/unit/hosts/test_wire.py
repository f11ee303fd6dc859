"""Addresses on the wire, asked in network namespaces of the test's own: a bridge, and a machine behind it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from provision.base.shell import Shell
from provision.hosts import in_use
from provision.hosts.host_shell import Through

MAC = "52:54:00:aa:bb:cc"

# The inner namespace is the machine: it drops pings, as some do, and so is found by its ARP answer alone.
PLACE = f"""
set -e
ip link set lo up
ip link add br0 type bridge
ip addr add 10.99.0.1/24 dev br0
ip link add v0 type veth peer name v1
ip link set v0 master br0
ip link set br0 up
ip link set v0 up
unshare --net sleep 120 &
machine=$!
while [ "$(readlink /proc/$machine/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done
ip link set v1 netns $machine
nsenter -t $machine -n sh -c '
  ip link set v1 address {MAC}; ip addr add 10.99.0.7/24 dev v1; ip link set v1 up
  echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all'
echo ready
wait
"""


@pytest.fixture
def host() -> Iterator[Shell]:
    argv = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", PLACE]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as place:
        assert place.stdout is not None
        assert place.stdout.readline() == "ready\n"
        (inside,) = subprocess.run(
            ["pgrep", "--parent", str(place.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        yield Through("hv1", prefix=("nsenter", "-t", inside, "-n", "--"))
        place.kill()


def test_an_address_that_somebody_has_is_found_though_he_answers_no_ping(host: Shell) -> None:
    assert in_use(host, "br0", ["10.99.0.7", "10.99.0.8"]) == {"10.99.0.7": MAC}


def test_nobody_is_asked_beyond_the_bridge_or_without_one(host: Shell) -> None:
    assert in_use(host, "br0", ["10.98.0.7"]) == {}
    assert in_use(host, "br9", ["10.99.0.7"]) == {}
    assert in_use(host, "br0", []) == {}
