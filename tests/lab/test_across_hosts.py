"""A cluster whose guests run on three hypervisors, each reached in another way: made, used with a host away, gone on with from a second
laptop, and taken away while a host is off.

The tests build on each other in the order of this file: a cluster takes minutes to make under software emulation.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from provision.base.events import nowhere
from provision.base.shell import Completed, Local
from provision.base.waiting import NotYet, Ready, wait_until
from provision.lab import Lab, down, exec_argv, up
from tests.lab.conftest import MESHCTL
from tests.lab.test_hosts import MIB, Way, for_lab_hosts, unplugged

pytestmark = [pytest.mark.lab, pytest.mark.in_turn]

LAB = Lab("test-across")
WAYS = {"hv1": Way(), "hv2": Way("operator", proxy="netcat"), "hv3": Way(jump=True)}


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Without an id: what tells the cluster from another of its name is found on the hosts."""
    down(LAB, Local(), nowhere)
    up(LAB, Local(), nowhere, 3)
    said = for_lab_hosts(LAB)
    del said["id"]
    for host in said["hosts"]:
        host["uri"] = WAYS[host["name"]].uri(host["name"], LAB)
    path = tmp_path_factory.mktemp("one") / "lab-hosts.yaml"
    path.write_text(yaml.safe_dump(said, sort_keys=False))
    yield path
    down(LAB, Local(), nowhere)


def meshctl(*words: str | Path, within_s: float = 2400) -> Completed:
    print(f"$ meshctl {' '.join(map(str, words))}", flush=True)
    argv = [str(MESHCTL), *map(str, words)]
    done = Local().run(argv, within_s=within_s, check=False, on_line=lambda line: print(line[:300], flush=True))
    print(done.stderr, flush=True)
    return done


def domains(host: str) -> list[str]:
    """What runs on a host, by its own virsh."""
    return Local().run(exec_argv(LAB.at(host), ["virsh", "list", "--name"])).stdout.split()


def inside(inventory: Path, node: str, command: str) -> str:
    """What a shell command says in a guest."""
    done = meshctl("ssh", inventory, node, "--", command)
    assert done.status == 0
    return done.stdout


def test_the_cluster_is_made_and_proven(inventory: Path) -> None:
    """Stage verify goes from every pod to every other, and from every node through its own mesh."""
    done = meshctl("provision", inventory, "--yes", "--json")
    assert done.status == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    for event in events:
        if event["event"] == "StageFinished":
            print(f"stage {event['stage']}: {event['seconds']:.1f} s", flush=True)
    answers = [event["line"] for event in events if event["event"] == "Output" and event["source"] == "verify"]
    assert len(answers) == 3
    assert {host: domains(host) for host in WAYS} == {
        "hv1": ["lab-hosts-cp1"],
        "hv2": ["lab-hosts-w1"],
        "hv3": ["lab-hosts-w2"],
    }


def test_the_mesh_routes_from_each_host_to_pods_on_all_of_them(inventory: Path) -> None:
    ask = "for n in $(seq 12); do curl -sSf --max-time 30 -H 'Host: echo' http://127.0.0.1:4140/; echo; done"
    for node in ("cp1", "w1", "w2"):
        answers = [json.loads(line) for line in inside(inventory, node, ask).splitlines() if line]
        assert {answer["node"] for answer in answers} == {"cp1", "w1", "w2"}


def test_nothing_is_left_to_do(inventory: Path) -> None:
    assert meshctl("plan", inventory, "--detailed-exitcode").status == 0


# ── a second laptop ───────────────────────────────────────────────────────────────────────────────────────────

READ = "sudo sh -c 'echo 3 > /proc/sys/vm/drop_caches; find /usr/bin /usr/sbin -xdev -type f -print0 | sort -z | xargs -0 md5sum | md5sum'"
"""What the guest sees of its disk, from the base image below as from its own overlay, and nothing from memory."""


def base_images() -> dict[str, str]:
    """The base images in the hosts' pools, with their sha256 and inode."""
    found = {}
    for host in WAYS:
        for path in (LAB.at(host).libvirt / "meshctl").glob("meshctl.debian-12.*.qcow2"):
            if path.stat().st_size > MIB:
                digest = hashlib.file_digest(path.open("rb"), "sha256").hexdigest()
                found[f"{host}/{path.name}"] = f"{digest} {path.stat().st_ino}"
    return found


