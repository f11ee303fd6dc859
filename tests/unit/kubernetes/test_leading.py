"""A port led to another node's: with real rules of iptables, between nodes of namespaces. Needs root, as namespaces do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from provision.base.curl import Answer, answers
from provision.base.waiting import NotYet, Ready, wait_until
from provision.kubernetes.leading import CHAIN, SOURCES, connections, free, lead, led_to, listeners, read_led
from provision.mesh import route_argv
from provision.specs.objects import Member
from tests.doubles.sandbox import Lab, NodeShell

ONE = Member("cp1", "control-plane", "hv1", "10.77.0.61", "10.244.61.0/24")
TWO = Member("w1", "worker", "hv1", "10.77.0.62", "10.244.62.0/24")
THREE = Member("w2", "worker", "hv1", "10.77.0.63", "10.244.63.0/24")
POD = "10.244.62.2"

# Says which node answered, and who it saw asking; stays on a connection for as many requests as come over it.
SERVE = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = f"{sys.argv[1]} saw {self.client_address[0]}".encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[2])), Answer).serve_forever()
"""

# Two requests over one connection, the second when told to.
KEPT = """
import http.client, os, sys
kept = http.client.HTTPConnection(sys.argv[1], 4140, timeout=10)
kept.request("GET", "/"); print(kept.getresponse().read().decode(), flush=True)
while not os.path.exists("/run/go-on"): pass
kept.request("GET", "/"); print(kept.getresponse().read().decode(), flush=True)
"""

AS_NODES_ARE = """
echo 1 > /proc/sys/net/ipv4/ip_forward
iptables -P FORWARD ACCEPT
iptables -t nat -A POSTROUTING -s 10.244.99.0/24 -j MASQUERADE
"""
"""By meshctl-network.service; its MASQUERADE has the kernel follow connections at all."""

