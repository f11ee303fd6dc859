"""Each id that `doctor` can say, by the registry: one host that has it, and one that looks much the same and has it not."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from provision.base.shell import Local
from provision.doctor import (
    Facts,
    LibvirtFacts,
    Patient,
    judge,
    read_facts,
    walk,
)
from provision.doctor.facts import (
    CpuFacts,
    Disk,
    Folder,
    HugePages,
    IdleState,
    Link,
    MemoryFacts,
    NetworkFacts,
    Route,
    ServiceFacts,
    StorageFacts,
    ThinPool,
    Way,
)
from provision.doctor.gather import gather, sections
from provision.doctor.judge_network import free_network
from provision.doctor.pages import BY_ID, CHECKS
from provision.doctor.read import read_libvirt
from provision.inventory.model import Cluster
from provision.libvirt_xml.libvirt_seen import NetworkSeen, VolumeSeen
from provision.placement import Pinning
from provision.placement.topology import Cell, Cpu, Topology
from provision.plan.observed import HostSeen
from provision.specs import Owner
from provision.specs.stamp import Stamp
from provision.specs.volume_names import volume_name
from provision.storage.devices import Device
from provision.storage.seen import Group, Logical, Named, StorageSeen

ELSEWHERE = {"MC101", "MC161", "MC164"}
"""Said by the check-up itself, not by a judge: tests/libvirt/test_checkup.py, test_one_machine.py."""

GIB = 2**30
SAID: dict[str, Any] = {
    "apiVersion": "meshctl/v1",
    "cluster": "demo",
    "hosts": [{"name": "hv1", "uri": "qemu+ssh://root@hv1/system", "pool": {"path": "/srv/pool"}}],
    "network": {"cidr": "10.77.0.0/24", "bridge": "meshbr0", "mode": "bridge"},
    "nodes": [
        {"name": "cp1", "role": "control-plane", "vcpus": 2, "memory": "4GiB", "disk": "10GiB", "state": "none"},
        {"name": "w1", "role": "worker", "vcpus": 2, "memory": "4GiB", "disk": "10GiB"},
    ],
    "ssh": {"public_key": "ssh-ed25519 AAAA mesh@test"},
    "kubernetes": {"version": "v1.20.2"},
}
# Two cells of two cores with two threads each: CPU n and n + 4 share a core.
TOPOLOGY = Topology(
    tuple(
        Cell(c, 16384, tuple(Cpu(n, 0, 0, n % 4, frozenset({n % 4, n % 4 + 4})) for n in (2 * c, 2 * c + 1, 2 * c + 4, 2 * c + 5)))
        for c in (0, 1)
    )
)  # fmt: skip
PINNINGS = (
    Pinning("cp1", "hv1", (0,), (1, 5), (0, 4), (0, 4)),
    Pinning("w1", "hv1", (1,), (3, 7), (2, 6), (2, 6)),
)
GUESTS = frozenset({1, 3, 5, 7})
BRIDGE = Link("meshbr0", 1500, kind="bridge")
UPLINK = Link("eno1", 1500, master="meshbr0")
STAMP = Stamp("demo", "", "d")
OURS = NetworkSeen("meshctl", "u", True, STAMP, "meshbr0", ("10.77.0.1/24",))

HEALTHY = Facts(
    libvirt=LibvirtFacts((9, 0, 0), (7, 2, 0), frozenset({"dac", "apparmor"}), 64055, 64055),
    cpu=CpuFacts(
        hardware_virtualization=True,
        governors=(("performance", frozenset(range(8))),),
        idle_states=(IdleState("POLL", 0), IdleState("C1", 2)),
        latency_limit_us=2_000_000_000,
        smt=True,
        isolated=GUESTS,
        nohz_full=GUESTS,
        clocksource="tsc",
    ),
    memory=MemoryFacts(available_mib=32000, thp="madvise", memlock_bytes=-1),
    storage=StorageFacts(
        device="/dev/nvme0n1p1",
        filesystem="ext4",
        size=200 * GIB,
        available=100 * GIB,
        inodes=10**7,
        inodes_free=10**6,
        parents=(Folder("/srv/pool", 0o711, 0, 0), Folder("/srv", 0o755, 0, 0)),
        disks=(Disk("nvme0n1"), Disk("nvme1n1"), Disk("sda", rotational=True, scheduler="bfq")),
        fstrim_enabled=True,
    ),
    network=NetworkFacts(
        links=(BRIDGE, UPLINK),
        routes=(Route("0.0.0.0/0", "eno2"), Route("192.0.2.0/24", "eno2"), Route("10.77.0.0/24", "meshbr0")),
        forwarding=True,
        rules=("-P INPUT ACCEPT", "-P FORWARD ACCEPT"),
    ),
    services=ServiceFacts(True, 0.01, 0.1, "10:30:100", 10),
)
DEVICES = {
    device.name: device
    for device in (
        Device("nvme0n1", "/dev/nvme0n1", "disk", "nvme", False, "S1", 200 * GIB, "259:0"),
        Device("nvme0n1p1", "/dev/nvme0n1p1", "part", "nvme", False, "", 200 * GIB, "259:1", parents=("nvme0n1",)),
        Device("nvme1n1", "/dev/nvme1n1", "disk", "nvme", False, "S2", 99 * GIB, "259:2"),
        Device("sda", "/dev/sda", "disk", "sata", True, "S3", 99 * GIB, "8:0"),
    )
}
BELOW = StorageSeen(
    DEVICES,
    mapper=True,
    folder_device="nvme0n1p1",
    groups={
        "vg": Group("vg", 99 * GIB, 30 * GIB, (), ("/dev/nvme1n1",)),
        "slow": Group("slow", 9, 9, (), ("/dev/sda",)),
    },
    named={"/dev/nvme1n1": Named("/dev/nvme1n1", "nvme1n1", 99 * GIB), "/dev/sda": Named("/dev/sda", "sda", 99 * GIB)},
)
PATIENT = Patient(
    Cluster.model_validate(SAID),
    Cluster.model_validate(SAID).hosts[0],
    HEALTHY,
    HostSeen((), (OURS,), (), (), "kvm"),
    TOPOLOGY,
    PINNINGS,
    BELOW,
)


def patient(
    pinnings: tuple[Pinning, ...] = PINNINGS, seen: dict[str, Any] | None = None, **facts: dict[str, Any] | Any
) -> Patient:
    """The healthy one but for some facts, by group, and for what libvirt has."""
    changed = {
        group: replace(getattr(HEALTHY, group), **values) if isinstance(values, dict) else values
        for group, values in facts.items()
    }
    return replace(
        PATIENT, facts=replace(HEALTHY, **changed), seen=replace(PATIENT.seen, **(seen or {})), pinnings=pinnings
    )  # fmt: skip


def inventory(base: Patient, **said: Any) -> Patient:
    """The same patient under another inventory."""
    cluster = Cluster.model_validate(SAID | said)
    return replace(base, cluster=cluster, host=cluster.hosts[0])


def pool_at(path: str, base: Patient) -> Patient:
    return pool(base, path=path)


def pool(base: Patient = PATIENT, **said: Any) -> Patient:
    """The same patient with another pool."""
    return inventory(base, hosts=[SAID["hosts"][0] | {"pool": {"path": "/srv/pool"} | said}])


def with_disk(**changes: Any) -> Patient:
    """The healthy one whose pool's disk is otherwise."""
    return patient(storage={"disks": (replace(HEALTHY.storage.disks[0], **changes), *HEALTHY.storage.disks[1:])})


