"""Disks that grow under a guest that runs, and under one that is off, on a real libvirtd with QEMU."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from provision.base.errors import ConflictError, StorageError
from provision.base.shell import Local
from provision.guests import Behind, grow_filesystem
from provision.hosts import Hypervisor, make_logical
from provision.hosts.host_shell import Through
from provision.images.disk import partition_table
from provision.images.recipes import recipe
from provision.plan import Action, Plan, Verb
from provision.run.engine import make_plan, opened, provision
from provision.run.stages import volumes
from tests.libvirt import test_killed
from tests.libvirt.killing import build, cluster_of, raze
from tests.libvirt.test_engine import _sealed

killed = test_killed.place
"""A libvirtd of one's own, and an inventory for it."""

DISKS = "disk: {root}, volumes: [{{name: tracing, size: {data}, mount: /var/lib/tracing}}]"
GUEST = "demo-cp1"
DOUBLE = Path(__file__).parents[1] / "doubles" / "device_mapper"


@dataclass(frozen=True)
class Disks:
    """A guest with a root disk of 8 GiB and a data volume of 64 MiB."""

    place: test_killed.Place

    def inventory(self, root: str = "8GiB", data: str = "64MiB") -> str:
        return self.place.inventory.replace("disk: 8GiB", DISKS.format(root=root, data=data))

    def plan(self, root: str, data: str) -> Plan:
        with opened(cluster_of(self.inventory(root, data)), lambda _: None) as world:
            return make_plan(world)

    def grow(self, root: str, data: str) -> list[str]:
        """What the plan says of sizes, after it was done."""
        with opened(cluster_of(self.inventory(root, data)), lambda _: None) as world:
            plan = make_plan(world)
            provision(world, plan, "volumes")
            return [action.reason for action in plan.of("volumes") if action.kind.endswith("size")]

    def file(self, kind: str) -> Path:
        (found,) = self.place.pool.glob(f"demo.cp1.{kind}.*")
        return found

    def virtual_mib(self, kind: str) -> int:
        argv = ["qemu-img", "info", "--force-share", "--output=json", str(self.file(kind))]
        return int(json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)["virtual-size"]) >> 20

    def seen_mib(self, disk: str) -> int:
        """What the running guest has."""
        argv = ["virsh", "-c", self.place.uri, "qemu-monitor-command", "--hmp", GUEST, "info block -v"]
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return next(size for path, size in sizes(said) if disk in path)


def sizes(said: str) -> Iterator[tuple[str, int]]:
    """Path and size in MiB of each image of `info block -v`."""
    for part in said.split("image: ")[1:]:
        bytes_ = part.partition("virtual size: ")[2].partition("(")[2].partition(" bytes")[0]
        yield part.split()[0], int(bytes_ or 0) >> 20


@pytest.fixture
def disks(killed: test_killed.Place) -> Iterator[Disks]:
    made = Disks(killed)
    build(made.inventory())
    yield made
    raze(made.inventory())


def test_disks_of_a_running_guest_grow_and_stay_so_when_it_is_started_anew(disks: Disks) -> None:
    assert disks.grow("9GiB", "128MiB") == ["8192 → 9216 MiB, grown live", "64 → 128 MiB, grown live"]
    assert [disks.virtual_mib("root"), disks.virtual_mib("data-tracing")] == [9216, 128]
    assert [disks.seen_mib("root"), disks.seen_mib("tracing")] == [9216, 128]
    data = disks.file("data-tracing").stat()
    assert data.st_blocks * 512 >= data.st_size  # its space is really there
    found = disks.plan("9GiB", "128MiB")
    assert [action.kind for action in found.changes if action.stage == "volumes" or action.kind == "guest"] == []
    door = Hypervisor("hv1", disks.place.uri)
    door.stop_domain(GUEST)
    door.start_domain(GUEST)
    door.close()
    assert [disks.seen_mib("root"), disks.seen_mib("tracing")] == [9216, 128]


def test_disks_of_a_guest_that_is_off_grow_too(disks: Disks) -> None:
    door = Hypervisor("hv1", disks.place.uri)
    door.stop_domain(GUEST)
    said = disks.grow("9GiB", "128MiB")
    assert said == ["8192 → 9216 MiB, grown while its guest is off", "64 → 128 MiB, grown while its guest is off"]
    door.start_domain(GUEST)
    door.close()
    assert [disks.seen_mib("root"), disks.seen_mib("tracing")] == [9216, 128]


def test_a_guest_that_has_not_seen_its_disk_grow_is_told(disks: Disks) -> None:
    """The file of a data volume grows before QEMU hears of it: a run may have been ended between."""
    door = Hypervisor("hv1", disks.place.uri)
    door.resize_volume("meshctl", disks.file("data-tracing").name, 128, allocate=True)
    assert [disks.virtual_mib("data-tracing"), disks.seen_mib("tracing")] == [128, 64]
    for _ in range(2):
        door.resize_disk(GUEST, str(disks.file("data-tracing")), 128)
    door.close()
    assert disks.seen_mib("tracing") == 128