BEHIND = """
ip link add pod0 type veth peer name eth0
ip link set pod0 up
ip address add 10.244.62.1/24 dev pod0
setsid unshare --net sleep infinity >/dev/null 2>&1 </dev/null & pid=$!
sleep 0.2
ip link set eth0 netns $pid
nsenter -t $pid -n sh -ec 'ip link set lo up; ip address add 10.244.62.2/24 dev eth0; ip link set eth0 up;
    ip route add default via 10.244.62.1'
echo $pid
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, NodeShell]]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    lab.start()
    try:
        found = {member.name: lab.node(member) for member in (ONE, TWO, THREE)}
        for name, shell in found.items():
            shell.run(["sh", "-ec", AS_NODES_ARE])
            for port in ("4140", "4150"):
                begin(shell, "python3", "-c", SERVE, name, port)
            wait_until(partial(ready, shell), what="servers", within_s=20, every_s=0.1)
        yield found
    finally:
        lab.stop()


@pytest.fixture(autouse=True)
def freed(nodes: dict[str, NodeShell]) -> Iterator[None]:
    yield
    free(nodes["w1"])


def begin(shell: NodeShell, *words: str) -> None:
    shell.run(["sh", "-c", 'exec setsid "$@" >/run/said 2>&1 </dev/null &', "begin", *words])


def ready(shell: NodeShell) -> Ready[None] | NotYet:
    there = listeners(shell, (4140, 4150))
    return Ready(None) if len(there) == 2 else NotYet(str(there))


def ask(shell: NodeShell, address: str = "127.0.0.1", port: int = 4140, *, probe: bool = False) -> str:
    argv = list(route_argv("echo", port, address=address, unled=probe))
    answer: Answer
    (answer,) = answers(shell.read(argv, check=False).stdout)
    return answer.body


def test_new_connections_go_to_the_neighbour_and_answers_come_back(nodes: dict[str, NodeShell]) -> None:
    node = nodes["w1"]
    assert ask(node) == "w1 saw 127.0.0.1"
    lead(node, ONE.address, (4140,))
    assert led_to(node) == ONE.address
    assert ask(node) == f"cp1 saw {TWO.address}"  # by the loopback
    assert ask(node, TWO.address) == f"cp1 saw {TWO.address}"  # by its own address
    assert (
        ask(nodes["w2"], TWO.address) == f"cp1 saw {TWO.address}"
    )  # from another node: the answer comes back by the same way
    assert ask(node, port=4150) == "w1 saw 127.0.0.1"  # no other port
    assert ask(node, THREE.address) == f"w2 saw {TWO.address}"  # no other node's
    free(node)
    assert ask(node) == "w1 saw 127.0.0.1"


def test_the_nodes_own_router_is_proven_while_all_others_are_led(nodes: dict[str, NodeShell]) -> None:
    lead(nodes["w1"], ONE.address, (4140,))
    assert ask(nodes["w1"], probe=True) == "w1 saw 127.41.40.1"
    free(nodes["w1"])


def test_pods_of_the_node_are_led_too(nodes: dict[str, NodeShell]) -> None:
    node = nodes["w1"]
    pid = node.run(["sh", "-ec", BEHIND]).stdout.strip()
    inside = ["nsenter", "-t", pid, "-n"]

    def from_pod() -> str:
        argv = [*inside, *route_argv("echo", 4140, address=TWO.address, unled=False)]
        return answers(node.read(argv, check=False).stdout)[0].body

    assert from_pod() == f"w1 saw {POD}"
    lead(node, ONE.address, (4140,))
    assert from_pod() == f"cp1 saw {TWO.address}"
    free(node)
    assert from_pod() == f"w1 saw {POD}"


def test_a_connection_stays_with_whom_it_was_made_to(nodes: dict[str, NodeShell]) -> None:
    node = nodes["w1"]
    for leads, first in ((True, "w1"), (False, "cp1")):
        node.run(["rm", "-f", "/run/go-on"])
        if not leads:
            lead(node, ONE.address, (4140,))
        begin(node, "python3", "-c", KEPT, "127.0.0.1")
        wait_until(lambda: said(node, 1), what="the first answer", within_s=10, every_s=0.1)
        open_here = connections(node, (4140,))
        if leads:
            lead(node, ONE.address, (4140,))
        else:
            free(node)
        node.run(["touch", "/run/go-on"])
        wait_until(lambda: said(node, 2), what="the second answer", within_s=10, every_s=0.1)
        assert {line.split()[0] for line in node.read(["cat", "/run/said"]).stdout.splitlines()} == {first}
        assert open_here == (1 if leads else 0)
        free(node)
    assert connections(node, (4140,)) == 0


def said(node: NodeShell, lines: int) -> Ready[None] | NotYet:
    text = node.read(["cat", "/run/said"]).stdout
    return Ready(None) if len(text.splitlines()) >= lines else NotYet(text)


def test_either_may_be_done_over_again_and_leaves_nothing(nodes: dict[str, NodeShell]) -> None:
    node = nodes["w1"]
    before = node.read(["iptables-save", "-t", "nat"]).stdout
    free(node)
    lead(node, ONE.address, (4140, 4150))
    once = rules(node)
    lead(node, ONE.address, (4140, 4150))
    assert rules(node) == once
    lead(node, THREE.address, (4140,))
    assert led_to(node) == THREE.address
    assert len(rules(node)) == 3 + 2 + 1  # two leading rules less
    free(node)
    free(node)
    assert led_to(node) == ""
    assert CHAIN not in before
    assert rules(node) == []


def test_what_a_killed_one_left_half_is_taken_away_and_made_whole(nodes: dict[str, NodeShell]) -> None:
    node = nodes["w1"]
    node.run(["iptables", "-t", "nat", "-N", CHAIN])  # no jumps, no other chain
    free(node)
    assert rules(node) == []
    node.run(["iptables", "-t", "nat", "-N", SOURCES])
    lead(node, ONE.address, (4140,))
    assert ask(node) == f"cp1 saw {TWO.address}"
    node.run(
        ["iptables", "-t", "nat", "-D", "OUTPUT", "-p", "tcp", "-m", "addrtype", "--dst-type", "LOCAL", "-j", CHAIN]
    )
    free(node)
    assert rules(node) == []


def rules(node: NodeShell) -> list[str]:
    """Those of ours: jumps and rules."""
    lines = node.read(["iptables", "-t", "nat", "-S"]).stdout.splitlines()
    return [line for line in lines if "MESHCTL-AWAY" in line and not line.startswith("-N")]


def test_what_listens_is_named_by_its_process(nodes: dict[str, NodeShell]) -> None:
    found = listeners(nodes["w1"], (4140, 4150, 4199))
    assert set(found) == {4140, 4150}
    assert all("python" in name for name in found.values())


def test_rules_without_a_destination_lead_nowhere() -> None:
    assert read_led("-N MESHCTL-AWAY\n") == ""
    assert read_led("-A MESHCTL-AWAY -p tcp -m tcp --dport 4140 -j DNAT --to-destination 10.0.0.1:4140\n") == "10.0.0.1"
