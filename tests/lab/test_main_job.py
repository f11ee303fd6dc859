"""The main job in the lab, by its scenarios: killed and resumed, done, done again, proven, and taken away again.

The tests build on each other in the order of this file: a cluster takes minutes to make under software emulation.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.base.errors import CommandFailed, Unreachable
from provision.base.parallel import for_each
from provision.guests.hostkey import new_host_key
from provision.guests.keys import Identity, identity
from provision.guests.sessions import target
from provision.guests.ssh import HostKeyMismatch, Ssh
from provision.hosts.hypervisor import Hypervisor
from provision.inventory import load
from provision.specs import is_artifact, mark_name
from tests.lab.conftest import MESHCTL, Place, of_process

pytestmark = [pytest.mark.lab, pytest.mark.in_turn]

FOREIGN_DOMAIN = """<domain type='qemu'><name>lab-foreign</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"""
FOREIGN_NETWORK = "<network><name>foreign</name><bridge name='virbr-f'/><ip address='10.99.0.1' prefix='24'/></network>"

Event = dict[str, Any]


def images_begin(event: Event) -> bool:
    return bool(event["event"] == "StageStarted" and event["stage"] == "images")


def guests_boot(event: Event) -> bool:
    return bool(event["event"] == "Waiting" and "first boot" in event["what"])


def kubeadm_runs(event: Event) -> bool:
    return bool(event["event"] == "Changed" and event["object"] == "kubeadm init")


KILL_AT = {"images": images_begin, "guests": guests_boot, "kubernetes": kubeadm_runs}
"""Stage, and the event after which a run is killed there: in the midst of its work."""


@pytest.fixture(scope="module")
def foreign(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A domain, a network and volumes of somebody else, there before us, with names much like ours."""
    folder = tmp_path_factory.mktemp("foreign")
    for kind, xml in (("define", FOREIGN_DOMAIN), ("net-define", FOREIGN_NETWORK)):
        path = folder / f"{kind}.xml"
        path.write_text(xml)
        place.virsh(kind, str(path))
    for name in ("lab.cp1.root.00000000.qcow2", "meshctl.debian-12.qcow2"):
        (place.lab.pool / name).write_bytes(b"theirs")


def events_of(process: subprocess.Popen[str]) -> Iterator[Event]:
    assert process.stdout is not None
    for line in process.stdout:
        print(line[:300], end="", flush=True)
        yield json.loads(line)


