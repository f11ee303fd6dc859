"""Each port of the table in docs/security.md, tried from outside, from a pod and from a node; no other is open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provision.base.shell import Local
from provision.guests.ports import Port, Who, mesh_ports, opened_by
from provision.inventory import load
from provision.mesh import configuration
from tests.lab.conftest import MESHCTL, Place
from tests.lab.living.load import kubectl
from tests.lab.living.test_members import converged, edited, provision
from tests.lab.reach import OPEN, REFUSED, SILENT, reach

pytestmark = [pytest.mark.lab, pytest.mark.in_turn, pytest.mark.scenario("ports")]

PATIENCE_S = 8.0
"""An emulated API server is come to at a pace (ADR 0044): who is one too many is answered when his kernel asks again, after 1, 3 or 7 s."""

STRANGER = "198.51.100.7"
"""An address of another network (RFC 5737), as which the lab's own machine asks."""

# Where it listens not only for itself, `PORT` a line.
_LISTENING = "ss -Hltn | awk '$4 !~ /^(127\\.|\\[::1\\])/ { sub(/.*:/, \"\", $4); print $4 }' | sort -un"


def table(place: Place) -> tuple[Port, ...]:
    return (*opened_by(load(str(place.inventory)).kubernetes.generation), *routers(place))


def routers(place: Place) -> tuple[Port, ...]:
    mesh = load(str(place.inventory)).mesh
    return mesh_ports(configuration(mesh).ports.values(), mesh.admin_port)


def addresses(place: Place) -> dict[str, str]:
    return {guest["node"]: guest["address"] for guest in place.status()["guests"]}


def inside(place: Place, node: str, *words: str) -> tuple[str, ...]:
    """What goes before a program that is to run in a guest, as root."""
    return (str(MESHCTL), "ssh", str(place.inventory), node, "--", "sudo", *words)


def in_pod(place: Place, node: str) -> tuple[str, ...]:
    """What goes before a program that is to run in the network of a node's echo pod."""
    find = "docker inspect --format '{{.State.Pid}}' $(docker ps --quiet --filter name=k8s_POD_echo)"
    done = Local().run([*inside(place, node), "sh", "-c", find], within_s=120)
    return inside(place, node, "nsenter", "-t", done.stdout.split()[0], "-n")


@pytest.fixture(scope="module")
def outside(place: Place) -> Iterator[tuple[str, ...]]:
    """What goes before a program that is to run beside the guests, where the stranger is."""
    there = ("ip", "netns", "exec", place.lab.namespace)
    Local().run([*there, "ip", "address", "replace", f"{STRANGER}/32", "dev", "lo"])
    yield there
    Local().run([*there, "ip", "address", "del", f"{STRANGER}/32", "dev", "lo"])


def tried(before: tuple[str, ...], place: Place, source: str = "") -> dict[str, dict[int, str]]:
    """What becomes of each port of each node, by node."""
    names = {address: node for node, address in addresses(place).items()}
    numbers = sorted({number for port in table(place) for number in port.numbers})
    ways = [(source, address, number) for address in names for number in numbers]
    found = reach(Local(), ways, inside=before, patience_s=PATIENCE_S)
    return {names[address]: there for (_, address), there in found.items()}


def test_each_port_is_reached_by_those_whom_the_table_names(place: Place, outside: tuple[str, ...]) -> None:
    for node, there in tried(outside, place, STRANGER).items():
        assert set(there.values()) == {SILENT}, (node, there)
    served = {"cp1": {6443, 10250, 2379}, "w1": {10250}, "w2": {10250}}
    ours = {port for one in table(place) if one.who is Who.INSIDE for port in one.numbers}
    mesh = set(routers(place)[0].numbers)
    for who, before in (("a pod", in_pod(place, "w1")), ("a node", inside(place, "w1")), ("an administrator", outside)):
        for node, there in tried(before, place).items():
            assert {there[port] for port in ours} <= {OPEN, REFUSED}, (who, node, there)
            assert {there[port] for port in served[node] | mesh} == {OPEN}, (who, node, there)
            assert there[22] == (SILENT if who == "a pod" else OPEN), (who, node)


def test_no_port_is_open_that_the_table_does_not_have(place: Place) -> None:
    known = {number for port in table(place) for number in port.numbers}
    for node in addresses(place):
        done = Local().run([*inside(place, node), "sh", "-c", _LISTENING], within_s=120)
        open_here = {int(line) for line in done.stdout.split()}
        assert {22, 10250} <= open_here <= known, (node, open_here - known)


def test_a_rule_that_somebody_flushed_is_seen_and_put_back(place: Place, outside: tuple[str, ...]) -> None:
    Local().run([*inside(place, "w1"), "nft", "flush", "chain", "inet", "meshctl", "ports"], within_s=120)
    assert tried(outside, place, STRANGER)["w1"][10250] == OPEN
    drift = place.meshctl("status", str(place.inventory), "--drift")
    assert drift.status == 20
    assert "the firewall's rules in the kernel are others" in drift.stdout
    provision(place)
    assert converged(place)
    assert tried(outside, place, STRANGER)["w1"][10250] == SILENT


def test_it_is_there_after_a_restart_and_so_are_the_rules_of_others(place: Place, outside: tuple[str, ...]) -> None:
    assert place.meshctl("restart", str(place.inventory), "w1", "--yes").status == 0
    assert set(tried(outside, place, STRANGER)["w1"].values()) == {SILENT}
    service = kubectl(place, "get", "service", "echo", "-o", "jsonpath={.spec.clusterIP}:{.spec.ports[0].port}").strip()
    asked = Local().run(
        [*inside(place, "w1"), "curl", "--silent", "--max-time", "20", f"http://{service}/"], within_s=120
    )
    assert "pod" in asked.stdout


def test_without_the_firewall_the_same_look_is_red(place: Place, outside: tuple[str, ...]) -> None:
    with edited(place, lambda said: said.update(firewall=False)):
        provision(place)
        assert converged(place)
        found = tried(outside, place, STRANGER)
        assert {found["cp1"][port] for port in (22, 6443, 10250, 2379)} == {OPEN}
        assert all(found[node][10250] == OPEN for node in found)
    provision(place)
    assert converged(place)
    assert set(tried(outside, place, STRANGER)["cp1"].values()) == {SILENT}
