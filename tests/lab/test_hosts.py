"""Three hypervisors over real qemu+ssh, on a bridge across them: what an operator meets before a guest boots.

The tests build on each other in the order of this file. tests/lab/test_across_hosts.py boots guests.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.base.data import folder
from provision.base.errors import HypervisorError, Unfinished
from provision.base.events import Changed, Event, Warned, nowhere
from provision.base.parallel import for_each
from provision.base.shell import Completed, Local
from provision.base.waiting import NotYet, Ready, wait_until
from provision.hosts.hypervisor import Hypervisor
from provision.inventory import load
from provision.lab import Lab, connect_argv, down, exec_argv, host_uri, up
from provision.lab.logins import client
from provision.lab.processes import lives, members
from provision.libvirt_xml import network_xml
from provision.run.destruction import destroy, plan_removal
from provision.run.engine import opened
from provision.specs import NetworkSpec, Owner
from tests.lab.conftest import MESHCTL, of_process

pytestmark = [pytest.mark.lab, pytest.mark.in_turn]

LAB = Lab("test-hosts")
NAMES = ("hv1", "hv2", "hv3")
MIB = 1 << 20
ID = "0123456789abcdef"


@dataclass(frozen=True)
class Way:
    """A way to the hosts' libvirt."""

    user: str = "root"
    jump: bool = False
    proxy: str = "auto"

    def uri(self, host: str, lab: Lab = LAB) -> str:
        """The URI of a host by this way."""
        return f"{host_uri(lab, f'{host}.jump' if self.jump else host, self.user)}&proxy={self.proxy}"


WAYS = [
    Way(user, jump, proxy) for user in ("root", "operator") for jump in (False, True) for proxy in ("native", "netcat")
]


def for_lab_hosts(lab: Lab, way: Way = Way()) -> dict[str, Any]:
    """The shipped inventories/lab-hosts.yaml, moved to another lab and way."""
    said = dict(yaml.safe_load((folder("inventories") / "lab-hosts.yaml").read_text()))
    for host in said["hosts"]:
        host["uri"] = way.uri(host["name"], lab)
    said["id"] = ID  # the inventories of these tests lie in many folders, and are one
    said["ssh"]["key_file"] = str(lab.key)
    said["ssh"]["proxy_command"] = list(connect_argv(lab))
    return said


@pytest.fixture(scope="module")
def uris() -> Iterator[tuple[str, ...]]:
    """The lab, up; nothing of it is left behind, and the user's own SSH settings are as before."""
    down(LAB, Local(), nowhere)
    before = _of_the_user()
    yield up(LAB, Local(), nowhere, 3)
    down(LAB, Local(), nowhere)
    assert _of_the_user() == before


def _of_the_user() -> list[tuple[str, float]]:
    return sorted((str(path), path.stat().st_mtime) for path in (Path.home() / ".ssh").glob("**/*"))


@pytest.fixture
def inventory(uris: tuple[str, ...], tmp_path: Path) -> Path:
    return write(tmp_path / "lab-hosts.yaml", for_lab_hosts(LAB))


def write(path: Path, said: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(said, sort_keys=False))
    return path


def meshctl(*words: str | Path, within_s: float = 240) -> Completed:
    print(f"$ meshctl {' '.join(map(str, words))}", flush=True)
    done = Local().run([str(MESHCTL), *map(str, words)], within_s=within_s, check=False)
    print(done.stderr, flush=True)
    return done


def on(host: str, *argv: str) -> str:
    """A command in a host's namespaces."""
    return Local().run(exec_argv(LAB.at(host), argv)).stdout


@contextmanager
def unplugged(host: str, lab: Lab = LAB) -> Iterator[None]:
    """A host whose cable is pulled."""
    Local().run(["ip", "-n", lab.namespace, "link", "set", host, "down"])
    try:
        yield
    finally:
        Local().run(["ip", "-n", lab.namespace, "link", "set", host, "up"])