def with_links(*links: Link) -> Patient:
    return patient(network={"links": links})


NAT = {"cidr": "10.77.0.0/24", "bridge": "meshbr0", "mode": "nat"}
TWO_HOSTS = [*SAID["hosts"], {"name": "hv2", "uri": "qemu+ssh://root@hv2/system"}]
LARGE = [SAID["nodes"][0], SAID["nodes"][1] | {"memory": "64GiB"}]
JUMP = SAID["ssh"] | {"jump": "root@hv1"}
MANY = [SAID["nodes"][0], *({**SAID["nodes"][1], "name": f"w{n}"} for n in range(1, 15))]
SHARED = tuple(replace(pin, exclusive=False) for pin in PINNINGS)
HUGE = (replace(PINNINGS[0], hugepages=((0, 2048, 2048),)), PINNINGS[1])
ALL_HUGE = tuple(replace(pin, hugepages=((pin.cells[0], 2048, 2048),)) for pin in PINNINGS)
ENOUGH = (HugePages(0, 2048, 2048, 2048), HugePages(1, 2048, 2048, 2048))
ELSEWHERE_ONLY = (HugePages(0, 2048, 0, 0), HugePages(1, 2048, 4096, 4096))
OTHER = NetworkSeen("old", "v", True, None, "virbr7", ("10.77.0.1/16",))
DEFAULT = NetworkSeen("default", "v", True, None, "virbr0", ("192.168.122.1/24",))
IMAGES = (
    VolumeSeen("meshctl.bundle.0123.iso", "/srv/pool/b", 900),
    *(VolumeSeen(volume_name(Owner("demo"), node, "root", "qcow2"), "/srv/pool/r", 9 * GIB) for node in ("cp1", "w1")),
)

