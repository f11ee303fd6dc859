"""Guests on the lab that own what placement gave them: huge pages, memory that is there at once, pins. Seen in /proc.

Their domains are started and looked at; nothing waits for them to boot.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from provision import bundle
from provision.cpu_lists import cpu_list
from provision.desired import GuestSpec
from provision.engine import World, make_plan, opened, provision
from provision.errors import PlacementError
from provision.events import nowhere
from provision.lab import Lab, down, up
from provision.lab.processes import members
from provision.loader import load
from provision.plan import Plan
from provision.shell import Local
from provision.stages.guests import _bring_up
from tests.lab.conftest import for_lab

pytestmark = pytest.mark.lab

PAGES = Path("/sys/devices/system/node/node0/hugepages/hugepages-2048kB")
GUEST_MIB = 2048

MAP_HUGETLB = 0x40000
"""Of Linux's mmap(2); Python has no name for it before 3.13."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    made = Lab("hw")
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
def world(lab: Lab, pages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    said = for_lab(lab)
    huge = {"name": "huge", "role": "control-plane", "hugepages": "2MiB"}
    plain = {"name": "plain", "role": "worker"}
    said["nodes"] = [{**node, "vcpus": 2, "memory": f"{GUEST_MIB}MiB", "disk": "12GiB"} for node in (huge, plain)]
    path = tmp_path_factory.mktemp("hardware") / "hw.yaml"
    path.write_text(yaml.safe_dump(said))
    with opened(load(str(path)), nowhere) as made:
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
    (pid,) = (pid for pid in members(lab) if name in Path(f"/proc/{pid}/cmdline").read_bytes())
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


def test_pages_that_somebody_else_took_are_missed_before_the_start(world: World, plan: Plan) -> None:
    """The guest is gone and another process has its pages by the time it should start again: the plan says it, not libvirt."""
    world.hypervisors["hv1"].remove_domain(plan.desired.guest("huge").domain)
    size = int((PAGES / "free_hugepages").read_text()) << 21
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_HUGETLB) as taken:
        for offset in range(0, size, 1 << 21):
            taken[offset] = 1
        with pytest.raises(PlacementError, match="hv1 cell 0: 0 free huge pages of 2MiB, 1024 needed by huge"):
            make_plan(world)