def cut_off(host: str) -> None:
    """Ends a host's sshd with every session, and so each connection to its libvirt. `up` starts it again."""
    place = LAB.at(host)
    sshd = [pid for pid in members(place) if of_process(pid, "comm") == b"sshd\n"]
    for pid in sshd:
        os.kill(pid, signal.SIGKILL)


def pool(host: str) -> Path:
    return LAB.at(host).libvirt / "meshctl"


# ── the place ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_up_says_how_to_reach_each_host(uris: tuple[str, ...]) -> None:
    assert uris == tuple(host_uri(LAB, host) for host in NAMES)


def test_up_again_changes_nothing(uris: tuple[str, ...]) -> None:
    def state() -> list[tuple[list[int], str]]:
        places = [LAB, *(LAB.at(host) for host in NAMES)]
        return [(daemons(place), (place.state / "ssh_host_ed25519_key.pub").read_text()) for place in places]

    def daemons(place: Lab) -> list[int]:
        return sorted(pid for pid in members(place) if of_process(pid, "comm").strip() in (b"libvirtd", b"sshd"))

    seen: list[Event] = []
    before = state()
    assert up(LAB, Local(), seen.append, 3) == uris
    assert (state(), seen) == (before, [])


@pytest.mark.parametrize("words", [("--hosts", "2"), ()])
def test_a_lab_of_another_shape_is_refused(uris: tuple[str, ...], words: tuple[str, ...]) -> None:
    done = meshctl("lab", "up", "--name", LAB.name, *words)
    assert done.status == 1
    assert f"lab {LAB.name} is there with 3 hosts" in done.stderr
    assert f"meshctl lab down --name {LAB.name}" in done.stderr


def test_each_host_has_a_libvirt_of_its_own(uris: tuple[str, ...]) -> None:
    domain = "<domain type='qemu'><name>alone</name><memory>65536</memory><os><type>hvm</type></os></domain>"
    Local().run(exec_argv(LAB.at("hv2"), ["virsh", "define", "/dev/stdin"]), stdin=domain.encode())
    there = {host: [seen.name for seen in Hypervisor(host, host_uri(LAB, host)).domains()] for host in NAMES}
    on("hv2", "virsh", "undefine", "alone")
    assert there == {"hv1": [], "hv2": ["alone"], "hv3": []}


def test_hosts_reach_each_other_over_the_bridge_and_nothing_else(uris: tuple[str, ...]) -> None:
    assert on("hv1", "sh", "-c", "nc -w 5 10.78.0.13 22 < /dev/null | head -c 7") == "SSH-2.0"
    assert on("hv1", "ip", "route", "show", "default") == ""


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_way_leads_to_every_host(uris: tuple[str, ...], way: Way) -> None:
    def look(host: str) -> str:
        hypervisor = Hypervisor(host, way.uri(host))
        try:
            return hypervisor.versions()["libvirt"]
        finally:
            hypervisor.close()

    assert len(for_each(NAMES, look)) == 3


# ── refusals: one next step per cause ─────────────────────────────────────────────────────────────────────────


def refusal(uri: str) -> tuple[str, str]:
    """Message and hint of a connection that is not given."""
    hypervisor = Hypervisor("hv2", uri)
    with pytest.raises(HypervisorError, match="hv2: no connection to ") as caught:
        hypervisor.domains()
    print(f"{caught.value.message}\nhint: {caught.value.hint}", flush=True)
    assert "lab is not up" not in caught.value.hint
    return caught.value.message, caught.value.hint


HIDE = """set -eu
mkdir -p "$1"; mount -t tmpfs tmpfs "$1"; mkdir "$1/upper" "$1/work"
for name in nc nc.openbsd nc.traditional virt-ssh-helper; do mknod "$1/upper/$name" c 0 0; done
mount -t overlay overlay -o lowerdir=/usr/bin,upperdir="$1/upper",workdir="$1/work" /usr/bin
"""


def test_a_host_without_nc_and_helper(uris: tuple[str, ...], tmp_path: Path) -> None:
    on("hv2", "sh", "-c", HIDE, "hide", str(tmp_path / "overlay"))
    try:
        message, hint = refusal(host_uri(LAB, "hv2"))
    finally:
        on("hv2", "umount", "--lazy", "/usr/bin", str(tmp_path / "overlay"))
    assert "not found" in message
    assert "apt-get install netcat-openbsd" in hint


