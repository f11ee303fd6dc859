"""Disks for real, in a lab of its own: a guest on a partition and one on a logical volume, and what is never written to.

The devices are loop devices over sparse files. Where the kernel has no device-mapper, tests/doubles/device_mapper plays it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.base.errors import StorageError
from provision.base.events import Event, Progress, nowhere
from provision.base.shell import Local
from provision.guests.sessions import target
from provision.guests.ssh import Ssh
from provision.hosts.host_disks import (
    clear,
    fill,
    make_group,
    make_logical,
    make_thin_pool,
    mark_ready,
    observe_storage,
    remove_group,
    remove_logical,
)
from provision.inventory import load
from provision.lab import Lab, down, exec_argv, up
from provision.libvirt_xml.libvirt_seen import parse_domain
from provision.plan.compare import Plan
from provision.report.plan_text import as_text
from provision.run.destruction import destroy, plan_removal
from provision.run.engine import (
    World,
    make_plan,
    opened,
    provision,
)
from provision.specs.volume_names import stem
from provision.storage import Pool
from provision.storage.allot import Allotment, Wish, allot, claims
from provision.storage.claims import OWN_TAG, READY_TAG, THIN_POOL
from provision.storage.devices import physical
from provision.storage.guard import Wiping
from provision.storage.seen import StorageSeen
from tests.lab import lvm_in_guest
from tests.lab.conftest import for_lab

pytestmark = pytest.mark.lab

LAB = Lab("test-disk")
GIB = 1 << 30
GROUP = "meshtest"
DOUBLE = Path(__file__).parents[1] / "doubles" / "device_mapper"

sh = Local(env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})


@pytest.fixture(scope="module", autouse=True)
def lab() -> Iterator[None]:
    down(LAB, Local(), nowhere)
    up(LAB, Local(), nowhere)
    yield
    down(LAB, Local(), nowhere)


def inside(*argv: str) -> str:
    """Runs a command in the lab's namespaces."""
    return sh.run(exec_argv(LAB, argv)).stdout


@contextmanager
def disk(path: Path, size: int, *partitions: str) -> Iterator[str]:
    """A loop device over a sparse file, with partitions of the given sizes (sfdisk's): the kernel may know no tables itself."""
    with path.open("wb") as file:
        file.truncate(size)
    loop = sh.run(["losetup", "--find", "--show", "--direct-io=on", str(path)]).stdout.strip()
    try:
        if partitions:
            sh.run(
                ["sfdisk", "--quiet", "--no-reread", loop],
                stdin=("label: gpt\n" + "\n".join(partitions) + "\n").encode(),
            )
            sh.run(["partx", "--add", loop], check=False)
            assert Path(f"{loop}p1").is_block_device()
        yield loop
    finally:
        sh.run(["partx", "--delete", loop], check=False)
        sh.run(["losetup", "--detach", loop])
        path.unlink()


def inventory(pool: dict[str, Any], *, require: str = "any", volumes: bool = True) -> dict[str, Any]:
    said = for_lab(LAB) | {"id": "0123456789abcdef"}
    said["hosts"][0]["pool"] |= pool
    said["storage"] = {"require": require}
    node = said["nodes"][0] | {"memory": "2GiB", "disk": "9GiB", "state": "none"}
    wanted = {"t": "64MiB", "lvm": "600MiB"} if volumes else {}
    data = [{"name": name, "size": size, "mount": f"/var/lib/{name}"} for name, size in wanted.items()]
    said["nodes"] = [node | {"volumes": data}]
    return dict(said)


def _show(event: Event) -> None:
    if not isinstance(event, Progress):
        print(event, flush=True)


@contextmanager
def world(tmp_path: Path, said: dict[str, Any]) -> Iterator[World]:
    path = tmp_path / "disk.yaml"
    path.write_text(yaml.safe_dump(said))
    with opened(load(str(path)), _show) as made:
        yield made


def refused(tmp_path: Path, said: dict[str, Any], *, wipe: bool = False) -> str:
    with world(tmp_path, said) as made:
        with pytest.raises(StorageError) as caught:
            make_plan(made, wipe=wipe)
        assert made.calls.mutations <= 1  # the throw-away domain that tries KVM
    return caught.value.message


# ── what is never written to ─────────────────────────────────────────────────────────────────────────────────────