DROP = ("-P INPUT DROP", "-P FORWARD DROP")
LIBVIRTS = (*DROP, "-A LIBVIRT_FWO -s 10.77.0.0/24 -i meshbr0 -j ACCEPT")

CASES: dict[str, tuple[Patient, Patient]] = {
    "MC102": (patient(unread=("lsblk",)), replace(pool_at("/srv/pool", patient(shell_error="no shell")),
              host=PATIENT.host.model_copy(update={"uri": "test:///default"}))),
    "MC103": (patient(libvirt={"libvirt": (6, 10, 0)}), patient(libvirt={"libvirt": (7, 0, 0), "qemu": (5, 2, 0)})),
    "MC104": (inventory(patient(libvirt={"libvirt": (8, 0, 0)}), nodes=LARGE), patient(libvirt={"libvirt": (8, 0, 0)})),
    "MC105": (patient(seen={"virtualization": "qemu"}), patient(cpu={"dev_kvm": True})),
    "MC106": (patient(cpu={"virtual": True}), patient(cpu={"hardware_virtualization": True})),
    "MC107": (patient(services={"synchronized": False}), patient(services={"synchronized": None})),
    "MC108": (patient(services={"clock_ahead_s": -3.0}), patient(services={"clock_ahead_s": 3.0, "clock_error_s": 2.5})),
    "MC111": (patient(cpu={"governors": (("powersave", frozenset({3})), ("performance", frozenset({1})))}),
              patient(cpu={"governors": (("powersave", frozenset({0, 4})), ("performance", GUESTS))})),
    "MC112": (patient(cpu={"idle_states": (IdleState("C6", 133),)}),
              patient(cpu={"idle_states": (IdleState("C6", 133),), "latency_limit_us": 10})),
    "MC113": (patient((PINNINGS[0], replace(PINNINGS[1], vcpu_pins=(3, 2)))),
              patient((PINNINGS[0], replace(PINNINGS[1], vcpu_pins=(3, 7))))),
    "MC114": (patient(cpu={"isolated": frozenset({1, 5})}), patient(SHARED, cpu={"isolated": frozenset(), "nohz_full": frozenset()})),
    "MC115": (patient(cpu={"isolated": frozenset(range(8))}), patient(cpu={"isolated": GUESTS})),
    "MC116": (patient(cpu={"irqbalance": True, "irqbalance_banned": frozenset({1})}),
              patient(cpu={"irqbalance": True, "isolated": frozenset(), "irqbalance_banned": GUESTS})),
    "MC117": (patient(cpu={"clocksource": "hpet"}), patient(cpu={"clocksource": "kvm-clock"})),
    "MC121": (patient(memory={"thp": "always"}), patient(memory={"thp": "never"})),
    "MC122": (patient(memory={"ksm_running": True}), patient(memory={"ksm_sharing_pages": 7})),
    "MC123": (patient(HUGE, memory={"hugepages": ELSEWHERE_ONLY}), patient(HUGE, memory={"hugepages": ENOUGH})),
    "MC124": (patient(HUGE, memory={"hugetlbfs_kib": frozenset({1048576}), "hugepages": ENOUGH}),
              patient(memory={"hugetlbfs_kib": frozenset()})),
    "MC125": (patient(memory={"memlock_bytes": 65536, "may_raise_limits": False}), patient(memory={"memlock_bytes": 65536})),
    "MC126": (patient(memory={"swap_mib": 976}), patient(ALL_HUGE, memory={"swap_mib": 976, "hugepages": ENOUGH})),
    "MC127": (patient(memory={"available_mib": 8000}), patient(ALL_HUGE, memory={"available_mib": 8000, "hugepages": ENOUGH})),
    "MC128": (patient(memory={"numa_balancing": True}),
              replace(patient(memory={"numa_balancing": True}), topology=Topology(TOPOLOGY.cells[:1]))),
    "MC131": (replace(PATIENT, below=replace(BELOW, folder_device="sda")),
              inventory(replace(PATIENT, below=replace(BELOW, folder_device="sda")), storage={"require": "any"})),
    "MC132": (patient(storage={"available": GIB}), patient(seen={"volumes": IMAGES}, storage={"available": 3 * GIB})),
    "MC133": (patient(storage={"available": 15 * GIB}), patient(seen={"volumes": IMAGES}, storage={"available": 3 * GIB})),
    "MC134": (patient(storage={"inodes_free": 12}), patient(storage={"inodes": 0, "inodes_free": 0})),
    "MC135": (patient(storage={"thin_pools": (ThinPool("vg/t", 20.0, 91.0),)}),
              patient(storage={"thin_pools": (ThinPool("vg/t", 79.0, 12.0),)})),
    "MC136": (with_disk(scheduler="mq-deadline"), replace(PATIENT, below=replace(BELOW, folder_device="sda"))),
    "MC137": (patient(storage={"fstrim_enabled": False}),
              patient(storage={"fstrim_enabled": False, "options": frozenset({"discard"})})),
    "MC138": (patient(storage={"parents": (Folder("/srv/pool", 0o711, 0, 0), Folder("/srv", 0o750, 1000, 1000))}),
              patient(storage={"parents": (Folder("/srv/pool", 0o700, 64055, 0), Folder("/srv", 0o710, 0, 64055))})),
    "MC139": (pool_at("/home/ann/.pool", PATIENT), pool_at("/home/ann/pool", PATIENT)),
    "MC140": (patient(storage={"selinux_enforcing": True, "label": "system_u:object_r:default_t:s0"}),
              patient(storage={"selinux_enforcing": True, "label": "system_u:object_r:virt_image_t:s0"})),
    "MC141": (patient(network={"routes": (Route("10.0.0.0/8", "wg0"),)}), patient(network={"routes": (Route("10.77.1.0/24", "wg0"),)})),
    "MC142": (patient(network={"routes": (Route("10.100.3.0/24", "wg0"),)}), patient(network={"routes": (Route("0.0.0.0/0", "wg0"),)})),
    "MC143": (inventory(patient(seen={"networks": (OTHER,)}), network=NAT), inventory(patient(seen={"networks": (DEFAULT,)}), network=NAT)),
    "MC144": (with_links(UPLINK), inventory(with_links(UPLINK), network=NAT)),
    "MC145": (with_links(replace(BRIDGE, mtu=1400), UPLINK), with_links(replace(BRIDGE, mtu=9000), UPLINK)),
    "MC146": (inventory(with_links(BRIDGE, replace(UPLINK, carrier=False)), hosts=TWO_HOSTS), with_links(BRIDGE)),
    "MC147": (patient(network={"bridge_nf": True}), inventory(patient(PINNINGS[:1], network={"bridge_nf": True}), nodes=SAID["nodes"][:1])),
    "MC148": (inventory(patient(network={"forwarding": False}), network=NAT),
              inventory(patient(seen={"networks": ()}, network={"forwarding": False}), network=NAT)),
    "MC149": (patient(network={"bridge_nf": True, "rules": DROP}), patient(network={"bridge_nf": False, "rules": DROP})),
    "MC150": (patient(network={"ways": (Way("hv2", "192.0.2.2", False, True),)}),
              patient(network={"ways": (Way("hv2", "192.0.2.2", False, False),)})),
    "MC154": (patient(cpu={"dev_vhost_net": False}), patient(seen={"virtualization": "qemu"}, cpu={"dev_vhost_net": False})),
    "MC151": (inventory(patient(services={"max_startups": "9:30:100"}), ssh=JUMP, nodes=MANY), inventory(PATIENT, ssh=JUMP, nodes=MANY)),
    "MC152": (patient(services={"max_sessions": 1}), patient(services={"max_sessions": 2})),
    "MC153": (with_disk(cell=1), pool(with_disk(cell=1), numa_node=1)),
    "MC162": (inventory(PATIENT, hosts=[SAID["hosts"][0] | {"reserved_cpus": [0, 8]}]),
              inventory(PATIENT, hosts=[SAID["hosts"][0] | {"reserved_cpus": []}])),
    "MC163": (replace(PATIENT, topology=replace(TOPOLOGY, architecture="aarch64")),
              replace(PATIENT, topology=replace(TOPOLOGY, architecture="x86_64"))),
    "MC165": (replace(PATIENT, topology=Topology((TOPOLOGY.cells[0], replace(TOPOLOGY.cells[0], id=1)))),
              replace(PATIENT, topology=Topology((*TOPOLOGY.cells, Cell(2, 16384, ()))))),
}  # fmt: skip