@pytest.mark.parametrize("proxy", ["native", "netcat"])
def test_a_user_outside_the_group(uris: tuple[str, ...], proxy: str) -> None:
    _, hint = refusal(f"{host_uri(LAB, 'hv2', 'stranger')}&proxy={proxy}")
    assert "usermod --append --groups libvirt stranger" in hint


def test_a_user_who_is_not_let_in(uris: tuple[str, ...]) -> None:
    _, hint = refusal(host_uri(LAB, "hv2", "nobody"))
    assert f"lets nobody not in: `{client(LAB)} nobody@hv2 true`" in hint


def test_a_name_that_nobody_knows(uris: tuple[str, ...]) -> None:
    _, hint = refusal("qemu+ssh://root@no-such-host.invalid/system")
    assert "getent hosts no-such-host.invalid" in hint


def test_a_libvirtd_that_does_not_run(uris: tuple[str, ...]) -> None:
    os.kill(int(LAB.at("hv2").pid_file.read_text()), signal.SIGKILL)
    hints = {refusal(f"{host_uri(LAB, 'hv2')}&proxy={proxy}")[1] for proxy in ("native", "netcat")}
    up(LAB, Local(), nowhere, 3)
    assert hints == {"libvirtd does not run: `systemctl start libvirtd` (or virtqemud.socket) on hv2"}


def test_a_port_where_nobody_listens(uris: tuple[str, ...]) -> None:
    _, hint = refusal(host_uri(LAB, "hv2").replace("hv2/", "hv2:2222/"))
    assert "no sshd listens" in hint


@pytest.mark.parametrize("jump", [False, True])
def test_a_host_that_is_off(uris: tuple[str, ...], jump: bool) -> None:
    with unplugged("hv2"):
        _, hint = refusal(Way(jump=jump).uri("hv2"))
    assert "nothing answers there: is hv2" in hint


def other_client(tmp_path: Path, known_hosts: str) -> Path:
    """The lab's client with other known hosts, which asks as OpenSSH does when nothing is said."""
    known = tmp_path / "known_hosts"
    known.write_text(known_hosts)
    said = (LAB.state / "ssh_config").read_text().replace(str(LAB.state / "known_hosts"), str(known))
    (tmp_path / "config").write_text(said.replace("StrictHostKeyChecking yes", "StrictHostKeyChecking ask"))
    program = tmp_path / "ssh"
    program.write_text(f'#!/bin/sh\nexec ssh -F {tmp_path}/config "$@"\n')
    program.chmod(0o755)
    return program


def test_an_unknown_host_key_is_not_asked_about_nor_taken(uris: tuple[str, ...], tmp_path: Path) -> None:
    """On a terminal, where ssh would ask: three hosts at once, in the midst of our own lines."""
    program = other_client(tmp_path, "")
    _, hint = refusal(f"qemu+ssh://root@hv2/system?command={program}")
    assert f"compare the fingerprint: `{program} root@hv2`" in hint
    said = for_lab_hosts(LAB)
    for host in said["hosts"]:
        host["uri"] = f"qemu+ssh://root@{host['name']}/system?command={program}"
    words = f"{MESHCTL} plan {write(tmp_path / 'x.yaml', said)}"
    done = Local().run(["script", "--quiet", "--return", "--command", words, "/dev/null"], within_s=60, check=False)
    assert done.status == HypervisorError.exit_code
    assert "yes/no" not in done.stdout
    assert all(f"{host}: no connection" in done.stdout for host in NAMES)
    assert (tmp_path / "known_hosts").read_text() == ""


def test_another_host_key_than_the_known_one(uris: tuple[str, ...], tmp_path: Path) -> None:
    key = (LAB.at("hv1").state / "ssh_host_ed25519_key.pub").read_text()
    _, hint = refusal(f"qemu+ssh://root@hv2/system?command={other_client(tmp_path, f'hv2 {key}')}")
    assert "the host's key is not the known one" in hint


