"""The firewall of a node: real rules of nftables, between nodes of namespaces. Needs root, as namespaces do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from provision.base.errors import KubernetesError
from provision.base.shell import Completed, OnLine
from provision.guests.firewall import RULES, TABLE, Firewall
from provision.guests.ports import PORTS, Who, mesh_ports, numbers, opened_by
from provision.guests.seed import render
from provision.kubernetes import Spec, prepare, profile_for
from provision.kubernetes.leading import free, lead
from provision.kubernetes.node import NodeState, observe
from provision.specs.objects import Member
from tests.doubles.sandbox import Lab, NodeShell, spec_of
from tests.lab.reach import OPEN, SILENT, reach
from tests.unit.guests.test_seed import KEY, MEMBERS
from tests.unit.sample import CLUSTER

ONE = Member("w1", "worker", "hv1", "10.77.0.61", "10.244.61.0/24")
TWO = Member("w2", "worker", "hv1", "10.77.0.62", "10.244.62.0/24")
OTHER = Member("other", "worker", "hv1", "10.77.0.63", "10.244.63.0/24")
POD, ADMIN, STRANGER = "10.244.62.7", "10.77.0.200", "10.77.0.201"
LED = 4140
ALL = (*PORTS, *mesh_ports((LED, 4141), 9990))
NUMBERS = tuple(sorted({number for port in ALL for number in port.numbers}))
ELSE = 30080
"""A port that the firewall does not name, as a Service's node port."""

SERVE = """
import socket, sys, threading
def serve(port):
    made = socket.create_server(("", port), reuse_port=True)
    while True: made.accept()[0].close()
for port in sys.argv[1:]: threading.Thread(target=serve, args=(int(port),)).start()
"""

MORE = f"""
for address in {ADMIN}/24 {STRANGER}/24 {POD}/32; do ip address add $address dev mesh0; done
ip route add 10.96.0.0/12 via {ONE.address}
"""


@dataclass
class BySsh(NodeShell):
    """A root shell in a node whose sshd says that it is asked from somewhere."""

    came_from: str = ""

    def _end(self, argv: Sequence[str], stdin: bytes, within_s: float, on_line: OnLine | None) -> Completed:
        said = f"SSH_CONNECTION={self.came_from} 40022 {ONE.address} 22"
        return super()._end(["env", said, "sh", "-c", '"$@"; exit', "sudo", *argv], stdin, within_s, on_line)


@dataclass(frozen=True)
class Nodes:
    """The node that has the firewall, and the others: one has a pod's address, an administrator's and a stranger's too."""

    one: NodeShell
    two: NodeShell
    other: NodeShell
    spec: Spec

    def prepared(self, firewall: Firewall | None, shell: NodeShell | None = None) -> NodeState:
        spec = replace(self.spec, firewall=firewall)
        return prepare(shell or self.one, profile_for("1.5"), spec, ONE, lambda event: None)

    def seen(self, firewall: Firewall | None) -> tuple[str, ...]:
        return observe(self.one, profile_for("1.5"), replace(self.spec, firewall=firewall), ONE).unprepared

    def tried(self, source: str) -> dict[int, str]:
        return reach(self.two, [(source, ONE.address, port) for port in (*NUMBERS, ELSE)])[source, ONE.address]


FIREWALL = Firewall((ONE.address, TWO.address), "10.244.0.0/16", "10.96.0.0/12", (f"{ADMIN}/32",), ALL)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("lab")
    lab = Lab(folder)
    lab.start()
    try:
        one, two, other = (lab.node(member) for member in (ONE, TWO, OTHER))
        two.run(["sh", "-ec", MORE])
        for shell in (one, other):
            shell.run(
                ["sh", "-ec", "ip route add 10.244.62.0/24 via 10.77.0.62; echo 1 > /proc/sys/net/ipv4/ip_forward"]
            )
            words = ("python3", "-c", SERVE, *map(str, (*NUMBERS, ELSE)))
            shell.run(["sh", "-c", 'exec setsid "$@" >/run/said 2>&1 </dev/null &', "begin", *words])
        made = Nodes(one, two, other, spec_of(folder / "stage" / "bundle", (ONE, TWO)))
        made.prepared(FIREWALL)
        yield made
    finally:
        lab.stop()


@pytest.fixture(autouse=True)
def closed(nodes: Nodes) -> Iterator[None]:
    yield
    free(nodes.one)
    nodes.prepared(FIREWALL)


def test_each_port_is_reached_by_those_whom_the_table_names(nodes: Nodes) -> None:
    everything = dict.fromkeys((*NUMBERS, ELSE), OPEN)
    inside = {number: OPEN if port.who is Who.INSIDE else SILENT for port in ALL for number in port.numbers}
    assert nodes.tried(ADMIN) == everything
    assert nodes.tried(TWO.address) == nodes.tried(POD) == {**inside, ELSE: OPEN}
    assert nodes.tried(STRANGER) == {**dict.fromkeys(NUMBERS, SILENT), ELSE: OPEN}
    loopback = reach(nodes.one, [(to, to, port) for to in ("127.0.0.1", ONE.address) for port in NUMBERS])
    assert {found for there in loopback.values() for found in there.values()} == {OPEN}


def test_a_port_of_another_generation_is_anybodys() -> None:
    assert {8080, 9898} <= set(numbers(opened_by("1.5"), Who.INSIDE)) - set(numbers(opened_by("1.20"), Who.INSIDE))
    assert {port for port in PORTS if not port.only} < set(opened_by("1.20")) | set(opened_by("1.5"))