def test_every_id_of_the_registry_has_a_case() -> None:
    assert set(CASES) | ELSEWHERE == {check.id for check in CHECKS}


def test_nothing_is_wrong_with_a_healthy_host() -> None:
    assert judge(PATIENT) == ()


@pytest.mark.parametrize("id_", CASES)
def test_is_found_with_numbers_and_a_fix(id_: str) -> None:
    finding = next(finding for finding in judge(CASES[id_][0]) if finding.id == id_)
    assert (finding.severity, finding.why) == (BY_ID[id_].severity, BY_ID[id_].matters)
    assert finding.seen
    assert not re.search(r"\{[a-z_]*\}", finding.fix)
    assert finding.docs == BY_ID[id_].anchor


def test_a_host_of_another_architecture_is_not_told_to_load_a_module_of_kvm() -> None:
    arm = replace(patient(seen={"virtualization": "qemu"}), topology=replace(TOPOLOGY, architecture="aarch64"))
    findings = {finding.id: finding.seen for finding in judge(arm)}
    assert findings["MC163"] == "hv1 is aarch64; meshctl's guests are x86_64"
    assert "MC105" not in findings


@pytest.mark.parametrize("id_", CASES)
def test_a_near_miss_is_not_found(id_: str) -> None:
    assert id_ not in {finding.id for finding in judge(CASES[id_][1])}