# ── doctor and plan ───────────────────────────────────────────────────────────────────────────────────────────


def findings(inventory: Path) -> tuple[int, list[dict[str, str]]]:
    done = meshctl("doctor", inventory, "--json")
    return done.status, json.loads(done.stdout)["findings"]


@pytest.mark.parametrize("way", [WAYS[0], WAYS[-1]], ids=str)
def test_doctor_looks_at_all_of_each_host(uris: tuple[str, ...], tmp_path: Path, way: Way) -> None:
    """Through the shell too: a user of the group libvirt needs sudo for that, and has it in the lab."""
    status, found = findings(write(tmp_path / "x.yaml", for_lab_hosts(LAB, way)))
    assert [one for one in found if one["severity"] == "error"] == []
    assert [one for one in found if one["id"] == "MC102"] == []
    assert status == 0


def test_a_user_without_sudo_can_plan_all_the_same(uris: tuple[str, ...], tmp_path: Path) -> None:
    """In the group libvirt: libvirt does what is asked, doctor says what it could not see."""
    sudoers = LAB.at("hv2").state / "accounts" / "sudoers"
    before, inventory = sudoers.read_bytes(), write(tmp_path / "x.yaml", for_lab_hosts(LAB, Way("operator")))
    try:
        sudoers.write_bytes(b"root ALL=(ALL) ALL\n")
        status, found = findings(inventory)
        planned = meshctl("plan", inventory)
    finally:
        sudoers.write_bytes(before)
    assert [one["where"] for one in found if one["id"] == "MC102"] == ["hv2"]
    assert (status, planned.status) == (0, 0)


def test_both_ends_of_the_ways_give_the_same_plan(uris: tuple[str, ...], tmp_path: Path) -> None:
    plans = [
        json.loads(meshctl("plan", write(tmp_path / "x.yaml", for_lab_hosts(LAB, way)), "--json").stdout)
        for way in (WAYS[0], WAYS[-1])
    ]
    assert plans[0] == plans[1]
    assert {guest["node"]: guest["host"] for guest in plans[0]["guests"]}.keys() == {"cp1", "w1", "w2"}


def test_nodes_of_a_group_run_on_different_hosts(inventory: Path) -> None:
    said = yaml.safe_load(inventory.read_text())
    worker = {"role": "worker", "vcpus": 1, "memory": "1GiB", "disk": "8GiB"}
    # cp1 is on hv1 and its two vCPUs make that the fullest: without the group all three would go elsewhere.
    said["nodes"] = [said["nodes"][0], *({"name": f"w{n}", "group": "shop", **worker} for n in (1, 2, 3))]
    hosts = {
        g["node"]: g["host"] for g in json.loads(meshctl("plan", write(inventory, said), "--json").stdout)["guests"]
    }
    assert {hosts["w1"], hosts["w2"], hosts["w3"]} == set(NAMES)
    for node in said["nodes"][1:]:
        del node["group"]
    hosts = {
        g["node"]: g["host"] for g in json.loads(meshctl("plan", write(inventory, said), "--json").stdout)["guests"]
    }
    assert {hosts["w1"], hosts["w2"], hosts["w3"]} == {"hv2", "hv3"}


def test_a_host_that_is_away_is_named_and_nothing_is_begun(inventory: Path) -> None:
    with unplugged("hv3"):
        planned = meshctl("plan", inventory)
        status, found = findings(inventory)
        begun = meshctl("provision", inventory, "--yes", "--until", "volumes")
    assert planned.status == HypervisorError.exit_code
    assert "hv3: no connection to " in planned.stderr
    assert "hv1: no" not in planned.stderr
    assert status == 12
    errors = [(one["id"], one["where"]) for one in found if one["severity"] == "error"]
    assert errors == [("MC101", "hv3")]
    assert {one["where"] for one in found} == set(NAMES)  # the others were judged all the same
    assert begun.status == 12
    assert "MC101 on hv3" in begun.stderr
    assert not [path for host in NAMES for path in pool(host).glob("*")]


