"""Guests on the lab that own what placement gave them: huge pages, memory that is there at once, pins. Seen in /proc.

Their domains are started and looked at; nothing waits for them to boot.
"""

from __future__ import annotations

import json
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import bundle
from provision.base.cpu_lists import cpu_list
from provision.base.errors import PlacementError
from provision.base.events import nowhere
from provision.base.shell import Local
from provision.inventory import load
from provision.lab import Lab, down, up
from provision.lab.processes import members
from provision.plan.compare import Plan
from provision.run.engine import World, make_plan, opened, provision
from provision.run.stages.guests import _bring_up, put_back
from provision.specs.objects import GuestSpec
from tests.lab.conftest import MESHCTL, for_lab, of_process

pytestmark = pytest.mark.lab

PAGES = Path("/sys/devices/system/node/node0/hugepages/hugepages-2048kB")
GUEST_MIB = 2048

MAP_HUGETLB = 0x40000
"""Of Linux's mmap(2); Python has no name for it before 3.13."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    made = Lab("test-hw")
    down(made, Local(), nowhere)
    up(made, Local(), nowhere)
    yield made
    down(made, Local(), nowhere)


@pytest.fixture(scope="module")
def pages() -> Iterator[None]:
    """Huge pages for one guest, and as many as before when the tests are over."""
    before = (PAGES / "nr_hugepages").read_text()
    (PAGES / "nr_hugepages").write_text(str(int(before) + GUEST_MIB // 2))
    yield
    (PAGES / "nr_hugepages").write_text(before)


@pytest.fixture(scope="module")
def inventory(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    said = for_lab(lab)
    huge = {"name": "huge", "role": "control-plane", "hugepages": "2MiB"}
    plain = {"name": "plain", "role": "worker"}
    said["nodes"] = [{**node, "vcpus": 2, "memory": f"{GUEST_MIB}MiB", "disk": "12GiB"} for node in (huge, plain)]
    path = tmp_path_factory.mktemp("hardware") / "hw.yaml"
    path.write_text(yaml.safe_dump(said))
    return path


@pytest.fixture(scope="module")
def world(inventory: Path, pages: None) -> Iterator[World]:
    with opened(load(str(inventory)), nowhere) as made:
        yield made


@pytest.fixture(scope="module")
def plan(world: World) -> Plan:
    """The plan, its guests started."""
    free = int((PAGES / "free_hugepages").read_text())
    assert free >= GUEST_MIB // 2
    agreed = make_plan(world)
    provision(world, agreed, "volumes")
    doors = world.doors(bundle.load(bundle.find(world.cluster.kubernetes.bundle)))
    for action in agreed.of("guests", "guest"):
        _bring_up(action, agreed, doors)
    assert int((PAGES / "free_hugepages").read_text()) <= free - GUEST_MIB // 2
    return agreed


def _process(lab: Lab, guest: GuestSpec) -> Path:
    name = f"guest={guest.domain},".encode()
    (pid,) = (pid for pid in members(lab) if name in of_process(pid, "cmdline"))
    return Path(f"/proc/{pid}")


def _affinities(process: Path) -> dict[str, str]:
    """CPUs of each thread, by the thread's name; `emulator` is the main one."""
    found = {}
    for task in (process / "task").iterdir():
        name = "emulator" if task.name == process.name else (task / "comm").read_text().strip()
        match = re.search(r"^Cpus_allowed_list:\s*(\S+)$", (task / "status").read_text(), re.MULTILINE)
        assert match is not None
        found[name] = match[1]
    return found


def _kib(process: Path, field: str) -> int:
    match = re.search(rf"^{field}:\s*(\d+) kB$", (process / "status").read_text(), re.MULTILINE)
    return int(match[1]) if match else 0


@pytest.mark.parametrize("node", ["huge", "plain"])
def test_every_threads_affinity_is_the_plans(lab: Lab, plan: Plan, node: str) -> None:
    guest = plan.desired.guest(node)
    found = _affinities(_process(lab, guest))
    vcpus = [found[f"CPU {number}/TCG"] for number in range(guest.vcpus)]
    assert vcpus == [str(cpu) for cpu in guest.vcpu_pins]
    assert found["emulator"] == cpu_list(guest.emulator_cpus)
    assert found["IO iothread1"] == cpu_list(guest.iothread_cpus)