def test_emulation_is_an_error_only_where_guests_are_to_run_under_kvm() -> None:
    emulated = patient(seen={"virtualization": "qemu"})
    anyhow = replace(emulated, host=emulated.host.model_copy(update={"require": "any"}))
    found = {
        name: judge(one)
        for name, one in {"kvm": emulated, "any": anyhow, "no guest": replace(emulated, pinnings=())}.items()
    }
    assert {name: [one.severity for one in some if one.id == "MC105"] for name, some in found.items()} == {
        "kvm": ["error"],
        "any": ["warning"],
        "no guest": ["warning"],
    }


def test_rules_that_libvirt_wrote_are_gone() -> None:
    lost = inventory(patient(network={"rules": DROP}), network=NAT)
    (finding,) = judge(lost)
    assert finding.seen == "dropped at the end: iptables INPUT and FORWARD; no rule accepts meshbr0"
    assert "systemctl reload libvirtd" in finding.fix
    assert judge(inventory(patient(network={"rules": LIBVIRTS}), network=NAT)) == ()
    assert judge(inventory(patient(seen={"networks": ()}, network={"rules": DROP}), network=NAT)) == ()


def test_a_last_rule_that_takes_all_counts_as_the_policy() -> None:
    rules = (
        "-P FORWARD ACCEPT",
        "-A FORWARD -o eth9 -j ACCEPT",
        "-A FORWARD -j REJECT --reject-with icmp-host-prohibited",
    )
    (finding,) = [one for one in judge(patient(network={"bridge_nf": True, "rules": rules})) if one.id == "MC149"]
    assert finding.seen == "dropped at the end: iptables FORWARD; no rule accepts meshbr0"
    assert judge(patient(network={"rules": rules})) == ()


def room(base: Patient, said: dict[str, Any] | None = None, **of_pool: Any) -> list[tuple[str, str]]:
    host = SAID["hosts"][0] | {"pool": {"path": "/srv/pool"} | of_pool}
    found = judge(inventory(base, **(said or {}), hosts=[host]))
    return [(one.id, one.seen) for one in found if one.id in ("MC131", "MC132", "MC133")]


def test_room_is_where_the_volumes_go() -> None:
    data = {"volumes": [{"name": "t", "size": "20GiB", "mount": "/var/lib/t"}]}
    wanted = {"nodes": [SAID["nodes"][0], SAID["nodes"][1] | data]}
    group: dict[str, Any] = {"type": "logical", "volume_group": "vg"}
    assert room(PATIENT, wanted, **group) == [
        ("MC132", "30720 MiB are free in volume group vg; the volumes of cp1, w1 have 40960 MiB")
    ]
    assert room(PATIENT, wanted, **group, thin=True) == []
    made = Logical("vg", volume_name(Owner("demo"), "w1", "root", "x").removesuffix(".x"), 30 * GIB, ())
    assert room(replace(PATIENT, below=replace(BELOW, logicals=(made,))), wanted, **group) == []
    full = patient(storage={"available": GIB})
    assert room(full, **group)[0][1].startswith("1024 MiB of 204800 are free for /srv/pool; 2048 MiB are needed")
    assert room(PATIENT, wanted, type="block", devices=["/dev/nvme1n1"]) == [
        ("MC132", "1 devices are in the pool; cp1, w1 need 3")
    ]
    wanted["nodes"][0] = wanted["nodes"][0] | {"state": "2GiB"}
    assert room(PATIENT, wanted, **group)[0][1].endswith("the volumes of cp1, w1 have 43008 MiB")
    assert room(PATIENT, wanted, type="block", devices=["/dev/nvme1n1"])[0][1].endswith("cp1, w1 need 4")
    wanted["nodes"][0] = SAID["nodes"][0]
    overlays = patient(storage={"available": 30 * GIB})
    assert room(overlays, wanted)[0] == (
        "MC133",
        "30720 MiB of 204800 are free for /srv/pool; the volumes of cp1, w1 may grow by 40960 MiB",
    )