# ── upload ────────────────────────────────────────────────────────────────────────────────────────────────────


def images_to_send(inventory: Path) -> set[str]:
    plan = json.loads(meshctl("plan", inventory, "--json").stdout)
    return {action["where"] for action in plan["actions"] if action["stage"] == "images" and action["verb"] != "leave"}


def test_three_hosts_get_the_images_at_once_and_one_that_goes_away_stops_no_other(
    inventory: Path, tmp_path: Path
) -> None:
    def arriving() -> Ready[None] | NotYet:
        sizes = {host: sum(path.stat().st_size for path in pool(host).glob("*")) for host in NAMES}
        return Ready(None) if all(size > MIB for size in sizes.values()) else NotYet(str(sizes))

    argv = [str(MESHCTL), "provision", str(inventory), "--yes", "--until", "images"]
    with open(tmp_path / "out", "wb") as out, subprocess.Popen(argv, stdout=out, stderr=out) as process:
        wait_until(arriving, what="bytes on all three hosts", within_s=120, every_s=0.02)
        cut_off("hv3")
        status = process.wait(240)
    said = (tmp_path / "out").read_text()
    print(said, flush=True)
    assert status == HypervisorError.exit_code
    assert "error: hv3: cannot upload " in said
    assert "hv1: cannot" not in said
    assert "hv2: cannot" not in said
    up(LAB, Local(), nowhere, 3)
    assert images_to_send(inventory) == {"hv3"}


def test_the_next_run_sends_the_rest_and_makes_the_volumes(inventory: Path) -> None:
    done = meshctl("provision", inventory, "--yes", "--until", "volumes", "--json")
    assert done.status == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {
        event["where"] for event in events if event["event"] == "Changed" and event["change"].startswith("sent")
    } == {"hv3"}
    volumes = {host: sorted(path.name for path in pool(host).glob("*.root.*")) for host in NAMES}
    assert [len(found) for found in volumes.values()] == [1, 1, 1]


def test_what_arrived_is_what_was_sent(inventory: Path) -> None:
    def digests(host: str) -> list[str]:
        found = sorted(path for path in pool(host).glob("meshctl.*") if path.stat().st_size > MIB)
        return [hashlib.file_digest(path.open("rb"), "sha256").hexdigest() for path in found]

    there = for_each(NAMES, digests)
    cache = Path(os.environ.get("MESHCTL_CACHE", Path.home() / ".cache" / "meshctl"))
    here = [*cache.glob("images/*.qcow2"), *cache.glob("disks/*.iso")]
    sent = {hashlib.file_digest(path.open("rb"), "sha256").hexdigest() for path in here}
    assert there[0] == there[1] == there[2]
    assert len(there[0]) == 2
    assert set(there[0]) <= sent


# ── destroy ───────────────────────────────────────────────────────────────────────────────────────────────────


def ours(hosts: Sequence[str]) -> list[str]:
    """What carries the cluster's stamp there: volumes and networks."""
    volumes = [str(path) for host in hosts for path in pool(host).glob("lab-hosts.*")]
    return volumes + [
        f"{host}: network" for host in hosts if "meshctl" in on(host, "virsh", "net-list", "--all", "--name").split()
    ]


def test_destroy_with_a_host_that_goes_away_in_the_middle(inventory: Path) -> None:
    events: list[Event] = []

    def watch(event: Event) -> None:
        events.append(event)
        if isinstance(event, Changed) and (event.where, event.object) == ("hv2", "network meshctl"):
            cut_off("hv2")

    with opened(load(str(inventory)), watch) as world:
        agreed = plan_removal(world, purge=False)
        with pytest.raises(Unfinished, match=r"not all is removed: hv2: cannot delete lab-hosts\."):
            destroy(world, agreed)
    left = [e.message for e in events if isinstance(e, Warned) and e.message.endswith(" is left")]
    (volume,) = pool("hv2").glob("lab-hosts.*")
    assert left == [f"hv2: root volume {volume.name} is left"]
    assert ours(["hv1", "hv3"]) == []
    up(LAB, Local(), nowhere, 3)
    assert ours(["hv2"]) == [str(volume)]
    assert meshctl("provision", inventory, "--yes", "--until", "volumes").status == 0


