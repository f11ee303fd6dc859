"""The pages of docs/runbooks that need a second host, on a small cluster in a lab of two.

The first of the living scenarios by its name: its lab is gone before the cluster of the others is made, which needs the machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.base.events import nowhere
from provision.base.shell import Local
from provision.lab import Lab, down, host_uri, up
from tests.lab.conftest import Place
from tests.lab.living.runbooks import carried_out, carry_out
from tests.lab.living.test_members import converged
from tests.lab.test_hosts import for_lab_hosts

pytestmark = pytest.mark.lab

LAB = Lab("test-pages")
SECOND = "hv2"
MEMORY = {"cp1": "2560MiB", "w1": "1792MiB"}


def on_one_host(lab: Lab) -> dict[str, Any]:
    """The shipped inventory of several hosts, with the first of them and the nodes that it carries."""
    said = for_lab_hosts(lab)
    kept = [node | {"memory": MEMORY[node["name"]], "host": "hv1"} for node in said["nodes"] if node["name"] in MEMORY]
    for node in kept:
        node.pop("group", None)
    return said | {"hosts": said["hosts"][:1], "nodes": kept}


@pytest.fixture(scope="module")
def two_hosts() -> Iterator[None]:
    down(LAB, Local(), nowhere)
    up(LAB, Local(), nowhere, 2)
    yield
    down(LAB, Local(), nowhere)


@pytest.fixture(scope="module")
def pair(two_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A living cluster on hv1, to which hv2 with the node w2 was added by the runbook."""
    made = Place(LAB, tmp_path_factory.mktemp("pair") / "lab-hosts.yaml")
    made.inventory.write_text(yaml.safe_dump(on_one_host(LAB), sort_keys=False))
    assert made.meshctl("provision", str(made.inventory), "--yes").status == 0
    before = boots(made, "cp1", "w1")
    carry_out(made, "add-a-hypervisor", HV2_URI=host_uri(LAB, SECOND))
    assert boots(made, "cp1", "w1") == before
    return made


def boots(place: Place, *nodes: str) -> list[str]:
    """What tells that a guest was not started anew."""
    look = ("--", "cat", "/proc/sys/kernel/random/boot_id")
    return [place.meshctl("ssh", str(place.inventory), node, *look).checked().stdout for node in nodes]


def hosts(place: Place) -> dict[str, str]:
    return {guest["node"]: guest["host"] for guest in place.status()["guests"]}


def answers(place: Place, node: str) -> set[str]:
    """The nodes whose pods answer through a node's mesh."""
    ask = "for n in $(seq 12); do curl -sSf --max-time 30 -H 'Host: echo' http://127.0.0.1:4140/; echo; done"
    said = place.meshctl("ssh", str(place.inventory), node, "--", ask).checked().stdout
    return {json.loads(line)["node"] for line in said.splitlines() if line}


def pool_of(host: str) -> Path:
    return LAB.at(host).libvirt / "meshctl"


@pytest.mark.scenario("runbook-add-a-hypervisor")
def test_the_new_host_carries_a_node_and_its_mesh_routes(pair: Place) -> None:
    assert hosts(pair) == {"cp1": "hv1", "w1": "hv1", "w2": SECOND}
    assert answers(pair, "w2") == {"cp1", "w1", "w2"}


@pytest.mark.scenario("runbook-replace-a-dead-nvme")
def test_what_lay_on_the_dead_device_is_made_anew_and_the_others_ran_on(pair: Place) -> None:
    """The device is played by the pool's folder, which is empty after the guest was stopped."""
    before, dead = boots(pair, "cp1", "w1"), boots(pair, "w2")
    for command, _ in carried_out(pair, "replace-a-dead-nvme", HV2_URI=host_uri(LAB, SECOND)):
        if command.startswith("virsh "):
            empty(pool_of(SECOND))
    assert hosts(pair)["w2"] == SECOND
    assert (boots(pair, "cp1", "w1") == before, boots(pair, "w2") == dead) == (True, False)
    assert answers(pair, "w2") == {"cp1", "w1", "w2"}


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    assert not list(folder.iterdir())


@pytest.mark.scenario("runbook-move-a-node-to-another-host")
def test_a_node_leaves_its_host_and_is_made_on_the_other(pair: Place) -> None:
    text = pair.inventory.read_text()
    said = yaml.safe_load(text)
    next(node for node in said["nodes"] if node["name"] == "w1")["host"] = SECOND
    pair.inventory.write_text(yaml.safe_dump(said, sort_keys=False))
    refused = pair.meshctl("plan", str(pair.inventory))
    assert (refused.status, "a guest is not moved" in refused.stderr) == (5, True)
    pair.inventory.write_text(text)
    before = boots(pair, "cp1", "w2")
    carry_out(pair, "move-a-node-to-another-host")
    assert hosts(pair) == {"cp1": "hv1", "w1": SECOND, "w2": SECOND}
    assert list(pool_of("hv1").glob("lab-hosts.w1.*")) == []
    assert boots(pair, "cp1", "w2") == before
    assert answers(pair, "w1") == {"cp1", "w1", "w2"}
    assert converged(pair)