def test_a_guest_on_huge_pages_has_all_of_them_at_once(lab: Lab, plan: Plan) -> None:
    process = _process(lab, plan.desired.guest("huge"))
    assert _kib(process, "HugetlbPages") == GUEST_MIB * 1024
    assert plan.desired.guest("huge").memory.hugepages == ((0, 2048, GUEST_MIB // 2),)


def test_ordinary_memory_is_there_at_once(lab: Lab, plan: Plan) -> None:
    process = _process(lab, plan.desired.guest("plain"))
    assert _kib(process, "VmRSS") >= GUEST_MIB * 1024
    assert _kib(process, "HugetlbPages") == 0


def test_memory_is_bound_to_the_planned_numa_node(lab: Lab, plan: Plan) -> None:
    for guest in plan.desired.guests:
        bound = "bind:0" in (_process(lab, guest) / "numa_maps").read_text()
        assert bound == guest.memory.bound


def _drift(inventory: Path) -> tuple[int, list[dict[str, Any]]]:
    """What `meshctl status --drift` says, and its exit code."""
    done = Local().run([str(MESHCTL), "status", "--drift", str(inventory), "--json"], within_s=120, check=False)
    print(done.stdout, done.stderr)
    return done.status, json.loads(done.stdout)["drifts"]


def test_pins_changed_by_hand_are_reported_and_put_back_while_the_guest_runs_on(
    lab: Lab, inventory: Path, world: World, plan: Plan
) -> None:
    """By `virsh` and, behind libvirt's back, by the kernel's own call: `taskset` makes no other."""
    assert _drift(inventory) == (0, [])
    guest = plan.desired.guest("plain")
    process, before = _process(lab, guest), _pinned(_process(lab, guest))
    other = str(1 - guest.vcpu_pins[0])
    _virsh(lab, "vcpupin", guest.domain, "0", other, "--live")
    _virsh(lab, "emulatorpin", guest.domain, "1", "--live")
    os.sched_setaffinity(_thread(process, "IO iothread1"), {0})
    moved = before | {"CPU 0/TCG": other, "emulator": "1", "IO iothread1": "0"}
    assert _pinned(process) == moved

    status, found = _drift(inventory)
    assert status == 20
    assert {(one["object"], one["mend"]) for one in found} == {("guest plain", "live")}
    assert [(one["field"], one["wanted"], one["found"], one["seen_in"]) for one in found] == [
        ("vCPU 0 pin", str(guest.vcpu_pins[0]), other, ["running"]),
        ("emulator pin", cpu_list(guest.emulator_cpus), "1", ["running"]),
        ("iothread 1 pin", cpu_list(guest.iothread_cpus), "0", ["kernel"]),
    ]
    agreed = make_plan(world)
    (action,) = agreed.of("guests", "pins")
    assert "vCPU 0 pin: wanted" in action.reason
    assert (agreed.of("guests", "guest"), agreed.of("guests", "restart"), agreed.pending) == ((), (), ())
    put_back(action, agreed, world.doors(bundle.load(bundle.find(world.cluster.kubernetes.bundle))))
    assert _pinned(process) == before
    assert _process(lab, guest) == process
    assert _drift(inventory) == (0, [])


def _pinned(process: Path) -> dict[str, str]:
    """CPUs of the threads that have a pin. QEMU's workers come and go."""
    return {name: cpus for name, cpus in _affinities(process).items() if name.startswith(("CPU ", "emulator", "IO io"))}


def _virsh(lab: Lab, *words: str) -> None:
    Local().run(["virsh", "--connect", lab.uri, *words])


def _thread(process: Path, name: str) -> int:
    (task,) = (task for task in (process / "task").iterdir() if (task / "comm").read_text().strip() == name)
    return int(task.name)


def test_pages_that_somebody_else_took_are_missed_before_the_start(world: World, plan: Plan) -> None:
    """The guest is gone and another process has its pages by the time it should start again: the plan says it, not libvirt."""
    world.hypervisors["hv1"].remove_domain(plan.desired.guest("huge").domain)
    size = int((PAGES / "free_hugepages").read_text()) << 21
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_HUGETLB) as taken:
        for offset in range(0, size, 1 << 21):
            taken[offset] = 1
        with pytest.raises(PlacementError, match="hv1 cell 0: 0 free huge pages of 2MiB, 1024 needed by huge"):
            make_plan(world)