def test_destroy_with_a_host_away_removes_the_others_and_says_what_is_left(inventory: Path) -> None:
    with unplugged("hv3"):
        done = meshctl("destroy", inventory, "--yes")
    assert done.status == 15
    assert "warning: hv3: no connection to " in done.stderr
    assert "what it holds of the cluster is left, perhaps cp1, w1, w2" in done.stderr
    assert "error: not all is removed: hv3: no connection" in done.stderr
    assert ours(["hv1", "hv2"]) == []
    assert len(ours(["hv3"])) == 2


def test_the_next_destroy_removes_what_was_left(inventory: Path) -> None:
    done = meshctl("destroy", inventory, "--yes")
    assert done.status == 0
    assert ours(NAMES) == []
    assert meshctl("destroy", inventory, "--yes", "--purge").status == 0
    assert [path for host in NAMES for path in pool(host).glob("*")] == []


# ── a libvirtd that takes connections and says nothing ────────────────────────────────────────────────────────


@contextmanager
def hung(host: str) -> Iterator[None]:
    """A host whose libvirtd is stopped; its sshd goes on."""
    pid = int(LAB.at(host).pid_file.read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_doctor_gives_up_a_host_that_says_nothing_and_provision_begins_nothing(inventory: Path) -> None:
    with hung("hv3"):
        status, found = findings(inventory)
        begun = meshctl("provision", inventory, "--yes", "--until", "volumes")
    assert (status, begun.status) == (12, 12)
    assert [(one["id"], one["where"]) for one in found if one["severity"] == "error"] == [("MC101", "hv3")]
    assert not [path for host in NAMES for path in pool(host).glob("*")]


def test_plan_names_a_host_that_says_nothing_and_ends(inventory: Path) -> None:
    with hung("hv3"):
        done = meshctl("plan", inventory, within_s=120)
    assert done.status == HypervisorError.exit_code
    assert "hv3: " in done.stderr
    assert "hv1: no" not in done.stderr


def test_destroy_goes_on_without_a_host_that_says_nothing(inventory: Path) -> None:
    owner = Owner("lab-hosts", ID)
    for host in NAMES:
        made = Hypervisor(host, host_uri(LAB, host))
        made.create_network(
            network_xml(NetworkSpec("lab-hosts", host, "meshctl", "bridge", "br0", "", 24, 1500), owner)
        )
        made.close()
    with hung("hv3"):
        done = meshctl("destroy", inventory, "--yes", within_s=120)
    assert done.status == Unfinished.exit_code
    assert "error: not all is removed: hv3: " in done.stderr
    assert ours(["hv1", "hv2"]) == []
    assert ours(["hv3"]) == ["hv3: network"]
    assert meshctl("destroy", inventory, "--yes").status == 0
    assert ours(NAMES) == []


# ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_host_whose_daemons_died_comes_back_with_its_keys(uris: tuple[str, ...]) -> None:
    place = LAB.at("hv1")
    key = (place.state / "ssh_host_ed25519_key").read_bytes()
    before = members(place)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    seen: list[Event] = []
    up(LAB, Local(), seen.append, 3)
    assert len(seen) == 1
    assert not set(before) & set(members(place))
    assert (place.state / "ssh_host_ed25519_key").read_bytes() == key
    assert Hypervisor("hv1", host_uri(LAB, "hv1")).versions()["libvirt"]


def test_down_leaves_nothing(uris: tuple[str, ...]) -> None:
    places = (LAB, *LAB.hosts())
    assert len(places) == 4
    pids = [pid for place in places for pid in members(place)]
    assert len(pids) >= 7  # four sshd, three libvirtd
    assert meshctl("lab", "down", "--name", LAB.name).status == 0
    assert [pid for pid in pids if lives(pid)] == []
    assert [
        place for place in places if place.namespace_file.exists() or place.run.exists() or place.state.exists()
    ] == []
    assert LAB.name not in Path("/proc/mounts").read_text()
