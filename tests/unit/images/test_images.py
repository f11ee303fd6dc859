"""Base images: recipes are read strictly, the digest follows all that goes in, the disk is bootable as GRUB defines it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import subprocess
import time
from pathlib import Path

import pytest

from provision import images
from provision.base import data
from provision.base.errors import ImageError
from provision.base.events import nowhere
from provision.base.shell import Local
from provision.base.waiting import NotYet, Ready, wait_until
from provision.images import builder, disk, mirror, recipes, reproducible, system
from provision.images.workspace import workspace

SHIPPED = (data.folder("images") / "debian-12.yaml").read_text()


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(disk.ROOT_START * disk.SECTOR)


def write(folder: Path, text: str) -> Path:
    path = folder / "debian-12.yaml"
    path.write_text(text)
    return path


def test_the_shipped_recipe_holds_what_kubernetes_needs() -> None:
    found = images.recipe("debian-12")
    needed = {"apparmor", "cloud-init", "conntrack", "docker.io", "ebtables", "ethtool", "iptables", "openssh-server"}
    assert needed | {"linux-image-cloud-amd64", "qemu-guest-agent", "socat"} <= set(found.packages)
    assert "systemd.unified_cgroup_hierarchy=0" in found.kernel_command_line
    docker = json.loads(next(file.content for file in found.files if file.path == "/etc/docker/daemon.json"))
    assert docker["default-ipc-mode"] == "shareable"
    assert docker["exec-opts"] == ["native.cgroupdriver=cgroupfs"]
    assert {"virtio_blk", "ext4"} <= set(found.initramfs.modules)


def test_an_unknown_recipe_is_named_with_those_there_are() -> None:
    with pytest.raises(ImageError, match="plan-9") as caught:
        images.recipe("plan-9")
    assert "debian-12" in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("suite: bookworm", "suit: bookworm", r"debian-12.yaml:\d+: suit: Extra inputs"),
        ("suite: bookworm\n", "", r"suite: Field required"),
        ("format: 1", "format: 2", r"debian-12.yaml:3: format: "),
        ('version: "1"', "version: 1", r"debian-12.yaml:5: version: Input should be a valid string"),
        ("- sudo\n", "- sudo; rm -rf /\n", r"debian-12.yaml:\d+: packages.\d+: "),
        ("size: 3GiB", "size: 3G", r"debian-12.yaml:\d+: disk.size: .*KiB, MiB"),
        ("size: 3GiB", "size: 100MiB", r"disk.size: .*1024MiB"),
        ("/etc/hostname", "/etc/../root/x", r"files.\d+.path: .*absolute path"),
        ("suite: bookworm", "suite: bookworm\nsuite: trixie", r"'suite' stands here twice"),
        ("name: debian-12", "name: debian-13", r"name: is 'debian-13', the file is called 'debian-12'"),
        ("format: 1", "format: [", r"cannot be read"),
    ],
)
def test_faults_carry_file_line_and_field(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in SHIPPED
    with pytest.raises(ImageError, match=fault):
        recipes.load(write(tmp_path, SHIPPED.replace(old, new, 1)))


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = SHIPPED.replace("size: 3GiB", "size: 3G").replace("compression: lz4", "compression: arj")
    with pytest.raises(ImageError) as caught:
        recipes.load(write(tmp_path, text))
    assert len(caught.value.message.splitlines()) == 2


def test_the_digest_follows_the_recipe_and_nothing_else(tmp_path: Path) -> None:
    def digest(text: str) -> str:
        return builder.digest(recipes.load(write(tmp_path, text)))

    assert digest(SHIPPED) == digest("# a comment changes nothing\n" + SHIPPED)
    changed = {
        digest(SHIPPED.replace(old, new, 1)) for old, new in (("- socat\n", ""), ("3GiB", "4GiB"), ("lz4", "zstd"))
    }
    assert len(changed | {digest(SHIPPED)}) == 4


def test_an_image_is_found_by_its_digest_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MESHCTL_CACHE", str(tmp_path))
    assert images.cached("debian-12") is None
    target = tmp_path / "images" / f"debian-12-{images.digest(images.recipe('debian-12'))[:12]}.qcow2"
    target.parent.mkdir()
    target.touch()
    assert images.cached("debian-12") == target
    assert images.build("debian-12") == target  # built already: needs neither root nor programs


def test_a_workspace_removes_what_a_killed_build_left(tmp_path: Path) -> None:
    stale = tmp_path / ".debian-12.partial-abc" / "root"
    stale.mkdir(parents=True)

    def interrupted() -> None:
        with workspace(tmp_path, "debian-12", nowhere, within_s=5) as place:
            assert not stale.exists()
            assert place.is_dir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == [".debian-12.lock"]


def test_only_the_debian_archive_of_this_machine_is_used() -> None:
    listed = """