def test_volume_groups_and_devices_are_judged_and_missed() -> None:
    slow = room(PATIENT, type="logical", volume_group="slow", thin=True)
    assert slow[0] == (
        "MC131",
        "pool meshctl: volume group slow lies on /dev/sda, a SATA disk, rotational, but storage.require is nvme",
    )
    assert room(PATIENT, type="logical", volume_group="none")[0][1] == "pool meshctl: there is no volume group none"
    devices = ["/dev/nvme1n1", "/dev/nvme7n1"]
    assert room(PATIENT, type="block", devices=devices) == [("MC131", "pool meshctl: /dev/nvme7n1 is no block device")]


@pytest.mark.parametrize(
    ("path", "hidden"),
    [("/usr/local/etc/p", True), ("/home/x/.p", True), ("/library/p", True), ("/var/lib/libvirt/p", False), ("/bindata", False)],
)  # fmt: skip
def test_apparmor_hides_system_folders(path: str, hidden: bool) -> None:
    assert ("MC139" in {finding.id for finding in judge(pool_at(path, PATIENT))}) == hidden


ASKED = {
    "libvirt and QEMU versions": {"MC101", "MC103", "MC104"},
    "KVM really starts a guest": {"MC105"},
    "nested or emulated": {"MC105", "MC106"},
    "CPU governor": {"MC111"},
    "C-states": {"MC112"},
    "SMT": {"MC113"},
    "isolcpus and nohz_full against the planned pins": {"MC114", "MC115"},
    "irqbalance": {"MC116"},
    "THP": {"MC121"},
    "KSM": {"MC122"},
    "huge pages per cell": {"MC123", "MC124"},
    "memlock": {"MC125"},
    "swap": {"MC126"},
    "AppArmor and SELinux for the pool path": {"MC138", "MC139", "MC140"},
    "pool device NVMe": {"MC131"},
    "free space": {"MC132", "MC133"},
    "inodes": {"MC134"},
    "thin-pool fill": {"MC135"},
    "scheduler none": {"MC136"},
    "TRIM": {"MC137"},
    "network bridge": {"MC144", "MC146"},
    "MTU along the path": {"MC145", "MC150"},
    "CIDR collisions with host routes": {"MC141", "MC142"},
    "CIDR collisions with libvirt networks": {"MC143"},
    "bridge-nf": {"MC147"},
    "forwarding": {"MC148"},
    "a firewall that blocks the bridge": {"MC149"},
    "clock sync": {"MC107", "MC108"},
    "disk head-room against the plan": {"MC132", "MC133"},
    "memory head-room against the plan": {"MC127", "MC161"},
    "MaxStartups": {"MC151"},
    "MaxSessions": {"MC152"},
}
"""What `doctor` was asked to look at, at the least."""


def test_all_that_was_asked_for_has_an_id_and_each_id_its_own_page() -> None:
    assert set().union(*ASKED.values()) <= set(BY_ID)
    further = set(BY_ID) - set().union(*ASKED.values())
    assert further == {"MC102", "MC117", "MC128", "MC153", "MC154", "MC162", "MC163", "MC164", "MC165"}


def test_each_page_says_how_to_mend_it() -> None:
    for check in CHECKS:
        assert not re.search(r"REMEDY|COMMAND", check.fix), check.id
        assert len(check.fix) > 30, check.id


def test_errors_come_first() -> None:
    sick = patient(memory={"thp": "always"}, storage={"inodes_free": 1})
    assert [finding.id for finding in judge(sick)] == ["MC134", "MC121"]