def test_smaller_is_refused_with_all_of_it(disks: Disks) -> None:
    disks.grow("9GiB", "128MiB")
    with pytest.raises(ConflictError) as caught:
        disks.plan("8GiB", "64MiB")
    assert [line.partition(": a filesystem")[0] for line in caught.value.message.splitlines()[1:]] == [
        "  hv1: cp1: disk has 9216 MiB, the inventory now says 8192",
        "  hv1: cp1: volume tracing has 128 MiB, the inventory now says 64",
    ]
    assert disks.virtual_mib("root") == 9216


def test_what_the_folder_cannot_hold_is_refused_before_anything_grows(disks: Disks) -> None:
    with pytest.raises(StorageError, match=r"hv1: .* MiB free, .* more are needed by demo\.cp1\.data-tracing"):
        disks.plan("8GiB", "40TiB")
    assert disks.virtual_mib("data-tracing") == 64


def test_a_root_volume_that_grows_is_not_filled_again(disks: Disks) -> None:
    """Both are changes of a volume: to fill one is to lose what is in it."""
    with opened(cluster_of(disks.inventory("9GiB")), lambda _: None) as world:
        plan = make_plan(world)
        (action,) = [action for action in plan.of("volumes") if action.kind != "seed"]
        before = disks.file("root").stat().st_ino
        volumes.run(replace(plan, actions=(action,)), world.doors(_sealed(world)))
    assert (disks.file("root").stat().st_ino, disks.virtual_mib("root")) == (before, 9216)


@pytest.fixture
def volume_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A volume group on a loop device. Where the kernel has no device-mapper, a double plays it."""
    if "device-mapper" not in Path("/proc/devices").read_text():
        monkeypatch.setenv("PATH", f"{DOUBLE}:{os.environ['PATH']}")
    name, file = f"meshgrow{os.getpid()}", tmp_path / "disk.img"
    with file.open("wb") as made:
        made.truncate(512 << 20)
    shell = Local()
    loop = shell.run(["losetup", "--find", "--show", str(file)]).stdout.strip()
    try:
        shell.run(["vgcreate", "--yes", name, loop])
        yield name
        for left in Path("/dev", name).glob("*"):
            shell.run(["lvremove", "--yes", f"{name}/{left.name}"])
        shell.run(["vgremove", "--yes", name])
    finally:
        shell.run(["losetup", "--detach", loop])


def test_a_logical_volume_grows_under_a_guest_that_runs(disks: Disks, volume_group: str) -> None:
    path = f"/dev/{volume_group}/data"
    make_logical(Local(), volume_group, "data", 64, thin=False)
    attach = ["virsh", "-c", disks.place.uri, "attach-disk", GUEST, path, "vdx", "--sourcetype", "block", "--live"]
    subprocess.run(attach, check=True, capture_output=True)
    assert disks.seen_mib(path) == 64
    with opened(cluster_of(disks.inventory()), lambda _: None) as world:
        plan, doors = make_plan(world), world.doors(_sealed(world))
        data = replace(
            plan.desired.volumes[1], store="logical", group=volume_group, name="data", path=path, size_mib=126
        )
        action = Action("volumes", Verb.CHANGE, "hv1", "data volume size", "data", "")
        found = replace(plan, desired=replace(plan.desired, volumes=(data,)), actions=(action,))
        volumes.run(found, doors)
    assert disks.seen_mib(path) == 128  # whole extents


# $1: a folder for /etc, the rest: a command. The guest's definition for systemd-repart, as every base image has it.
_AS_IN_A_GUEST = """
set -e
mount --make-rprivate /
mkdir -p "$1/repart.d"
printf '[Partition]\\nType=root\\n' > "$1/repart.d/50-root.conf"
mount --bind "$1" /etc
shift
exec "$@"
"""


def test_the_partition_of_the_base_image_grows_in_a_kernel_that_uses_it(tmp_path: Path) -> None:
    disk, shell, etc = tmp_path / "disk.img", Local(), tmp_path / "etc"
    etc.mkdir()
    shell.run(["truncate", "-s", "3G", str(disk)])
    shell.run(["sfdisk", "--quiet", str(disk)], stdin=partition_table(recipe("debian-12")).encode())
    loop = shell.run(["losetup", "--find", "--show", str(disk)]).stdout.strip()
    shell.run(["partx", "--add", loop], check=False)
    try:
        shell.run(["mke2fs", "-q", "-t", "ext4", f"{loop}p2"])
        held = open(f"{loop}p2", "rb")  # noqa: SIM115 - as a mount does, it keeps a partition from being taken away
        shell.run(["truncate", "-s", "4G", str(disk)])
        shell.run(["losetup", "--set-capacity", loop])
        guest = Through("w1", prefix=("unshare", "--mount", "sh", "-c", _AS_IN_A_GUEST, "guest", str(etc)))
        for _ in range(2):
            grow_filesystem(guest, Behind("partition of disk", "root", 3071, 4096, f"{loop}p2", loop))
        sectors = int(Path("/sys/class/block", f"{loop}p2".rpartition("/")[2], "size").read_text())
        assert 4096 - 3 <= sectors // 2048 < 4096 - 2 + 1
        said = shell.read(["dumpe2fs", "-h", f"{loop}p2"]).stdout
        assert int(said.partition("Block count:")[2].split()[0]) * 8 > sectors - 16
        held.close()
    finally:
        shell.run(["partx", "--delete", loop], check=False)
        shell.run(["losetup", "--detach", loop])
