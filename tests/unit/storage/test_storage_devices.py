"""Block devices of recorded `lsblk` trees: what lies below a pool, and whether it is what the inventory requires."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provision.storage import Pool
from provision.storage.check import Fault, pool_faults
from provision.storage.devices import Device, above, chain, parse_lsblk, physical
from provision.storage.judge import faults
from provision.storage.seen import Group, StorageSeen, parse
from provision.storage.wanted import Require

DATA = Path(__file__).parents[2] / "data" / "lsblk"


def tree(name: str) -> dict[str, Device]:
    return parse_lsblk((DATA / f"{name}.json").read_text())


@pytest.mark.parametrize(
    ("name", "device", "bottom"),
    [
        ("nvme", "nvme0n1p2", ["nvme0n1"]),
        ("nvme", "nvme0n1", ["nvme0n1"]),
        ("sata-ssd", "sda1", ["sda"]),
        ("dm-crypt-on-nvme", "dm-0", ["nvme0n1"]),
        ("lvm-on-nvme", "dm-0", ["nvme0n1"]),
        ("lvm-on-nvme", "dm-1", ["nvme0n1", "sdb"]),
        ("md-on-nvme", "md0", ["nvme0n1", "nvme1n1"]),
        ("loop", "loop0", ["loop0"]),
    ],
)
def test_every_device_at_the_bottom_is_found(name: str, device: str, bottom: list[str]) -> None:
    assert [found.name for found in physical(tree(name), device)] == bottom


JUDGED: list[tuple[str, str, Require, str]] = [
    ("nvme", "nvme0n1p2", "nvme", ""),
    ("dm-crypt-on-nvme", "dm-0", "nvme", ""),
    ("lvm-on-nvme", "dm-0", "nvme", ""),
    ("md-on-nvme", "md0", "nvme", ""),
    ("sata-ssd", "sda1", "nvme", "a SATA disk, not an NVMe"),
    ("sata-ssd", "sda1", "ssd", ""),
    ("rotating", "sda1", "ssd", "a SATA disk, rotational"),
    ("rotating", "sda1", "any", ""),
    ("md-one-member-sata", "md0", "nvme", "a SATA disk, not an NVMe"),
    ("md-one-member-sata", "md0", "ssd", ""),
    ("lvm-on-nvme", "dm-1", "ssd", "a SATA disk, rotational"),
    ("loop", "loop0", "ssd", "a loop device: a file that plays a disk"),
    ("loop", "loop0", "any", ""),
    ("loop", "vda", "nvme", "a virtio disk, rotational"),
]


@pytest.mark.parametrize(("name", "device", "require", "why"), JUDGED)
def test_each_is_judged_by_all_it_lies_on(name: str, device: str, require: Require, why: str) -> None:
    found = faults(tree(name), device, require)
    assert len(found) == bool(why)
    assert all(one.endswith(f", {why}") for one in found)


def test_the_fault_names_the_member_and_the_way_to_it() -> None:
    assert faults(tree("md-one-member-sata"), "md0", "nvme") == (
        "/dev/sda, below /dev/md0 (raid1) on [/dev/nvme0n1p2 (part) on /dev/nvme0n1 (disk); "
        "/dev/sda1 (part) on /dev/sda (disk)], a SATA disk, not an NVMe",
    )


def test_what_lies_on_a_device_is_found_at_any_depth() -> None:
    assert [device.name for device in above(tree("lvm-on-nvme"), "nvme0n1")] == ["nvme0n1p3", "dm-0", "dm-1"]


def test_a_chain_is_told_from_the_top() -> None:
    crypt = "/dev/mapper/luks-pool (crypt) on /dev/nvme0n1p2 (part) on /dev/nvme0n1 (disk)"
    assert chain(tree("dm-crypt-on-nvme"), "dm-0") == crypt


def test_a_namespace_without_a_transport_is_known_by_its_name() -> None:
    device = replace(tree("nvme")["nvme0n1"], transport="")
    assert faults({"nvme0n1": device}, "nvme0n1", "nvme") == ()


# ── pools ────────────────────────────────────────────────────────────────────────────────────────────────────────


def answer(name: str, *, mount: str = "", rest: str = "") -> str:
    """An answer of the script, as a host gives it."""
    return f"@lsblk\n{(DATA / f'{name}.json').read_text()}\n@mapper\n254 device-mapper\n\n@folder /srv\n{mount}\n{rest}"


def findmnt(source: str, filesystem: str, number: str) -> str:
    return json.dumps({"filesystems": [{"source": source, "fstype": filesystem, "maj:min": number}]})


def said(pool: Pool, require: Require, seen: StorageSeen) -> list[Fault]:
    return list(pool_faults("hv1", pool, require, seen))


def test_a_folder_on_nvme_is_as_required() -> None:
    seen = parse(answer("nvme", mount=findmnt("/dev/nvme0n1p2", "ext4", "259:2")))
    assert (seen.folder_device, seen.mapper) == ("nvme0n1p2", True)
    assert said(Pool(), "nvme", seen) == []


def test_a_folder_on_a_rotating_disk_is_refused_with_the_next_step() -> None:
    seen = parse(answer("rotating", mount=findmnt("/dev/sda1", "xfs", "8:1")))
    (fault,) = said(Pool(), "nvme", seen)
    assert fault.message.startswith("hv1: pool meshctl: /var/lib/libvirt/meshctl lies on /dev/sda, below /dev/sda1")
    assert fault.message.endswith(", a SATA disk, rotational, but storage.require is nvme")
    assert fault.hint == "put the pool on an NVMe, or say storage.require: ssd or any"
    assert said(Pool(), "any", seen) == []


def test_a_subvolume_is_traced_by_its_source() -> None:
    seen = parse(answer("nvme", mount=findmnt("/dev/nvme0n1p2[/@srv]", "btrfs", "0:41")))
    assert seen.folder_device == "nvme0n1p2"


@pytest.mark.parametrize(
    ("source", "filesystem"), [("overlay", "overlay"), ("nas:/export", "nfs4"), ("tmpfs", "tmpfs")]
)
def test_a_folder_without_a_device_cannot_be_proven(source: str, filesystem: str) -> None:
    seen = parse(answer("nvme", mount=findmnt(source, filesystem, "0:52")))
    (fault,) = said(Pool(), "ssd", seen)
    assert f"lies on {source} ({filesystem}), below which there is no device to be seen" in fault.message


# ── filesystems on several devices ───────────────────────────────────────────────────────────────────────────────

CASE = Path(__file__).parents[2] / "data" / "cases" / "d01-filesystem-on-several-devices" / "lsblk.json"
SATA = "/dev/sda, a SATA disk, rotational"


def block(name: str, **said: Any) -> dict[str, Any]:
    """A device as lsblk says it."""
    return {"name": name, "path": f"/dev/{name}", "type": "disk", "rota": False, "maj:min": "9:9", **said}


def refused(tree: list[dict[str, Any]], mount: str, require: Require = "nvme", more: str = "") -> list[str]:
    """The devices that are not what is required, each with the reason."""
    text = f"@lsblk\n{json.dumps({'blockdevices': tree})}\n@mapper\n\n@folder /srv\n{mount}\n{more}"
    said = pool_faults("hv1", Pool(path="/srv/vm"), require, parse(text))
    return [
        fault.message.partition(" lies on ")[2].removesuffix(f", but storage.require is {require}") for fault in said
    ]


def test_d01_filesystem_on_several_devices() -> None:
    tree = json.loads(CASE.read_text())["blockdevices"]
    btrfs = findmnt("/dev/nvme0n1p3[/vm]", "btrfs", "0:31")
    assert refused(tree, btrfs) == [SATA]
    bcachefs = findmnt("/dev/nvme0n1p3:/dev/sda", "bcachefs", "0:40")
    assert (refused(tree, bcachefs), refused(tree, bcachefs, "any")) == ([SATA], [])
    two = [*tree, block("nvme1n1", tran="nvme")]
    assert refused(two, findmnt("/dev/nvme0n1p3:/dev/nvme1n1", "bcachefs", "0:40")) == []
    assert refused([block("nvme0n1", tran="nvme", fstype="zfs_member")], findmnt("tank/vm", "zfs", "0:52")) == []
    for name in ("zd0", "zram0", "nbd0", "rbd0"):
        assert len(refused([block(name)], findmnt(f"/dev/{name}", "ext4", "9:9"), "ssd")) == 1


NVME = block("nvme0n1", tran="nvme", fstype="btrfs", uuid="A")
OF_ANOTHER = block("sda", tran="sata", rota=True, fstype="btrfs", uuid="B")
OF_IT = block("sda", tran="sata", rota=True, fstype="btrfs", uuid="A")
ON_BTRFS, ON_ZFS = findmnt("/dev/nvme0n1", "btrfs", "0:31"), findmnt("tank/vm", "zfs", "0:52")


def vdev(name: str, pool: str, **said: Any) -> dict[str, Any]:
    return block(name, fstype="zfs_member", label=pool, **said)


@pytest.mark.parametrize(
    ("tree", "mount", "more", "bad"),
    [
        ([NVME, OF_ANOTHER], ON_BTRFS, "", []),
        ([NVME, OF_IT], ON_BTRFS, "", [SATA]),
        ([NVME, OF_ANOTHER], ON_BTRFS, "@btrfs\n/sys/fs/btrfs/A/devices/nvme0n1\n/sys/fs/btrfs/A/devices/sda\n", [SATA]),
        ([NVME, OF_IT], ON_BTRFS, "@btrfs\n/sys/fs/btrfs/A/devices/nvme0n1\n/sys/fs/btrfs/B/devices/sda\n", []),
        (
            [NVME | {"fstype": "bcachefs"}, OF_IT | {"fstype": "bcachefs"}],
            findmnt("/dev/nvme0n1", "bcachefs", "0:40"),
            "",
            [SATA],
        ),
        ([vdev("nvme0n1", "tank", tran="nvme"), vdev("sda", "tank", tran="sata", rota=True)], ON_ZFS, "", [SATA]),
        ([vdev("nvme0n1", "tank", tran="nvme"), vdev("sda", "old", tran="sata", rota=True)], ON_ZFS, "", []),
        ([block("sda")], ON_ZFS, "", ["tank/vm (zfs), below which there is no device to be seen"]),
        (
            [block("nvme0n1", tran="nvme", **{"maj:min": "259:0"}), block("sda", tran="sata", rota=True)],
            json.dumps({"filesystems": [{"source": "/dev/nvme0n1", "fstype": "xfs", "maj:min": "259:0", "options": "rw,logdev=/dev/sda"}]}),
            "",
            [SATA],
        ),
    ],
)  # fmt: skip
def test_all_members_of_a_filesystem_are_judged(
    tree: list[dict[str, Any]], mount: str, more: str, bad: list[str]
) -> None:
    assert refused(tree, mount, more=more) == bad


KINDS: list[tuple[dict[str, Any], str, str]] = [
    (block("zd16"), "a ZFS volume (zvol)", "a ZFS volume (zvol)"),
    (block("zram1"), "compressed memory (zram), which is gone at a reboot", "compressed memory"),
    (block("ram0"), "memory (a RAM disk)", "memory (a RAM disk)"),
    (block("nbd3"), "a network block device (NBD)", "a network block device (NBD)"),
    (block("rbd0"), "a Ceph block device (RBD)", "a Ceph block device (RBD)"),
    (block("drbd1"), "a replicated device (DRBD)", "a replicated device (DRBD)"),
    (block("sdc", tran="iscsi"), "a disk over iSCSI, a network", "a disk over iSCSI"),
    (block("sdc", tran="fc"), "a disk over Fibre Channel, a network", "a disk over Fibre Channel"),
    (block("vda"), "a virtio disk, not an NVMe", ""),
    (block("vda", rota=True), "a virtio disk, rotational", "a virtio disk, rotational"),
    (block("xvda"), "a Xen disk, not an NVMe", ""),
    (block("pmem0"), "persistent memory, not an NVMe", ""),
    (block("mmcblk0"), "an SD card or eMMC, not an NVMe", ""),
    (block("nvme0n1", tran="nvme", model="Amazon Elastic Block Store"), "a cloud's network volume (Amazon", "a cloud's"),
    (block("nvme0n1", tran="nvme", model="Amazon EC2 NVMe Instance Storage"), "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("said", "no_nvme", "no_ssd"), KINDS)
def test_each_device_is_named_for_what_it_is(said: dict[str, Any], no_nvme: str, no_ssd: str) -> None:
    mount = findmnt(said["path"], "ext4", "9:9")
    wanted: list[tuple[Require, str]] = [("nvme", no_nvme), ("ssd", no_ssd)]
    for require, why in wanted:
        found = refused([said], mount, require)
        assert len(found) == bool(why)
        assert all(one.startswith(f"{said['path']}, {why}") for one in found)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("", ""),
        ("/sys/block/nvme0n1/device/transport:pcie", ""),
        ("/sys/block/nvme0n1/device/transport:tcp", "an NVMe over tcp, a network"),
        ("/sys/block/nvme0n1/device/nvme0/transport:rdma\n/sys/block/nvme0n1/device/nvme1/transport:rdma", "an NVMe over rdma, a network"),
        ("/sys/block/nvme0n1/device/transport:loop", "an NVMe over loop, a loop"),
        ("/sys/block/nvme1n1/device/transport:tcp", ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("require", ["nvme", "ssd"])
def test_an_nvme_over_a_network_is_no_local_one(lines: str, why: str, require: Require) -> None:
    found = refused(
        [block("nvme0n1", tran="nvme")], findmnt("/dev/nvme0n1", "ext4", "9:9"), require, f"@nvme\n{lines}\n"
    )
    assert found == ([f"/dev/nvme0n1, {why}"] if why else [])


VGS = (
    '@vgs\n{"report": [{"vg": [{"vg_name":"vg0","vg_size":"429496729600","vg_free":"214748364800","vg_tags":"a,b",'
    '"pv_name":"/dev/nvme0n1p3"}, {"vg_name":"vg0","vg_size":"429496729600","vg_free":"214748364800","vg_tags":"a,b",'
    '"pv_name":"/dev/sdb"}]}]}\n'
    '@lvs\n{"report": [{"lv": [{"vg_name":"vg0","lv_name":"wide","lv_size":"107374182400","lv_tags":"x",'
    '"vg_extent_size":"4194304"}]}]}\n'
)


def test_a_volume_group_is_judged_by_all_its_members() -> None:
    seen = parse(answer("lvm-on-nvme", rest=VGS))
    assert seen.groups["vg0"] == Group("vg0", 400 << 30, 200 << 30, ("a", "b"), ("/dev/nvme0n1p3", "/dev/sdb"))
    assert [(one.group, one.name, one.size, one.tags) for one in seen.logicals] == [("vg0", "wide", 100 << 30, ("x",))]
    (fault,) = said(Pool(type="logical", volume_group="vg0"), "nvme", seen)
    assert "volume group vg0 lies on /dev/sdb, a SATA disk, rotational" in fault.message


def test_no_volume_group_and_no_device_mapper_are_two_faults() -> None:
    seen = replace(parse(answer("nvme")), mapper=False)
    found = said(Pool(type="logical", volume_group="vg9"), "nvme", seen)
    assert [fault.message.partition(": pool meshctl: ")[2] for fault in found] == [
        "the kernel has no device-mapper, so no logical volume can be used",
        "there is no volume group vg9",
    ]


WIPEFS = '{"signatures": [{"device":"nvme0n1p3","offset":"0x438","type":"ext4","uuid":"1-2","label":null}]}'
DEVICES = (
    f"@device /dev/disk/by-id/nvme-A-part3\n/dev/nvme0n1p3\n429496729600\n\n{WIPEFS}\n\n"
    "@device /dev/nvme0n1p9\n/dev/nvme0n1p9\n\n"
    "@device /dev/nvme0n1p2\n/dev/nvme0n1p2\n429496729600\nmeshctl 1 ready lab.w1.root.0a1b2c3d\n"
)


def test_named_devices_are_resolved_and_missing_ones_are_faults() -> None:
    seen = parse(answer("nvme", rest=DEVICES))
    by_id = seen.named["/dev/disk/by-id/nvme-A-part3"]
    assert (by_id.name, by_id.size, by_id.claim, by_id.signatures) == ("nvme0n1p3", 400 << 30, "", ("ext4",))
    assert seen.named["/dev/nvme0n1p2"].claim == "meshctl 1 ready lab.w1.root.0a1b2c3d"
    (fault,) = said(Pool(type="block", devices=tuple(seen.named)), "nvme", seen)
    assert "/dev/nvme0n1p9 is no block device" in fault.message