ANSWER = """\
@@ time
1000.500000000
@@ user
0
@@ online
0-7

@@ isolated
1,3

@@ nohz_full
(null)

@@ smt
1

@@ clocksource
tsc

@@ governors
/sys/devices/system/cpu/cpufreq/policy0/scaling_governor:powersave
/sys/devices/system/cpu/cpufreq/policy1/scaling_governor:performance
/sys/devices/system/cpu/cpufreq/policy0/affected_cpus:0 4
/sys/devices/system/cpu/cpufreq/policy1/affected_cpus:1 5
@@ idle
/sys/devices/system/cpu/cpu0/cpuidle/state0/name:POLL
/sys/devices/system/cpu/cpu0/cpuidle/state1/name:C6
/sys/devices/system/cpu/cpu1/cpuidle/state1/name:C6
/sys/devices/system/cpu/cpu0/cpuidle/state2/name:C10
/sys/devices/system/cpu/cpu0/cpuidle/state0/latency:0
/sys/devices/system/cpu/cpu0/cpuidle/state1/latency:133
/sys/devices/system/cpu/cpu1/cpuidle/state1/latency:133
/sys/devices/system/cpu/cpu0/cpuidle/state2/latency:890
/sys/devices/system/cpu/cpu0/cpuidle/state0/disable:0
/sys/devices/system/cpu/cpu0/cpuidle/state1/disable:1
/sys/devices/system/cpu/cpu1/cpuidle/state1/disable:0
/sys/devices/system/cpu/cpu0/cpuidle/state2/disable:1
@@ latency_limit
 2000000000
@@ cpu_flags
flags\t\t: fpu vmx hypervisor
@@ dev_kvm
yes
@@ dev_vhost_net
yes
@@ thp
[always] madvise never

@@ ksm
/sys/kernel/mm/ksm/run:1
/sys/kernel/mm/ksm/pages_sharing:12
@@ hugepages
/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages:10
/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages:4
@@ mounts
hugetlbfs /dev/hugepages hugetlbfs rw 0 0
none /mnt/giants hugetlbfs rw,relatime,pagesize=1024M 0 0

@@ meminfo
MemTotal:       24684096 kB
MemAvailable:   16268860 kB

@@ swaps
Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
/dev/sda3                               partition\t999420\t\t0\t\t-2

@@ numa_balancing
1

@@ processes
name irqbalance
CapEff:\t0000000000000000
Max locked memory         65536                65536                bytes
IRQBALANCE_BANNED_CPULIST=1,3
name libvirtd
CapEff:\t000001fffeffffff
Max locked memory         65536                8388608                bytes
@@ df
Filesystem     Type    1B-blocks       Avail   Inodes    IFree Mounted on
/dev/mapper/vg-srv ext4 270553174016 77851889664 16777216 16299617 /srv
@@ pool_options
rw,relatime,discard
@@ parents
711 0 0 /srv/a pool
755 0 0 /
@@ pool_label
system_u:object_r:virt_image_t:s0
@@ selinux
1
@@ lsblk
{"blockdevices": [
 {"kname":"sda","rota":true,"sched":"bfq","disc-max":0},
 {"kname":"nvme0n1","rota":false,"sched":"none","disc-max":1024}]}
@@ disk_cells
/sys/block/nvme0n1/device/numa_node:1
/sys/block/nvme0n1/device/device/numa_node:1
/sys/block/sda/device/device/numa_node:-1
@@ lvs
{"report":[{"lv":[
 {"vg_name":"vg","lv_name":"thin","lv_attr":"twi-aotz--","data_percent":"81.50","metadata_percent":"10.00"},
 {"vg_name":"vg","lv_name":"srv","lv_attr":"-wi-ao----","data_percent":"","metadata_percent":""}]}]}
@@ fstrim
disabled
@@ links
[{"ifname":"br0","flags":["UP","LOWER_UP"],"mtu":1500,"linkinfo":{"info_kind":"bridge"}},
 {"ifname":"eno1","flags":["UP","NO-CARRIER"],"mtu":1400,"master":"br0"}]
@@ addresses
[{"ifname":"br0","addr_info":[{"local":"192.0.2.7","prefixlen":24}]}]
@@ routes
[{"dst":"default","dev":"br0"},{"dst":"192.0.2.9","dev":"br0"}]
@@ forwarding
1

@@ bridge_nf
0

@@ iptables
-P INPUT ACCEPT
-P FORWARD DROP
-P OUTPUT ACCEPT
@@ nft
{"nftables":[{"chain":{"family":"inet","table":"fw","name":"fwd","hook":"forward","policy":"drop"}},
 {"chain":{"family":"ip","table":"filter","name":"FORWARD","hook":"forward","policy":"drop"}}]}
@@ synchronized
no
@@ sshd
maxstartups 10:30:100
maxsessions 10
"""