def _md_member(device: str) -> None:
    """A version 1.2 superblock as mdadm writes it (md_p.h, mdp_superblock_1), with its checksum: the kernel may have no md."""
    block = bytearray(256 + 2 * 384)
    struct.pack_into("<II", block, 0, 0xA92B4EFC, 1)
    block[16:32] = bytes(range(16))
    block[32:36] = b"test"
    struct.pack_into("<IIQI", block, 72, 1, 0, 2048, 0)
    struct.pack_into("<I", block, 92, 2)
    struct.pack_into("<QQQ", block, 128, 2048, 2048, 8)
    words = struct.unpack(f"<{len(block[:256]) // 4}I", bytes(block[:256]))
    total = sum(words)
    struct.pack_into("<I", block, 216, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
    with open(device, "r+b") as file:
        file.seek(4096)
        file.write(block)


PLANTS: dict[str, tuple[Callable[[str], object], str]] = {
    "ext4": (lambda device: sh.run(["mke2fs", "-q", "-t", "ext4", device]), "it holds ext4"),
    "gpt": (lambda device: sh.run(["sfdisk", "--quiet", device], stdin=b"label: gpt\n,20M\n"), "it holds gpt, PMBR"),
    "LVM": (lambda device: sh.run(["pvcreate", "--yes", device]), "it holds LVM2_member"),
    "md": (_md_member, "it holds linux_raid_member"),
    "swap": (lambda device: sh.run(["mkswap", device]), "it holds swap"),
}


@pytest.mark.parametrize("name", PLANTS)
def test_a_device_with_a_signature_is_refused_and_unchanged(tmp_path: Path, name: str) -> None:
    plant, message = PLANTS[name]
    with disk(tmp_path / "disk.img", 12 * GIB, ",10G") as loop:
        plant(f"{loop}p1")
        before = sh.read(["sha256sum"], stdin=_head(f"{loop}p1")).stdout
        said = inventory({"type": "block", "devices": [f"{loop}p1"]}, volumes=False)
        for wipe in (False, True):  # loop devices have no serial number: nobody can name one
            assert f"{loop}p1 is not blank, {message}" in refused(tmp_path, said, wipe=wipe)
        assert sh.read(["sha256sum"], stdin=_head(f"{loop}p1")).stdout == before


def _head(device: str) -> bytes:
    with open(device, "rb") as file:
        return file.read(8 << 20)


def test_a_device_that_is_mounted_is_refused(tmp_path: Path) -> None:
    with disk(tmp_path / "disk.img", 12 * GIB, ",10G") as loop:
        sh.run(["mke2fs", "-q", "-t", "ext4", f"{loop}p1"])
        point = tmp_path / "mounted"
        point.mkdir()
        inside("mount", f"{loop}p1", str(point))
        try:
            message = refused(tmp_path, inventory({"type": "block", "devices": [f"{loop}p1"]}, volumes=False))
            whole = refused(tmp_path, inventory({"type": "block", "devices": [loop]}, volumes=False))
        finally:
            inside("umount", str(point))
    assert f"{loop}p1 is in use: {loop}p1 is mounted at {point}" in message
    assert f"{loop} is in use: {loop}p1 is mounted at {point}" in whole


def test_a_device_of_another_domain_is_refused(tmp_path: Path) -> None:
    with disk(tmp_path / "disk.img", 12 * GIB, ",10G") as loop, world(tmp_path, inventory({})) as made:
        link = tmp_path / "by-id"
        link.symlink_to(f"{loop}p1")
        xml = (
            "<domain type='qemu'><name>windows</name><memory>65536</memory><os><type>hvm</type></os><devices>"
            f"<disk type='block'><source dev='/dev/../dev/{loop.removeprefix('/dev/')}p1'/><target dev='vda'/></disk></devices></domain>"
        )
        made.hypervisors["hv1"].define_domain(xml)
        try:
            message = refused(tmp_path, inventory({"type": "block", "devices": [f"{loop}p1"]}, volumes=False))
        finally:
            made.hypervisors["hv1"].remove_domain("windows")
    assert f"{loop}p1 is in use: domain windows has {loop}p1" in message


def test_nvme_is_required_of_a_loop_device_in_vain(tmp_path: Path) -> None:
    with disk(tmp_path / "disk.img", 12 * GIB, ",10G") as loop:
        said = inventory({"type": "block", "devices": [f"{loop}p1"]}, require="nvme", volumes=False)
        message = refused(tmp_path, said)
        assert f"{loop}, below {loop}p1 (part) on {loop} (loop), a loop device: a file that plays a disk" in message
        sh.run(["mke2fs", "-q", "-t", "ext4", f"{loop}p1"])
        inside("mount", f"{loop}p1", str(LAB.pool))
        try:
            message = refused(tmp_path, inventory({}, require="nvme", volumes=False))
        finally:
            inside("umount", str(LAB.pool))
        assert f"pool meshctl: {LAB.pool} lies on {loop}, below {loop}p1" in message
        assert "put the pool on an NVMe, or say storage.require: ssd or any" in message


# ── guests that live there ───────────────────────────────────────────────────────────────────────────────────────


def _boot(made: World) -> tuple[Plan, Ssh]:
    plan = make_plan(made)
    print(as_text(plan))
    provision(made, plan, "guests")
    domains = made.hypervisors["hv1"].domains()
    return plan, made.sessions.to(target(made.cluster, made.cluster.control_plane.name, domains))


def _check_guest(made: World, shell: Ssh, size_mib: int) -> None:
    """The root filesystem fills its disk, the data volume is there, and a second plan has nothing to do to either."""
    kib = int(shell.read(["df", "--output=size", "/"]).stdout.split()[-1])
    assert kib > size_mib * 1024 * 0.9
    mounted = shell.read(["findmnt", "--noheadings", "--output", "FSTYPE,SOURCE", "/var/lib/t"]).stdout.split()
    assert mounted[0] == "ext4"
    assert shell.read(["lsblk", "--noheadings", "--output", "SERIAL", mounted[1]]).stdout.strip() == "data-t"
    again = make_plan(made)
    assert [action for action in again.changes if action.stage in ("hosts", "volumes", "guests")] == []


def test_a_guest_on_partitions(tmp_path: Path) -> None:
    with disk(tmp_path / "disk.img", 12 * GIB, ",100M", ",10G", ",1G") as loop:
        devices = [f"{loop}p{number}" for number in (1, 2, 3)]
        with world(tmp_path, inventory({"type": "block", "devices": devices})) as made:
            plan, shell = _boot(made)
            volumes = plan.desired.volumes
            # In the inventory's order, those left out that are too small for the root volume and for `lvm`.
            assert [volume.path for volume in volumes] == [devices[1], devices[0], devices[2]]
            assert volumes[0].size_mib == 10 * 1024 - 1
            _check_guest(made, shell, volumes[0].size_mib)
            (domain,) = made.hypervisors["hv1"].domains()
            assert domain.disks[0] == devices[1]
            seen = observe_storage(sh, made.cluster.hosts[0].pool)
            assert {path: claim.name for path, claim in claims(seen).items()} == {v.path: v.name for v in volumes}
            _thin_volumes_on_a_real_device_mapper(shell)
            destroy(made, plan_removal(made, purge=False))
            assert plan_removal(made, purge=False) == ()
            seen = observe_storage(sh, made.cluster.hosts[0].pool)
            assert [(one.claim, one.signatures) for one in seen.named.values()] == [("", ())] * 3


def _add_a_volume(tmp_path: Path, pool: dict[str, Any]) -> None:
    """A running guest gets another data volume: made at once, mounted after a restart, and all without a new seed."""
    said = inventory(pool)
    said["nodes"][0]["volumes"].append({"name": "late", "size": "64MiB", "mount": "/var/lib/late"})
    with world(tmp_path, said) as made:
        plan = make_plan(made, restart=True)
        assert [action.kind for action in plan.of("volumes")] == ["data volume"]
        provision(made, plan, "guests", restart=True)
        shell = made.sessions.to(target(made.cluster, "cp1", made.hypervisors["hv1"].domains()))
        assert shell.read(["findmnt", "--noheadings", "--output", "FSTYPE", "/var/lib/late"]).stdout.strip() == "ext4"
        again = make_plan(made, restart=True)
        assert [action for action in again.changes if action.stage in ("hosts", "volumes", "guests")] == []


def _thin_volumes_on_a_real_device_mapper(guest: Ssh) -> None:
    """The guest plays a host: its kernel has device-mapper, its disks have serial numbers that an inventory can name."""
    lvm_in_guest.install(guest)
    device = "/dev/disk/by-id/virtio-data-lvm"
    pool = Pool(type="logical", volume_group="vg0", devices=(device,), thin=True)
    root = Wish("lab.w9.root.00000000", 2000)  # larger than the device

    def given(serial: str, *, asked: bool) -> Allotment:
        return allot(pool, [root], observe_storage(guest, pool), Wiping(frozenset({serial}), asked))

    assert "/dev/vde is mounted at /var/lib/lvm" in str(given("data-lvm", asked=True).faults[0])
    guest.run(["umount", "/var/lib/lvm"])
    assert "name its serial number (data-lvm) under storage.wipe" in str(given("S1", asked=True).faults[0])
    assert "--wipe on the command line lets it be lost" in str(given("data-lvm", asked=False).faults[0])
    with pytest.raises(StorageError, match="now it holds ext4"):
        clear(guest, device, wipe=False)
    assert [(one.path, one.holds) for one in given("data-lvm", asked=True).wipes] == [(device, ("ext4",))]
    clear(guest, device, wipe=True)
    make_group(guest, "vg0", [device])
    make_thin_pool(guest, "vg0")
    make_logical(guest, "vg0", root.name, root.size_mib, thin=True)
    guest.run(["qemu-img", "create", "-q", "-f", "qcow2", "/root/base.qcow2", "16M"])
    fill(guest, f"/dev/vg0/{root.name}", "/root/base.qcow2")
    mark_ready(guest, "vg0", root.name)
    seen = observe_storage(guest, pool)
    assert {one.name: one.tags for one in seen.logicals} == {root.name: (READY_TAG,), THIN_POOL: (OWN_TAG,)}
    assert [one.name for one in physical(seen.devices, _dm_of(seen, root.name))] == ["vde"]
    for name in (root.name, THIN_POOL):
        remove_logical(guest, "vg0", name)
    remove_group(guest, "vg0")
    seen = observe_storage(guest, pool)
    assert (dict(seen.groups), seen.logicals, seen.named[device].signatures) == ({}, (), ())


def _dm_of(seen: StorageSeen, volume: str) -> str:
    return next(device.name for device in seen.devices.values() if device.path == f"/dev/mapper/vg0-{volume}")


@pytest.fixture
def mapper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """device-mapper: the kernel's, else the double, which is said."""
    if "device-mapper" in Path("/proc/devices").read_text():
        yield "the kernel's device-mapper"
        return
    monkeypatch.setenv("PATH", f"{DOUBLE}:{os.environ['PATH']}")
    said = tmp_path / "devices"
    said.write_text(Path("/proc/devices").read_text() + "252 device-mapper\n")
    inside("mount", "--bind", str(said), "/proc/devices")
    yield "a double of device-mapper: this kernel has none"
    inside("umount", "/proc/devices")
    for left in Path("/dev", GROUP).glob("*"):  # of a test that failed
        sh.run([str(DOUBLE / "lvremove"), "--yes", f"{GROUP}/{left.name}"], check=False)


def test_a_guest_on_logical_volumes(tmp_path: Path, mapper: str) -> None:
    print(f"on {mapper}", flush=True)
    with disk(tmp_path / "disk.img", 12 * GIB) as loop:
        pool = {"type": "logical", "volume_group": GROUP, "devices": [loop]}
        with world(tmp_path, inventory(pool)) as made:
            plan, shell = _boot(made)
            assert plan.of("hosts")[-1].kind == "volume group"
            root = plan.desired.volumes[0]
            assert root.path == f"/dev/{GROUP}/{root.name}"
            _check_guest(made, shell, root.size_mib)
            _add_a_volume(tmp_path, pool)
            sh.run(["lvcreate", "--driverloaded", "n", "--activate", "n", "--zero", "n", "--wipesignatures", "n", "--yes",
                    "--type", "linear", "--size", "8m", "--name", "theirs", GROUP])  # fmt: skip
            seen = observe_storage(sh, made.cluster.hosts[0].pool)
            names = [*(volume.name for volume in plan.desired.volumes), stem(made.cluster.owner, "cp1", "data-late")]
            ready = dict.fromkeys(names, (READY_TAG,))
            assert {one.name: one.tags for one in seen.logicals} == {**ready, "theirs": ()}
            destroy(made, plan_removal(made, purge=True), purge=True)
            seen = observe_storage(sh, made.cluster.hosts[0].pool)
            assert [one.name for one in seen.logicals] == ["theirs"]
            sh.run(["lvremove", "--driverloaded", "n", "--yes", f"{GROUP}/theirs"])
            destroy(made, plan_removal(made, purge=True), purge=True)
            seen = observe_storage(sh, made.cluster.hosts[0].pool)
            assert (dict(seen.groups), seen.named[loop].signatures) == ({}, ())


def test_the_domains_disk_is_seen_as_what_it_is() -> None:
    xml = "<domain type='qemu'><devices><disk type='block'><source dev='/dev/vg0/a'/></disk></devices></domain>"
    assert parse_domain(xml, active=False).disks == ("/dev/vg0/a",)