@pytest.fixture
def second_laptop(inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A laptop with a cache and a state of its own, on which the image was built again and got other bytes; its inventory."""
    mine = Path(os.environ.get("MESHCTL_CACHE", Path.home() / ".cache" / "meshctl"))
    cache = tmp_path / "cache"
    (cache / "images").mkdir(parents=True)
    for image in mine.glob("images/debian-12-*"):
        if image.suffix == ".qcow2":
            argv = ["qemu-img", "convert", "-O", "qcow2", str(image), str(cache / "images" / image.name)]
            subprocess.run(argv, check=True)
        else:
            shutil.copy(image, cache / "images")
    (cache / "bundles").symlink_to(mine / "bundles")
    monkeypatch.setenv("MESHCTL_CACHE", str(cache))
    monkeypatch.setenv("MESHCTL_STATE", str(tmp_path / "state"))
    return Path(shutil.copy(inventory, tmp_path / "lab-hosts.yaml"))


def test_two_laptops_take_turns_and_no_guest_loses_a_byte(
    inventory: Path, second_laptop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = ("cp1", "w1", "w2")
    before, seen = base_images(), {node: inside(inventory, node, READ) for node in nodes}
    assert len(before) == 3
    there = meshctl("provision", second_laptop, "--yes")
    monkeypatch.undo()
    here = meshctl("provision", inventory, "--yes", "--json")
    assert (there.status, here.status) == (0, 0)
    assert json.loads(here.stdout.splitlines()[-1])["mutations"] == 0
    assert before.items() <= base_images().items()
    assert {node: inside(inventory, node, READ) for node in nodes} == seen


# ── a host away ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_host_that_is_away_keeps_nobody_from_the_others(inventory: Path) -> None:
    with unplugged("hv3", LAB):
        done = meshctl("status", inventory, "--json", within_s=300)
        assert meshctl("ssh", inventory, "w1", "--", "hostname", within_s=120).stdout == "w1\n"
        lost = meshctl("ssh", inventory, "w2", "--", "hostname", within_s=120)
    assert done.status == 6
    assert "hv3: no connection to " in done.stderr
    assert "perhaps w2" in done.stderr
    assert {guest["node"]: guest["state"] for guest in json.loads(done.stdout)["guests"]} == {
        "cp1": "running",
        "w1": "running",
        "w2": "unknown",
    }
    assert lost.status == 7
    assert "it may be on hv3" in lost.stderr
    # Back again, w2 is Ready when its kubelet has reached the API server.
    settled = wait_until(
        lambda: (
            Ready(True)
            if meshctl("plan", inventory, "--detailed-exitcode").status == 0
            else NotYet("pods of w2 are not ready")
        ),
        what="the cluster as it was",
        within_s=600,
        every_s=5,
    )
    assert settled


# ── a node less ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_node_that_left_the_inventory_stays_until_it_is_named(inventory: Path) -> None:
    said = yaml.safe_load(inventory.read_text())
    said["nodes"] = [node for node in said["nodes"] if node["name"] != "w1"]
    inventory.write_text(yaml.safe_dump(said, sort_keys=False))
    done = meshctl("plan", inventory, "--detailed-exitcode")
    assert done.status == 0  # its routes stay as they are, too
    assert "w1 is ours but not in the inventory: it goes on as a member; `provision --remove w1`" in done.stdout


def test_by_name_it_is_drained_and_taken_away_with_all_that_it_has(inventory: Path) -> None:
    done = meshctl("provision", inventory, "--remove", "w1", "--yes", "--json")
    assert done.status == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    changed = [f"{one['object'].partition('.')[0]}: {one['change']}" for one in events if one["event"] == "Changed"]
    assert changed[:2] == ["node w1: drain", "node w1: delete from Kubernetes"]
    assert changed.index("guest lab-hosts-w1: remove") > changed.index("root volume lab-hosts: remove")
    assert domains("hv2") == []
    assert list((LAB.at("hv2").libvirt / "meshctl").glob("lab-hosts.w1.*")) == []
    names = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes -o name"
    assert inside(inventory, "cp1", names).split() == ["node/cp1", "node/w2"]
    for node in ("cp1", "w2"):
        ways = inside(inventory, node, "ip route show proto 201; grep -c w1 /etc/hosts; true")
        assert ways.count(" via ") == 1
        assert ways.splitlines()[-1] == "0"
    assert meshctl("plan", inventory, "--detailed-exitcode").status == 0


def test_destroy_with_a_running_guest_on_a_host_that_is_away(inventory: Path) -> None:
    with unplugged("hv3", LAB):
        done = meshctl("destroy", inventory, "--yes", "--purge", within_s=600)
    assert done.status == 15
    assert "what it holds of the cluster is left, perhaps w2" in done.stderr
    assert [domains(host) for host in WAYS] == [[], [], ["lab-hosts-w2"]]


def test_the_next_destroy_takes_the_rest(inventory: Path) -> None:
    done = meshctl("destroy", inventory, "--yes", "--purge", within_s=600)
    assert done.status == 0
    for host in WAYS:
        assert domains(host) == []
        assert list((LAB.at(host).libvirt / "meshctl").glob("*")) == []
