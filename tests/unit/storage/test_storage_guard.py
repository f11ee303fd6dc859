"""What may be written to and what not, and which device each volume gets: recorded trees, tables of cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provision.storage import Pool
from provision.storage.allot import Allotment, Wish, allot, file_faults
from provision.storage.claims import THIN_POOL, Claim, claim_text, parse_claim, usable_mib
from provision.storage.devices import Device, parse_lsblk
from provision.storage.guard import Wiping, obstacle, refusal
from provision.storage.seen import (
    Group,
    Logical,
    Named,
    StorageSeen,
    arguments,
    parse,
)

DATA = Path(__file__).parents[2] / "data" / "lsblk"
SERIAL = "S4EWNX0R512345"
NO = Wiping()
NAMED = Wiping(frozenset({SERIAL}))
ALLOWED = Wiping(frozenset({SERIAL}), asked=True)
ROOT = Wish("lab.w1.root.0a1b2c3d", 12288)
DISK = "/dev/nvme0n1p3"


def seen(tree: str = "nvme", *named: Named, users: dict[str, str] | None = None) -> StorageSeen:
    devices = parse_lsblk((DATA / f"{tree}.json").read_text())
    return StorageSeen(devices, True, named={one.path: one for one in named}, users=users or {})


def blank(path: str = DISK, **more: object) -> Named:
    return replace(Named(path, path.rpartition("/")[2], 400 << 30), **more)  # type: ignore[arg-type]


def why(device: Named, wiping: Wiping, there: StorageSeen) -> str:
    fault = refusal(obstacle(device, there), wiping)
    return "" if fault is None else f"{fault.message} | {fault.hint}"


# ── the guard ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_blank_device_may_be_written_to() -> None:
    assert why(blank(), NO, seen()) == ""


def test_a_member_of_a_mounted_filesystem_is_in_use_though_it_shows_no_mount() -> None:
    disks = {
        name: Device(name, f"/dev/{name}", "disk", "nvme", False, SERIAL, 400 << 30, "", filesystem="btrfs", uuid=uuid)
        for name, uuid in (("nvme0n1", "A"), ("nvme1n1", "A"), ("nvme2n1", "B"), ("nvme3n1", ""))
    }
    disks["nvme0n1"] = replace(disks["nvme0n1"], mounts=("/srv",))
    there = StorageSeen(disks, True, folder_source="tank/vm (zfs)", folder_device="nvme3n1")
    member, other, below = (blank(f"/dev/nvme{n}n1", signatures=("btrfs",)) for n in (1, 2, 3))
    assert why(member, ALLOWED, there).startswith(
        "/dev/nvme1n1 is in use: /dev/nvme1n1 is part of the btrfs mounted at /srv"
    )
    assert why(other, ALLOWED, there) == ""
    assert "is part of tank/vm (zfs), where the pool's folder is" in why(below, ALLOWED, there)


@pytest.mark.parametrize("signature", ["ext4", "gpt", "LVM2_member", "linux_raid_member", "swap", "crypto_LUKS"])
def test_any_signature_is_in_the_way_until_serial_and_flag_both_allow_it(signature: str) -> None:
    device = blank(signatures=(signature,))
    assert f"{DISK} is not blank, it holds {signature}" in why(device, NO, seen())
    assert f"name its serial number ({SERIAL}) under storage.wipe, and say --wipe" in why(device, NO, seen())
    assert "is named under storage.wipe: --wipe on the command line lets it be lost" in why(device, NAMED, seen())
    assert "is not blank" in why(device, Wiping(frozenset({"other"}), asked=True), seen())
    assert why(device, ALLOWED, seen()) == ""


def test_a_mounted_device_is_never_written_to() -> None:
    device = blank("/dev/nvme0n1p2", signatures=("ext4",))
    assert "/dev/nvme0n1p2 is in use: /dev/nvme0n1p2 is mounted at /srv/nvme" in why(device, ALLOWED, seen())


def test_a_disk_with_a_mounted_partition_is_in_use_and_one_with_others_says_what_they_hold() -> None:
    whole = blank("/dev/nvme0n1", signatures=("gpt", "PMBR"))
    assert "/dev/nvme0n1p1 is mounted at /boot/efi; /dev/nvme0n1p2 is mounted at" in why(whole, ALLOWED, seen())
    idle = seen()
    idle = replace(idle, devices={name: replace(one, mounts=()) for name, one in idle.devices.items()})
    assert "it holds gpt, PMBR, vfat on /dev/nvme0n1p1, ext4 on /dev/nvme0n1p2" in why(whole, NAMED, idle)
    assert why(whole, ALLOWED, idle) == ""


def test_what_works_on_a_device_keeps_it() -> None:
    device = blank(signatures=("LVM2_member",))
    assert "/dev/mapper/vg0-wide (lvm) is on it" in why(device, ALLOWED, seen("lvm-on-nvme"))
    member = blank("/dev/nvme0n1p2", signatures=("linux_raid_member",))
    assert "/dev/md0 (raid1) is on it" in why(member, ALLOWED, seen("md-on-nvme"))


def test_swap_that_is_on_keeps_it() -> None:
    there = seen()
    devices = {**there.devices, "nvme0n1p3": replace(there.devices["nvme0n1p3"], mounts=("[SWAP]",))}
    assert f"{DISK} is used as swap" in why(blank(signatures=("swap",)), ALLOWED, replace(there, devices=devices))


@pytest.mark.parametrize("held", ["nvme0n1p3", "nvme0n1"])
def test_a_disk_of_another_domain_is_in_use_as_a_whole_and_in_parts(held: str) -> None:
    assert f"domain windows has /dev/{held}" in why(blank(), ALLOWED, seen(users={held: "windows"}))
    assert why(blank("/dev/nvme0n1p2"), ALLOWED, seen(users={"nvme0n1p3": "windows"})).count("windows") == 0
    assert "domain windows has" in why(blank("/dev/nvme0n1"), ALLOWED, seen(users={held: "windows"}))


def test_a_device_without_a_serial_number_cannot_be_named() -> None:
    device = Named("/dev/loop0", "loop0", 1 << 30, signatures=("ext4",))
    there = seen("loop")
    there = replace(there, devices={name: replace(one, mounts=()) for name, one in there.devices.items()})
    found = why(device, Wiping(frozenset({""}), asked=True), there)
    assert "it has no serial number" in found
    assert "`wipefs --all /dev/loop0`" in found


# ── whole devices ────────────────────────────────────────────────────────────────────────────────────────────────


BLOCK = Pool(type="block", devices=("/dev/nvme0n1p1", DISK))


def claimed(path: str, name: str, *, ready: bool = True) -> Named:
    return blank(path, claim=claim_text(Claim(name, ready)))


def devices_of(found: Allotment) -> dict[str, str]:
    return {name: device.path for name, device in found.devices.items()}


def free(*named: Named) -> StorageSeen:
    there = seen("nvme", *named)
    return replace(there, devices={name: replace(one, mounts=(), filesystem="") for name, one in there.devices.items()})


def test_devices_are_given_in_the_inventorys_order_and_whole() -> None:
    found = allot(BLOCK, [ROOT], free(blank("/dev/nvme0n1p1"), blank()), NO)
    assert devices_of(found) == {ROOT.name: "/dev/nvme0n1p1"}
    assert found.devices[ROOT.name].size_mib == usable_mib(400 << 30) == 400 * 1024 - 1
    assert (found.faults, found.wipes) == ((), ())


def test_a_claim_is_remembered_whatever_the_order() -> None:
    there = free(blank("/dev/nvme0n1p1"), claimed(DISK, ROOT.name, ready=False))
    other = Wish("lab.w2.root.11111111", 12288)
    assert devices_of(allot(BLOCK, [other, ROOT], there, NO)) == {
        other.name: "/dev/nvme0n1p1", ROOT.name: DISK,
    }  # fmt: skip


def test_one_that_is_too_small_is_passed_over() -> None:
    there = free(blank("/dev/nvme0n1p1", size=12289 << 20), blank())
    assert devices_of(allot(BLOCK, [replace(ROOT, size_mib=12289)], there, NO)) == {ROOT.name: DISK}
    assert devices_of(allot(BLOCK, [ROOT], there, NO)) == {ROOT.name: "/dev/nvme0n1p1"}


def test_too_few_devices_are_a_fault_with_what_is_left() -> None:
    there = free(blank("/dev/nvme0n1p1"), claimed(DISK, "lab.old.root.22222222"))
    found = allot(BLOCK, [replace(ROOT, size_mib=500_000)], there, NO)
    (fault,) = found.faults
    assert fault.message == (
        "no device is left for lab.w1.root.0a1b2c3d, which needs 500000 MiB; left of 2: "
        "/dev/nvme0n1p1 (409599 MiB), /dev/nvme0n1p3 (409599 MiB)"
    )


def test_anothers_volume_is_no_free_device() -> None:
    there = free(claimed("/dev/nvme0n1p1", "prod.w1.root.22222222"))
    (fault,) = allot(BLOCK, [ROOT], there, NO).faults
    assert "it holds the volume prod.w1.root.22222222 of meshctl" in fault.message


def test_what_may_be_wiped_is_named_and_what_is_not_reached_is_not() -> None:
    there = free(blank("/dev/nvme0n1p1", signatures=("ext4",)), blank(signatures=("swap",)))
    found = allot(BLOCK, [ROOT], there, ALLOWED)
    assert [(one.path, one.holds) for one in found.wipes] == [("/dev/nvme0n1p1", ("ext4",))]
    assert not found.faults
    assert allot(BLOCK, [ROOT], there, NO).wipes == ()


def test_a_device_does_not_grow_with_the_inventory() -> None:
    found = allot(BLOCK, [replace(ROOT, size_mib=500_000)], free(claimed(DISK, ROOT.name)), NO)
    (fault,) = found.faults
    assert fault.message == (
        f"{ROOT.name} has {DISK} with 409599 MiB, and now needs 500000: a device has the size it has"
    )


@pytest.mark.parametrize("text", ["", "meshctl 1 ready ", "meshctl 2 ready x", "meshctl 1 half x", "\x7fELF ready x"])
def test_what_is_no_claim(text: str) -> None:
    assert parse_claim(text) is None


@pytest.mark.parametrize("ready", [True, False])
def test_a_claim_is_read_as_it_was_written(ready: bool) -> None:
    assert parse_claim(claim_text(Claim(ROOT.name, ready))) == Claim(ROOT.name, ready)


# ── volume groups ────────────────────────────────────────────────────────────────────────────────────────────────


LOGICAL = Pool(type="logical", volume_group="vg0", devices=(DISK,))


def with_group(free_mib: int, *volumes: Logical) -> StorageSeen:
    group = Group("vg0", 400 << 30, free_mib << 20, (), (DISK,))
    return replace(seen(), groups={"vg0": group}, logicals=volumes)


def test_a_group_is_made_of_blank_devices_only() -> None:
    assert allot(LOGICAL, [ROOT], seen("nvme", blank()), NO) == Allotment()
    (fault,) = allot(LOGICAL, [ROOT], seen("nvme", blank(signatures=("ext4",))), NO).faults
    assert "is not blank" in fault.message
    assert allot(LOGICAL, [ROOT], seen("nvme", blank(signatures=("ext4",))), ALLOWED).wipes[0].path == DISK


def test_the_devices_of_a_group_that_exists_are_left_alone() -> None:
    there = replace(with_group(20_000), named={DISK: blank(signatures=("LVM2_member",))})
    assert allot(LOGICAL, [ROOT], there, NO) == Allotment()


def test_volumes_that_do_not_fit_are_refused_with_numbers() -> None:
    (fault,) = allot(LOGICAL, [ROOT], with_group(12_000), NO).faults
    assert fault.message == "volume group vg0 has 12000 MiB free, 12288 needed by lab.w1.root.0a1b2c3d"
    assert allot(LOGICAL, [ROOT], with_group(0, Logical("vg0", ROOT.name, 12 << 30)), NO).faults == ()


def test_thin_volumes_may_be_larger_than_what_is_free() -> None:
    thin = LOGICAL.model_copy(update={"thin": True})
    assert allot(thin, [ROOT], with_group(4_000), NO).faults == ()
    assert "for a thin pool" in allot(thin, [ROOT], with_group(1_000), NO).faults[0].message
    assert allot(thin, [ROOT], with_group(0, Logical("vg0", THIN_POOL, 1 << 30)), NO).faults == ()


# ── what the host says ───────────────────────────────────────────────────────────────────────────────────────────


def test_users_are_known_by_the_devices_behind_their_links() -> None:
    disks = {"/dev/vg0/images": "windows", "/dev/disk/by-id/x": "bsd"}
    assert arguments("/srv", [DISK], disks) == [
        "/srv", f"device:{DISK}", "used:/dev/vg0/images", "used:/dev/disk/by-id/x",
    ]  # fmt: skip
    tree = (DATA / "nvme.json").read_text()
    answer = (
        f"@lsblk\n{tree}\n@folder /srv\n\n@used /dev/vg0/images\n/dev/dm-0\n\n@used /dev/disk/by-id/x\n/dev/nvme0n1p3\n"
    )
    assert parse(answer, disks).users == {"dm-0": "windows", "nvme0n1p3": "bsd"}


def test_the_trees_are_of_devices() -> None:
    assert isinstance(seen().devices["nvme0n1"], Device)


def test_what_a_volume_grows_by_must_be_free() -> None:
    there = Logical("vg0", ROOT.name, 10_000 << 20)
    assert allot(LOGICAL, [ROOT], with_group(12288 - 10_000, there), NO).faults == ()
    (fault,) = allot(LOGICAL, [ROOT], with_group(12288 - 10_001, there), NO).faults
    assert fault.message == f"volume group vg0 has 2287 MiB free, 2288 needed by {ROOT.name}"


def test_files_of_data_volumes_grow_into_what_is_free_in_the_folder() -> None:
    pool, wishes = Pool(path="/srv/pool"), [Wish("data", 300), Wish("new", 900), Wish("same", 100)]
    sizes = {"data": 100, "same": 100}
    assert list(file_faults(pool, wishes, sizes, 200)) == []
    (fault,) = file_faults(pool, wishes, sizes, 199)
    assert fault.message == "/srv/pool has 199 MiB free, 200 more are needed by data"
