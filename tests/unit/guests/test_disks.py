"""Disks that grew under a guest: what is seen of it, and a real filesystem that follows."""

from __future__ import annotations

from pathlib import Path

from provision.base.shell import Local
from provision.base.units import MIB
from provision.guests.boot import Boot
from provision.guests.disks import Behind, _Kernel, disk_sizes, grow_filesystem, left_behind
from provision.inventory.model import Node

SIZES = {"root": 12288, "data-tracing": 64}


def superblock(blocks: int, log_kib: int) -> str:
    """The words that od gives, all others being of no account."""
    return " ".join(["7", str(blocks), "7", "7", "7", "7", str(log_kib), *["7"] * 77, "0"])


def kernel(
    disk_mib: int = 12288, end_mib: int = 12288, root_mib: int = 12286, data_mib: int = 64, fs_mib: int = 64
) -> str:
    """As grep and od say it. The root partition begins at 2 MiB, and ends a few sectors before `end_mib`."""
    return "\n".join(
        [
            "/sys/block/vda/serial:root",
            "/sys/block/vdb/serial:",
            "/sys/block/vdd/serial:data-tracing",
            f"/sys/block/vda/size:{disk_mib * 2048}",
            "/sys/block/vdb/size:744",
            f"/sys/block/vdd/size:{data_mib * 2048}",
            "/sys/block/vda/vda1/start:2048",
            "/sys/block/vda/vda2/start:4096",
            "/sys/block/vda/vda1/size:2048",
            f"/sys/block/vda/vda2/size:{(end_mib - 2) * 2048 - 40}",
            f"ext4 /dev/vda2 {superblock(root_mib * 256, 2)}",
            f"ext4 /dev/vdd {superblock(fs_mib * 1024, 0)}",
        ]
    )


def test_what_fills_its_disk_is_not_behind() -> None:
    assert left_behind(kernel(), SIZES) == ()
    assert left_behind(kernel(root_mib=12280), SIZES) == ()  # a last group that is not worth its tables
    assert left_behind("", SIZES) == ()


def test_each_step_that_is_left_is_seen_from_the_host_inwards() -> None:
    (disk,) = left_behind(kernel(disk_mib=10240, end_mib=10240, root_mib=10238), SIZES)
    assert str(disk) == "disk root has 10240 of 12288 MiB"
    (partition,) = left_behind(kernel(end_mib=10240, root_mib=10238), SIZES)
    assert partition == Behind("partition of disk", "root", 10239, 12288, "/dev/vda2", "/dev/vda")
    (filesystem,) = left_behind(kernel(root_mib=10238), SIZES)
    assert (filesystem.what, filesystem.device, filesystem.parent) == ("filesystem of disk", "/dev/vda2", "/dev/vda")


def test_a_data_volume_has_no_partition() -> None:
    (found,) = left_behind(kernel(data_mib=128), SIZES)
    assert found == Behind("filesystem of disk", "data-tracing", 64, 128, "/dev/vdd")


def test_what_is_behind_is_a_fault_of_the_guest() -> None:
    found = Boot(behind=left_behind(kernel(data_mib=128), SIZES))
    assert found.faults == ("filesystem of disk data-tracing has 64 of 128 MiB",)


def test_the_sizes_are_the_inventorys() -> None:
    volumes = ({"name": "tracing", "size": "64MiB", "mount": "/var/lib/tracing"},)
    said = {"name": "w1", "role": "worker", "vcpus": 2, "memory": "2GiB", "disk": "12GiB", "volumes": volumes}
    assert disk_sizes(Node.model_validate(said)) == {**SIZES, "state": 0}
    assert disk_sizes(Node.model_validate({**said, "role": "control-plane"}))["state"] == 8192


def test_a_real_filesystem_is_read_and_grown(tmp_path: Path) -> None:
    image, shell = tmp_path / "vdd", Local()

    def seen() -> int:
        read = shell.read(["od", "-An", "-v", "-tu4", "-w340", "-j1024", "-N340", str(image)]).stdout
        return _Kernel(f"ext4 /dev/vdd {read}").filesystems["vdd"] // MIB

    shell.run(["mke2fs", "-q", "-t", "ext4", str(image), "64M"])
    assert seen() == 64
    shell.run(["truncate", "-s", "200M", str(image)])
    for _ in range(2):  # a run that was ended begins anew
        grow_filesystem(shell, Behind("filesystem of disk", "data-tracing", 64, 200, str(image)))
    assert seen() == 200
    shell.run(["e2fsck", "-fn", str(image)])
