"""A bootable disk image made of plain files: GPT, ext4 and GRUB without loop devices, mounts or grub-install.

Loop devices are scarce and shared, lack partition nodes in containers and leak when a build is killed. mke2fs fills
a filesystem from a folder by itself, and what grub-bios-setup writes for a GPT disk is three numbers and two bytes.
"""

from __future__ import annotations

import struct
from pathlib import Path

from provision.base.errors import ImageError
from provision.base.shell import Shell
from provision.base.units import MIB
from provision.images.recipes import Recipe
from provision.images.reproducible import fixed_uuid, settle_inodes, used_inodes

SECTOR = 512
BOOT_START = 2048
BOOT_SECTORS = 2048
ROOT_START = BOOT_START + BOOT_SECTORS
TAIL_SECTORS = 2048
"""Left free at the end for the second copy of the GPT (33 sectors), rounded to 1 MiB."""

GRUB_FOLDER = Path("/usr/lib/grub/i386-pc")
GRUB_MODULES = ("biosdisk", "part_gpt", "ext2", "normal", "linux", "configfile", "echo", "test", "ls", "search_label")
GRUB_PREFIX = "(,gpt2)/boot/grub"

# GPT partition types: BIOS boot (GRUB manual, "BIOS installation") and x86-64 root (Discoverable Partitions
# Specification), by which systemd-repart knows which partition to grow.
_BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
_ROOT_X86_64 = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"

# Offsets in GRUB's first sector: boot.S, and include/grub/i386/pc/boot.h of GRUB 2.06.
_MBR_CODE_END = 0x1B8
_KERNEL_SECTOR = 0x5C
_DRIVE_CHECK = 0x66
_BLOCKLIST_START = SECTOR - 12


def partition_table(recipe: Recipe) -> str:
    """The script for sfdisk."""
    root_sectors = recipe.disk.size_mib * MIB // SECTOR - ROOT_START - TAIL_SECTORS
    return (
        f"label: gpt\nlabel-id: {fixed_uuid(recipe.name, 'disk')}\nunit: sectors\n"
        f"start={BOOT_START}, size={BOOT_SECTORS}, type={_BIOS_BOOT}, name=bios, uuid={fixed_uuid(recipe.name, 'bios')}\n"
        f"start={ROOT_START}, size={root_sectors}, type={_ROOT_X86_64}, name=root, uuid={fixed_uuid(recipe.name, 'root')}\n"
    )


def grub_config(recipe: Recipe) -> str:
    """grub.cfg: the symbolic links that every kernel package keeps in /, so no update-grub is ever needed."""
    arguments = " ".join((f"root=LABEL={recipe.disk.label}", "ro", *recipe.kernel_command_line))
    return (
        "set timeout=0\nset default=0\nset fallback=1\n"
        f"menuentry 'Linux' {{\n  linux /vmlinuz {arguments}\n  initrd /initrd.img\n}}\n"
        f"menuentry 'Linux, the kernel before' {{\n  linux /vmlinuz.old {arguments}\n  initrd /initrd.img.old\n}}\n"
    )


def make_filesystem(shell: Shell, recipe: Recipe, root: Path, disk: Path) -> None:
    """Makes the sparse file `disk` with its partition table and with the folder `root` as its root filesystem.

    Equal folders give equal bytes in a shell with the environment of `reproducible`.
    """
    with disk.open("wb") as file:
        file.truncate(recipe.disk.size_mib * MIB)
    shell.run(["sfdisk", "--quiet", str(disk)], stdin=partition_table(recipe).encode())
    kibibytes = recipe.disk.size_mib * 1024 - (ROOT_START + TAIL_SECTORS) * SECTOR // 1024
    # The inode tables are written now (a hole in the file costs nothing) and not by every guest in the background.
    options = f"offset={ROOT_START * SECTOR},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"
    options += f",hash_seed={fixed_uuid(recipe.name, 'hash seed')}"
    argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-m", "1", "-L", recipe.disk.label]
    argv += ["-U", fixed_uuid(recipe.name, "filesystem"), "-E", options, "-d", str(root)]
    shell.run([*argv, str(disk), f"{kibibytes}k"], within_s=300)
    filesystem = f"{disk}?offset={ROOT_START * SECTOR}"
    settle_inodes(shell, filesystem, used_inodes(shell, filesystem))


def install_grub(shell: Shell, disk: Path) -> None:
    """Writes GRUB's first sector and its core into `disk`, as grub-bios-setup does on a real one."""
    core = disk.with_name("core.img")
    shell.run(["grub-mkimage", "-O", "i386-pc", "-p", GRUB_PREFIX, "-o", str(core), *GRUB_MODULES])
    with disk.open("r+b") as file:
        file.write(first_sector((GRUB_FOLDER / "boot.img").read_bytes()))
        file.seek(BOOT_START * SECTOR)
        file.write(core_sectors(core.read_bytes()))
    core.unlink()


def first_sector(boot: bytes) -> bytes:
    """The code of the first sector, which loads the core from the BIOS boot partition; without the partition table."""
    code = bytearray(boot[:_MBR_CODE_END])
    struct.pack_into("<Q", code, _KERNEL_SECTOR, BOOT_START)
    # grub-bios-setup does so for hard disks: the drive number that the BIOS gives is taken as it is.
    code[_DRIVE_CHECK : _DRIVE_CHECK + 2] = b"\x90\x90"
    return bytes(code)


def core_sectors(core: bytes) -> bytes:
    """The core: its first sector loads the others, from behind itself. Raises ImageError when it does not fit."""
    padded = bytearray(core + bytes(-len(core) % SECTOR))
    if len(padded) > BOOT_SECTORS * SECTOR:
        raise ImageError(f"GRUB's core takes {len(padded)} bytes, the boot partition has {BOOT_SECTORS * SECTOR}")
    struct.pack_into("<Q", padded, _BLOCKLIST_START, BOOT_START + 1)
    return bytes(padded)