def test_without_it_strangers_reach_all(nodes: Nodes) -> None:
    nodes.prepared(None)
    assert nodes.tried(STRANGER) == dict.fromkeys((*NUMBERS, ELSE), OPEN)
    assert nodes.one.read(["nft", "list", "ruleset"]).stdout.count(TABLE) == 0
    assert nodes.seen(None) == ()


def test_a_port_that_is_led_elsewhere_and_the_clusters_own_addresses_are_no_way_round(nodes: Nodes) -> None:
    lead(nodes.one, OTHER.address, (LED,))
    assert nodes.tried(TWO.address)[LED] == OPEN
    assert nodes.tried(STRANGER)[LED] == SILENT
    service = "10.96.0.1"
    nodes.one.run(["iptables", "-t", "nat", "-A", "PREROUTING", "-d", service, "-j", "DNAT", "--to", ONE.address])
    said = reach(nodes.two, [(source, service, ELSE) for source in (TWO.address, STRANGER)])
    assert said[TWO.address, service] == {ELSE: OPEN}
    assert said[STRANGER, service] == {ELSE: SILENT}


# Twenty at once, as those come who were cut off; then how many were answered, and how often the kernel had to ask again for them.
COME = """
import socket, sys, threading
def asked_again():
    names, values = [line.split() for line in open("/proc/net/netstat") if line.startswith("TcpExt:")][:2]
    return int(values[names.index("TCPSynRetrans")])
before, answered = asked_again(), []
def come():
    socket.create_connection((sys.argv[1], 6443), timeout=60).recv(1)
    answered.append(1)
threads = [threading.Thread(target=come) for _ in range(20)]
for one in threads: one.start()
for one in threads: one.join()
print(len(answered), asked_again() - before)
"""


def test_who_comes_to_an_emulated_api_server_all_at_once_waits_and_is_answered(nodes: Nodes) -> None:
    def come(address: str) -> tuple[int, ...]:
        return tuple(map(int, nodes.one.read(["python3", "-c", COME, address], within_s=90).stdout.split()))

    assert come(ONE.address) == (20, 0)
    nodes.prepared(replace(FIREWALL, paced=True))
    assert nodes.seen(replace(FIREWALL, paced=True)) == ()
    answered, again = come(ONE.address)
    assert (answered, again > 0) == (20, True)
    assert come("127.0.0.1") == (20, 0)


def test_a_rule_changed_by_hand_is_seen_and_mended_and_others_rules_stay(nodes: Nodes) -> None:
    nodes.one.run(["nft", "add", "table", "ip", "somebodys"])
    for change in (["flush", "chain", *TABLE.split(), "ports"], ["delete", "table", *TABLE.split()]):
        nodes.one.run(["nft", *change])
        assert nodes.seen(FIREWALL) == ("the firewall's rules in the kernel are others",)
        nodes.prepared(FIREWALL)
        assert nodes.seen(FIREWALL) == ()
        assert nodes.tried(STRANGER)[10250] == SILENT
    assert "somebodys" in nodes.one.read(["nft", "list", "tables"]).stdout


def test_a_file_that_was_written_and_not_loaded_is_loaded_by_the_next_run(nodes: Nodes) -> None:
    without = replace(FIREWALL, ports=tuple(port for port in ALL if 10250 not in port.numbers))
    nodes.one.put(RULES, without.rules().encode())
    assert nodes.seen(without) == ("the firewall's rules in the kernel are others",)
    nodes.prepared(without)
    assert nodes.tried(STRANGER)[10250] == OPEN


def test_it_comes_up_with_the_node(nodes: Nodes) -> None:
    nodes.one.run(["nft", "flush", "ruleset"])
    nodes.one.run(["double-boot"])
    assert nodes.tried(STRANGER)[10250] == SILENT


def test_a_node_that_is_new_is_let_in_and_one_that_left_is_not(nodes: Nodes) -> None:
    nodes.prepared(replace(FIREWALL, nodes=(ONE.address, STRANGER)))
    assert nodes.tried(STRANGER)[10250] == OPEN
    assert nodes.tried(TWO.address)[10250] == SILENT


def test_nobody_shuts_himself_out(nodes: Nodes) -> None:
    away = replace(FIREWALL, admins=("10.99.0.0/24",))
    before = nodes.one.read(["cat", RULES]).stdout
    with pytest.raises(KubernetesError) as refused:
        nodes.prepared(away, BySsh("w1", pid=nodes.one.pid, came_from=ADMIN))
    assert f"SSH comes from {ADMIN}, which network.admin_cidrs does not name" in refused.value.message
    assert f"add {ADMIN}/32" in (refused.value.hint or "")
    assert nodes.one.read(["cat", RULES]).stdout == before
    assert nodes.prepared(FIREWALL, BySsh("w1", pid=nodes.one.pid, came_from=ADMIN)).unprepared == ()


def test_what_the_seed_says_is_taken_and_leaves_ssh_open(nodes: Nodes) -> None:
    """Until a session has shown where it comes from."""
    import yaml

    said = yaml.safe_load(render(CLUSTER, MEMBERS[0], MEMBERS, "k", KEY).user_data.reveal())
    rules = next(file["content"] for file in said["write_files"] if file["path"] == RULES)
    nodes.one.run(["nft", "--file", "-"], stdin=rules.encode())
    found = nodes.tried("10.244.62.7")
    assert {found[22], found[10250]} == {OPEN}
    assert json.loads(nodes.one.read(["nft", "--json", "list", "chain", *TABLE.split(), "ports"]).stdout)
    assert "22, " not in rules
    assert ["systemctl", "enable", "--now", "meshctl-firewall.service"] in said["runcmd"]
