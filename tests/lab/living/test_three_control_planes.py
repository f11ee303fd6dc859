"""Three control planes and a worker in a lab of their own: made, found as wanted, one lost with the address that they share, and rebuilt.

The tests build on each other in the order of this file. Prints the seconds of each step.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from provision.base.events import nowhere
from provision.base.shell import Local
from provision.base.waiting import NotYet, Ready, wait_until
from provision.lab import Lab, down, up
from provision.specs import domain_name
from tests.lab.conftest import Place, for_lab
from tests.lab.living.test_members import converged

pytestmark = [pytest.mark.lab, pytest.mark.in_turn, pytest.mark.scenario("three-control-planes")]

LAB = Lab("test-three")
ENDPOINT = "10.77.0.250"
PLANES = ("cp1", "cp2", "cp3")
MEMORY = dict.fromkeys(PLANES, "2GiB") | {"w1": "1280MiB"}
"""The least that a control plane may have, so that the lab fits a machine of 8 GiB and a little more."""

MADE_S, REBUILT_S = 7200.0, 5400.0
"""Three control planes are initialised and joined one after the other, each in minutes under software emulation."""

MOVES_S = 120.0
"""An address whose holder is gone is missed for 9 to 12 s of adverts; the rest is what emulated API servers and clients take."""

STEPS: dict[str, float] = {}


@pytest.fixture(scope="module")
def three() -> Iterator[Place]:
    down(LAB, Local(), nowhere)
    up(LAB, Local(), nowhere)
    made = Place(LAB, LAB.key.parent / "three.yaml")
    made.inventory.write_text(yaml.safe_dump(inventory(), sort_keys=False))
    yield made
    for step, seconds in STEPS.items():
        print(f"{seconds:7.1f} s  {step}", flush=True)
    down(LAB, Local(), nowhere)


def inventory() -> dict[str, Any]:
    """The shipped inventory for a lab, with three control planes."""
    said = for_lab(LAB)
    first, worker = said["nodes"]
    nodes = [*(first | {"name": name} for name in PLANES), worker | {"vcpus": 1}]
    kubernetes = said["kubernetes"] | {"control_plane_endpoint": ENDPOINT}
    nodes = [node | {"memory": MEMORY[node["name"]]} for node in nodes]
    return said | {"cluster": "three", "nodes": nodes, "kubernetes": kubernetes}


def run(place: Place, step: str, *words: str, within_s: float) -> list[str]:
    """Runs a command, and gives its changes."""
    started = time.monotonic()
    done = place.meshctl(words[0], str(place.inventory), *words[1:], "--yes", "--json", within_s=within_s)
    STEPS[step] = time.monotonic() - started
    assert done.status == 0, done.stderr[-3000:]
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return [f"{event['object']}: {event['change']}" for event in events if event["event"] == "Changed"]


def inside(place: Place, node: str, command: str) -> str:
    """What a command prints in a guest; nothing where there is none."""
    return place.meshctl("ssh", str(place.inventory), node, "--", command, within_s=120).stdout


def holders(place: Place, *nodes: str) -> list[str]:
    """Who has the shared address."""
    return [node for node in nodes if f"{ENDPOINT}/32" in inside(place, node, "ip -4 address show dev mesh0")]


def answers(place: Place) -> Ready[None] | NotYet:
    """Whether the API answers at the shared address, asked from the worker."""
    said = inside(place, "w1", f"curl -sk --max-time 10 https://{ENDPOINT}:6443/healthz")
    return Ready(None) if said.strip() == "ok" else NotYet(f"it says {said!r}")


def etcd(place: Place, node: str) -> dict[str, bool]:
    """etcd's members by name, as one of them knows them, and whether each was started."""
    pki = "/etc/kubernetes/pki/etcd"
    means = f"--cacert {pki}/ca.crt --cert {pki}/healthcheck-client.crt --key {pki}/healthcheck-client.key"
    said = inside(place, node, f"sudo curl -s {means} -d '{{}}' https://127.0.0.1:2379/v3/cluster/member/list")
    return {one.get("name", ""): bool(one.get("clientURLs")) for one in json.loads(said)["members"]}


def ready(place: Place) -> set[str]:
    return {guest["node"] for guest in place.status()["guests"] if guest["ready"] == "Ready"}


def test_three_are_made_and_a_request_is_routed(three: Place) -> None:
    """`provision` itself ends with a request that each node's mesh has routed."""
    run(three, "fresh", "provision", within_s=MADE_S)
    assert ready(three) == {*PLANES, "w1"}
    assert etcd(three, "cp2") == dict.fromkeys(PLANES, True)
    assert len(holders(three, *PLANES)) == 1
    assert isinstance(answers(three), Ready)


def test_the_certificates_and_the_kubeconfig_are_for_the_shared_address(three: Place) -> None:
    for node in PLANES:
        names = inside(
            three, node, "sudo openssl x509 -noout -ext subjectAltName -in /etc/kubernetes/pki/apiserver.crt"
        )
        assert f"IP Address:{ENDPOINT}" in names
        assert f"DNS:{node}" in names
    said = yaml.safe_load(three.meshctl("kubeconfig", str(three.inventory)).checked().stdout)
    assert said["clusters"][0]["cluster"]["server"] == f"https://{ENDPOINT}:6443"
    assert f"server: https://{ENDPOINT}:6443" in inside(three, "w1", "sudo cat /etc/kubernetes/kubelet.conf")


def test_no_key_of_the_join_is_left_behind(three: Place) -> None:
    for node in PLANES:
        assert inside(three, node, "ls /var/lib/meshctl | grep -x kubeadm.yaml") == ""
        assert inside(three, node, "sudo find /etc/kubernetes/pki -name '*.key' -perm /077") == ""


def test_a_second_run_changes_nothing(three: Place) -> None:
    assert run(three, "second run", "provision", within_s=MADE_S) == []
    assert converged(three)


def test_the_address_comes_to_another_when_its_holder_is_gone(three: Place) -> None:
    (holder,) = holders(three, *PLANES)
    three.virsh("destroy", domain_name("three", holder))
    started = time.monotonic()
    wait_until(
        lambda: answers(three), what="the API at the shared address", within_s=MOVES_S, every_s=1.0, emit=nowhere
    )
    STEPS["API away when its holder was lost"] = time.monotonic() - started
    left = [node for node in PLANES if node != holder]
    assert len(holders(three, *left)) == 1
    guests = {guest["node"]: guest["state"] for guest in three.status()["guests"]}
    assert guests[holder] == "shut off"


def test_the_lost_one_is_rebuilt_and_joins_as_one_of_three(three: Place) -> None:
    lost = next(guest["node"] for guest in three.status()["guests"] if guest["state"] == "shut off")
    said = run(three, f"rebuild {lost}", "rebuild", lost, within_s=REBUILT_S)
    assert f"etcd member {lost} of {lost}: remove" in said
    assert "kubeadm join: done" in said
    other = next(node for node in PLANES if node != lost)
    assert etcd(three, other) == dict.fromkeys(PLANES, True)
    assert ready(three) == {*PLANES, "w1"}
    assert len(holders(three, *PLANES)) == 1
    assert converged(three)