http://mirror.example.org/debian/ Debian Debian
https://deb.nodesource.com/node_20.x . nodistro
https://download.docker.com/linux/debian Docker Docker CE
http://mirror.example.org/debian-security/ Debian Debian-Security
file:/srv/debian Debian Debian
"""
    assert mirror.choose(listed) == ("http://mirror.example.org/debian", "http://mirror.example.org/debian-security")
    assert mirror.choose("https://deb.nodesource.com/x . y") == (mirror.DEFAULT, mirror.DEFAULT_SECURITY)


def test_the_suite_its_updates_and_its_security_updates_are_used_and_signed_by_debian() -> None:
    text = mirror.sources(images.recipe("debian-12"), "http://a/debian", "http://a/debian-security")
    assert re.findall(r"http://\S+ \S+", text) == [
        "http://a/debian bookworm",
        "http://a/debian bookworm-updates",
        "http://a/debian-security bookworm-security",
    ]
    assert text.count(f"[signed-by={mirror.KEYRING}]") == 3


def test_the_image_keeps_nothing_that_is_unique_to_a_machine() -> None:
    found = images.recipe("debian-12")
    assert next(file.content for file in system.files(found) if file.path == "/etc/machine-id") == ""
    hooks = " ".join(part for part in system.mmdebstrap(found, "ROOT", "FILES") if part.startswith("--customize-hook"))
    assert "/etc/ssh/ssh_host_*" in hooks
    assert "random-seed" in hooks


def test_grubs_first_sector_and_core_point_at_the_boot_partition() -> None:
    boot = disk.first_sector((disk.GRUB_FOLDER / "boot.img").read_bytes())
    assert len(boot) == 440, "the rest of the sector is the partition table's"
    assert struct.unpack_from("<Q", boot, 0x5C) == (disk.BOOT_START,)
    core = disk.core_sectors(bytes(1000))
    assert len(core) == 1024
    assert struct.unpack_from("<Q", core, 500) == (disk.BOOT_START + 1,)
    with pytest.raises(ImageError, match="boot partition"):
        disk.core_sectors(bytes(2 * 1024 * 1024))


def test_a_disk_is_made_of_plain_files(tmp_path: Path) -> None:
    found = images.recipe("debian-12")
    root, target = tmp_path / "root", tmp_path / "disk.raw"
    (root / "boot" / "grub").mkdir(parents=True)
    (root / "boot" / "grub" / "grub.cfg").write_text(disk.grub_config(found))
    disk.make_filesystem(Local(), found, root, target)
    disk.install_grub(Local(), target)
    table = json.loads(subprocess.check_output(["sfdisk", "--json", target]))["partitiontable"]
    assert [part["name"] for part in table["partitions"]] == ["bios", "root"]
    filesystem = f"{target}?offset={disk.ROOT_START * disk.SECTOR}"
    shown = subprocess.run(["debugfs", "-R", "cat /boot/grub/grub.cfg", filesystem], capture_output=True, text=True)
    assert shown.stdout == disk.grub_config(found)
    assert f"root=LABEL={found.disk.label}" in shown.stdout
    subprocess.run(["e2fsck", "-fn", filesystem], check=True, capture_output=True)
    blocks = struct.unpack_from("<QHH", _head(target), disk.BOOT_START * 512 + 500)
    assert blocks[0] == disk.BOOT_START + 1
    assert 0 < blocks[1] < disk.BOOT_SECTORS


def _tree(root: Path) -> float:
    """A small system, made in the order that it is called for; gives when it was begun."""
    began = time.time()
    for name in ("usr/bin/tool", "etc/hosts", "var/lib/dpkg/status", "boot/vmlinuz-6.1"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "usr/bin/tool").chmod(0o755)
    os.utime(root / "boot/vmlinuz-6.1", (1_600_000_000, 1_600_000_000))
    os.link(root / "usr/bin/tool", root / "usr/bin/other-name")
    (root / "vmlinuz").symlink_to("boot/vmlinuz-6.1")
    return began


def test_equal_systems_give_equal_images_bit_by_bit(tmp_path: Path) -> None:
    """Made in another folder, a second later: filesystem, partition table, boot loader and compression."""
    found, shell = images.recipe("debian-12"), Local(env=reproducible.ENVIRONMENT)
    sums = []
    for place in (tmp_path / "one", tmp_path / "two"):
        began = _tree(place / "root")
        reproducible.settle_times(place / "root", began)
        disk.make_filesystem(shell, found, place / "root", place / "disk.raw")
        disk.install_grub(shell, place / "disk.raw")
        shell.run([*builder.CONVERT, str(place / "disk.raw"), str(place / "disk.qcow2")])
        sums.append(hashlib.sha256((place / "disk.qcow2").read_bytes()).hexdigest())
        _await_another_second()
    assert sums[0] == sums[1]
    filesystem = f"{tmp_path}/two/disk.raw?offset={disk.ROOT_START * disk.SECTOR}"
    subprocess.run(["e2fsck", "-fn", filesystem], check=True, capture_output=True)
    shown = subprocess.run(
        ["debugfs", "-R", "stat /boot/vmlinuz-6.1", filesystem], capture_output=True, text=True
    ).stdout
    assert f"mtime: {1_600_000_000:#x}" in shown, "what a package brought keeps its time"
    assert f" ctime: {reproducible.EPOCH:#x}" in shown


def _await_another_second() -> None:
    """ext4 keeps whole seconds of ctime here."""
    before = int(time.time())
    wait_until(
        lambda: Ready(None) if int(time.time()) > before else NotYet("the same second"),
        what="another second",
        within_s=3,
        every_s=0.05,
    )


def test_the_packages_of_a_system_are_listed(tmp_path: Path) -> None:
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text(
        "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.2.13\nDescription: zlib\n more: text\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n"
        "Package: adduser\nStatus: install ok installed\nArchitecture: all\nVersion: 3.134\n\n"
    )
    assert reproducible.packages(tmp_path) == "adduser 3.134 all\nzlib1g 1:1.2.13 amd64\n"