def test_what_the_host_says_becomes_facts() -> None:
    facts = read_facts(sections(ANSWER), HEALTHY.libvirt, (1000.0, 1000.4))
    assert facts.unread == ()
    assert facts.cpu == CpuFacts(
        virtual=True,
        hardware_virtualization=True,
        dev_kvm=True,
        governors=(("performance", frozenset({1, 5})), ("powersave", frozenset({0, 4}))),
        idle_states=(IdleState("POLL", 0), IdleState("C6", 133)),
        latency_limit_us=2_000_000_000,
        smt=True,
        isolated=frozenset({1, 3}),
        clocksource="tsc",
        irqbalance=True,
        irqbalance_banned=frozenset({1, 3}),
    )
    assert facts.memory == MemoryFacts(
        available_mib=15887,
        thp="always",
        ksm_running=True,
        ksm_sharing_pages=12,
        hugepages=(HugePages(0, 2048, 10, 4),),
        memlock_bytes=8388608,
        may_raise_limits=False,
        swap_mib=975,
        numa_balancing=True,
    )
    assert facts.storage == StorageFacts(
        device="/dev/mapper/vg-srv",
        filesystem="ext4",
        size=270553174016,
        available=77851889664,
        inodes=16777216,
        inodes_free=16299617,
        options=frozenset({"rw", "relatime", "discard"}),
        parents=(Folder("/srv/a pool", 0o711, 0, 0), Folder("/", 0o755, 0, 0)),
        disks=(Disk("sda", True, "bfq", 0), Disk("nvme0n1", False, "none", 1024, 1)),
        thin_pools=(ThinPool("vg/thin", 81.5, 10.0),),
        fstrim_enabled=False,
        selinux_enforcing=True,
        label="system_u:object_r:virt_image_t:s0",
    )
    assert facts.network == NetworkFacts(
        links=(Link("br0", 1500, kind="bridge"), Link("eno1", 1400, carrier=False, master="br0")),
        addresses=(("br0", "192.0.2.7/24"),),
        routes=(Route("0.0.0.0/0", "br0"), Route("192.0.2.9/32", "br0")),
        forwarding=True,
        rules=("-P INPUT ACCEPT", "-P FORWARD DROP", "-P OUTPUT ACCEPT"),
        nft_drops=("forward in inet fw",),
    )
    assert (facts.services.synchronized, facts.services.max_startups, facts.services.max_sessions) == (
        False,
        "10:30:100",
        10,
    )
    assert facts.services.clock_ahead_s == pytest.approx(0.3)
    assert facts.services.clock_error_s == pytest.approx(0.2)


def test_a_host_that_says_nothing_is_called_unread() -> None:
    facts = read_facts({}, LibvirtFacts(), (0.0, 1.0))
    assert "lsblk" in facts.unread
    assert "what only root may read" in facts.unread


def test_this_machine_answers_in_time() -> None:
    said = gather(Local(), PATIENT.host)
    facts = read_facts(said, HEALTHY.libvirt, (0.0, 0.0))
    assert facts.memory.available_mib
    assert facts.storage.size
    assert facts.storage.parents[-1].path == "/"
    assert facts.network.links


def test_a_packet_is_walked_to_an_address() -> None:
    way = walk(Local(), "here", "127.0.0.1", 1500)
    assert way in (Way("here", "127.0.0.1", True, True), Way("here", "127.0.0.1", False, False))  # no ping installed


def test_libvirt_says_whom_qemu_runs_as() -> None:
    text = """<capabilities><host>
      <secmodel><model>apparmor</model><doi>0</doi></secmodel>
      <secmodel><model>dac</model><doi>0</doi><baselabel type="kvm">+64055:+109</baselabel></secmodel>
    </host></capabilities>"""
    said = read_libvirt({"libvirt": "9.0.0", "hypervisor": "7.2.4"}, text)
    assert said == LibvirtFacts((9, 0, 0), (7, 2, 4), frozenset({"apparmor", "dac"}), 64055, 109)


def test_a_free_network_is_free() -> None:
    assert free_network(["10.0.0.0/9", "10.128.0.0/24"], 24) == "10.128.1.0/24"
    assert free_network(["0.0.0.0/0"], 24) == "another one"


def test_no_id_is_given_twice() -> None:
    assert len(BY_ID) == len(CHECKS)