@pytest.mark.parametrize("stage", KILL_AT)
def test_a_run_is_killed(place: Place, foreign: None, stage: str) -> None:
    at_work = KILL_AT[stage]
    argv = [str(MESHCTL), "provision", str(place.inventory), "--yes", "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for event in events_of(process):
            if at_work(event):
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL


def test_the_next_run_goes_on_and_ends_well(place: Place) -> None:
    done = place.meshctl("provision", str(place.inventory), "--yes", "--json")
    assert done.status == 0
    stages = [json.loads(line) for line in done.stdout.splitlines()]
    for event in stages:
        if event["event"] == "StageFinished":
            print(f"stage {event['stage']}: {event['seconds']:.1f} s", flush=True)
    assert [event["event"] for event in stages][-1] == "RunFinished"
    answers = [event["line"] for event in stages if event["event"] == "Output" and event["source"] == "verify"]
    assert len(answers) == 2
    assert all("200 by echo-" in answer and "stand-in" in answer for answer in answers)


def test_every_node_is_ready_and_has_a_mesh_pod(place: Place) -> None:
    guests = place.status()["guests"]
    assert [(g["node"], g["state"], g["ready"], g["kubernetes"], g["mesh"]) for g in guests] == [
        (name, "running", "Ready", "v1.20.2", "Ready (stand-in)") for name in ("cp1", "w1")
    ]


def test_nothing_is_left_to_do(place: Place) -> None:
    assert place.meshctl("plan", str(place.inventory), "--detailed-exitcode").status == 0


def test_a_second_run_changes_nothing_and_is_quick(place: Place) -> None:
    started = time.monotonic()
    done = place.meshctl("provision", str(place.inventory), "--yes", "--json")
    seconds = time.monotonic() - started
    end = json.loads(done.stdout.splitlines()[-1])
    print(f"second run: {seconds:.1f} s, {end['reads']} reads, {end['mutations']} mutations", flush=True)
    assert (done.status, end["event"], end["mutations"]) == (0, "RunFinished", 0)
    assert seconds <= 15


def test_the_live_threads_have_the_planned_cpus_and_the_memory_is_there(place: Place) -> None:
    plan = json.loads(place.meshctl("plan", str(place.inventory), "--json").stdout)
    for guest in plan["guests"]:
        folder = qemu_folder(f"lab-{guest['node']}")
        threads = {(task / "comm").read_text().strip(): cpus_allowed(task) for task in (folder / "task").iterdir()}
        vcpus = {name: cpus for name, cpus in threads.items() if name.startswith("CPU ")}
        assert [vcpus[f"CPU {vcpu}/TCG"] for vcpu in range(len(vcpus))] == [{cpu} for cpu in guest["vcpu_pins"]]
        assert threads["IO iothread1"] == set(guest["iothread_cpus"])
        others = [cpus for name, cpus in threads.items() if name not in vcpus and name != "IO iothread1"]
        assert all(cpus == set(guest["emulator_cpus"]) for cpus in others)
        resident_mib = int((folder / "status").read_text().split("VmRSS:")[1].split()[0]) // 1024
        print(f"{guest['node']}: {threads} {resident_mib} MiB resident", flush=True)
        assert resident_mib >= guest["memory_mib"]
        assert "<memballoon model='none'/>" in place.virsh("dumpxml", f"lab-{guest['node']}")


def qemu_folder(domain: str) -> Path:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            words = of_process(int(folder.name), "cmdline").split(b"\0")
            if any(word.startswith(f"guest={domain},".encode()) for word in words) and b"qemu" in words[0]:
                return folder
    raise AssertionError(f"no QEMU runs {domain}")


def cpus_allowed(task: Path) -> set[int]:
    text = (task / "status").read_text().split("Cpus_allowed_list:")[1].split()[0]
    ranges = [part.partition("-") for part in text.split(",")]
    return {cpu for low, _, high in ranges for cpu in range(int(low), int(high or low) + 1)}


def test_every_node_gets_its_answer_through_its_own_mesh(place: Place) -> None:
    for node in ("cp1", "w1"):
        argv = ("curl", "-sSf", "--max-time", "30", "-H", "Host: echo", "http://127.0.0.1:4140/")
        answer = json.loads(place.meshctl("ssh", str(place.inventory), node, "--", *argv).stdout)
        assert answer["app"] == "echo"
        assert answer["mesh"]["via"] == "1.1 l5d-standin"
        assert answer["mesh"]["l5d-dst-concrete"] == "/#/io.l5d.k8s/default/http/echo"


def ssh_to(place: Place, node: str) -> Ssh:
    cluster = load(str(place.inventory))
    hypervisor = Hypervisor("hv1", cluster.hosts[0].uri)
    return Ssh(target(cluster, node, hypervisor.domains()), lambda: identity(cluster))


def test_another_host_key_is_refused_and_an_own_one_is_not_shown_in_the_log(place: Place) -> None:
    good = ssh_to(place, "w1")
    other = Ssh(replace(good.target, host_key=new_host_key("x").public), good.identify)
    with pytest.raises(HostKeyMismatch, match="w1: the host key of"):
        other.read(["true"])
    logs = Path(os.environ.get("MESHCTL_STATE", Path.home() / ".local/state/meshctl")) / "runs"
    assert not any("PRIVATE KEY" in log.read_text() for log in logs.glob("*/events.jsonl"))


def test_a_private_key_that_was_not_invited_is_refused(place: Place, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    stranger = Ssh(
        ssh_to(place, "w1").target, lambda: Identity((tmp_path / "key.pub").read_text(), str(tmp_path / "key"))
    )
    with pytest.raises(Unreachable, match="refused the key"):
        stranger.read(["true"])


def test_a_sysctl_is_set_on_the_living_cluster_and_at_its_next_start(place: Place) -> None:
    """One that somebody changed by hand, one that the inventory changes and one that it adds; back again; and one that no kernel has."""
    shell, text = ssh_to(place, "w1"), place.inventory.read_text()
    said = yaml.safe_load(text)
    said["sysctl"] = {"net.core.somaxconn": 4096, "net.ipv4.tcp_fin_timeout": 17, "net.core.netdev_max_backlog": 2222}
    shell.run(["sysctl", "-w", "net.core.somaxconn=128"])
    place.inventory.write_text(yaml.safe_dump(said, sort_keys=False))
    planned = place.meshctl("plan", str(place.inventory)).stdout
    assert "net.core.somaxconn: wanted 4096, found 128" in planned
    assert place.meshctl("provision", str(place.inventory), "--yes").status == 0
    keys = ("net.core.somaxconn", "net.ipv4.tcp_fin_timeout", "net.core.netdev_max_backlog")
    assert shell.read(["sysctl", "-n", *keys]).stdout.split() == ["4096", "17", "2222"]
    # What systemd-sysctl does at each start.
    shell.run(["sysctl", "-w", "net.ipv4.tcp_fin_timeout=60"])
    shell.run(["systemctl", "restart", "systemd-sysctl.service"])
    assert shell.read(["sysctl", "-n", "net.ipv4.tcp_fin_timeout"]).stdout == "17\n"
    assert place.meshctl("plan", str(place.inventory), "--detailed-exitcode").status == 0
    said["sysctl"]["net.core.no_such_key"] = 1
    place.inventory.write_text(yaml.safe_dump(said, sort_keys=False))
    refused = place.meshctl("provision", str(place.inventory), "--yes", "--until", "guests")
    assert refused.status == 1
    assert "the kernel does not take what the inventory says" in refused.stderr
    assert "net.core.no_such_key: wanted 1, found nothing" in refused.stderr
    place.inventory.write_text(text)
    assert place.meshctl("provision", str(place.inventory), "--yes").status == 0
    assert shell.read(["sysctl", "-n", "net.core.somaxconn"]).stdout == "4096\n"
    shell.close()


def test_reading_keeps_its_shells_and_does_without_one_that_ended(place: Place) -> None:
    shell, parent = ssh_to(place, "w1"), ["sh", "-c", "echo $PPID"]
    first = shell.read(parent).stdout
    assert shell.read(parent).stdout == first
    failed = shell.read(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (failed.status, failed.stdout, failed.stderr) == (3, "out\n", "err\n")
    with pytest.raises(CommandFailed, match="ended by signal 15") as caught:
        shell.read(["sh", "-c", "echo begun; exec sleep 600"], within_s=3)
    assert caught.value.last_lines == ("begun",)
    second = shell.read(parent).stdout
    assert second != first
    shell.run(["kill", second.strip()])
    assert shell.read(parent).stdout not in (first, second)
    at_once = for_each(range(3), lambda _: shell.read(["sh", "-c", "sleep 2; echo $PPID"]).stdout)
    assert len(set(at_once)) == 3
    shell.close()


def test_a_restart_empties_the_node_first_and_ends_when_its_mesh_routes(place: Place) -> None:
    said = yaml.safe_load(place.inventory.read_text())
    (worker,) = (node for node in said["nodes"] if node["name"] == "w1")
    worker["memory"] = "1792MiB"
    place.inventory.write_text(yaml.safe_dump(said, sort_keys=False))
    done = place.meshctl("provision", str(place.inventory), "--restart", "--yes", "--json")
    assert done.status == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(e["object"], e["change"]) for e in events if e["event"] == "Changed"] == [
        ("guest w1", "change"),
        ("node w1", "drain"),
        ("guest w1", "start anew"),
        ("node w1", "uncordon"),
    ]
    shell = ssh_to(place, "cp1")
    node = json.loads(
        shell.read(["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "get", "node", "w1", "-o", "json"]).stdout
    )
    shell.close()
    assert not node["spec"].get("unschedulable")
    assert place.meshctl("plan", str(place.inventory), "--restart", "--detailed-exitcode").status == 0


def test_names_resolve_and_machine_ids_differ(place: Place) -> None:
    found = set()
    for node in ("cp1", "w1"):
        shell = ssh_to(place, node)
        assert shell.read(["getent", "hosts", "cp1", "w1"]).stdout.count("10.77.0.") == 2
        assert shell.read(["hostname"]).stdout.strip() == node
        found.add(shell.read(["cat", "/etc/machine-id"]).stdout)
        shell.close()
    assert len(found) == 2


def test_destroy_removes_ours_and_leaves_theirs(place: Place) -> None:
    assert place.meshctl("destroy", str(place.inventory), "--yes").status == 0
    assert place.virsh("list", "--all", "--name").split() == ["lab-foreign"]
    assert place.virsh("net-list", "--all", "--name").split() == ["foreign"]
    left = {path.name for path in place.lab.pool.iterdir()}
    copies = {name for name in left if is_artifact(name)}
    cached = copies | {mark_name(name) for name in copies}
    assert len(copies) == 2
    assert left - cached == {"lab.cp1.root.00000000.qcow2", "meshctl.debian-12.qcow2"}
    assert (place.lab.pool / "meshctl.debian-12.qcow2").read_bytes() == b"theirs"


def test_purge_removes_the_caches_too(place: Place) -> None:
    assert place.meshctl("destroy", str(place.inventory), "--yes", "--purge").status == 0
    assert {path.name for path in place.lab.pool.iterdir()} == {
        "lab.cp1.root.00000000.qcow2",
        "meshctl.debian-12.qcow2",
    }
    assert place.meshctl("destroy", str(place.inventory), "--yes").status == 0


def test_lab_down_leaves_no_process_namespace_mount_or_folder(place: Place) -> None:
    lab = place.lab
    pids = subprocess.run(
        ["ip", "netns", "pids", lab.namespace], capture_output=True, text=True, check=True
    ).stdout.split()
    assert pids
    assert place.meshctl("lab", "down", "--name", lab.name).status == 0
    assert [pid for pid in pids if lives(pid)] == []
    assert not Path("/run/netns", lab.namespace).exists()
    assert not lab.run.exists()
    assert not lab.state.exists()
    assert str(lab.state) not in Path("/proc/mounts").read_text()


def lives(pid: str) -> bool:
    """Whether a process is there and no zombie: one that has ended waits for its parent, which may be this test."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
