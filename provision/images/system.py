"""The system inside a base image: what mmdebstrap is told, and the files that are laid into it."""

from __future__ import annotations

import io
import shlex
import tarfile
from pathlib import Path

from provision.images import mirror
from provision.images.disk import grub_config
from provision.images.recipes import File, Recipe

_UNWANTED = ("/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/lintian/*")
_WANTED = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")

FINISH = (
    "rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id /var/lib/systemd/random-seed /etc/motd",
    "rm -rf /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/99mmdebstrap /var/lib/cloud /var/lib/dhcp/*",
    "rm -rf /var/log/* /var/cache/debconf/*-old /var/lib/dpkg/*-old",
    "test -e /vmlinuz",
    "test -e /initrd.img",
)
"""Run in the system at the end: what must be unique to a machine goes, and the links by which GRUB boots are there."""


CONFINED = ("setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--")
"""Own mounts and processes for mmdebstrap, which mounts this machine's /dev in the chroot: when meshctl is killed the
kernel ends them all, and nothing is left mounted."""


def mmdebstrap(recipe: Recipe, root: str, files: str) -> list[str]:
    """The command that makes the system in the folder `root`.

    `files` is what `archive` wrote; the command reads apt's sources from stdin.
    """
    return [
        *CONFINED,
        "mmdebstrap",
        "--mode=root",
        "--format=directory",
        "--variant=minbase",
        f"--architectures={recipe.architecture}",
        f"--components={','.join(recipe.components)}",
        f"--include={','.join(recipe.packages)}",
        *(f"--dpkgopt=path-exclude={path}" for path in _UNWANTED),
        *(f"--dpkgopt=path-include={path}" for path in _WANTED),
        # Before the other packages are installed, so that the initial ramdisk is made as the files say, once.
        f"--essential-hook=tar-in {shlex.quote(files)} /",
        *(f"--customize-hook={hook}" for hook in _hooks(recipe)),
        recipe.suite,
        root,
        "-",
    ]


def _hooks(recipe: Recipe) -> list[str]:
    verbs = {"enable": recipe.services.enable, "disable": recipe.services.disable, "mask": recipe.services.mask}
    calls = [shlex.join(["systemctl", "--quiet", verb, *units]) for verb, units in verbs.items() if units]
    return [f'chroot "$1" {call}' for call in (*calls, shlex.join(["sh", "-c", " && ".join(FINISH)]))]


def files(recipe: Recipe) -> tuple[File, ...]:
    """The recipe's files, and those that follow from its other fields."""
    initramfs = f"MODULES=list\nCOMPRESS={recipe.initramfs.compression}\n"
    return (
        # Empty, not absent: systemd then draws an identity at boot without taking the boot for a first one.
        File(path="/etc/machine-id", content="", mode="0444"),
        File(path="/etc/fstab", content=f"LABEL={recipe.disk.label} / ext4 errors=remount-ro,x-systemd.growfs 0 1\n"),
        # systemd grows the partition and then the filesystem, in a tenth of cloud-init's time.
        File(path="/etc/repart.d/50-root.conf", content="[Partition]\nType=root\n"),
        File(path="/etc/initramfs-tools/conf.d/meshctl", content=initramfs),
        File(path="/usr/share/initramfs-tools/modules.d/meshctl", content="\n".join((*recipe.initramfs.modules, ""))),
        # The guest's own sources: not the mirror of the machine that built the image.
        File(path="/etc/apt/sources.list", content=mirror.sources(recipe, mirror.DEFAULT, mirror.DEFAULT_SECURITY)),
        *recipe.files,
    )


def archive(recipe: Recipe, path: Path) -> None:
    """Writes the files as a tar archive, owned by root."""
    with tarfile.open(path, "w") as tar:
        for file in (*files(recipe), _grub(recipe)):
            content = file.content.encode()
            member = tarfile.TarInfo(file.path.lstrip("/"))
            member.size, member.mode = len(content), int(file.mode, 8)
            tar.addfile(member, io.BytesIO(content))


def _grub(recipe: Recipe) -> File:
    # A recipe may not reach below /boot; the builder may.
    return File.model_construct(path="/boot/grub/grub.cfg", content=grub_config(recipe), mode="0644")
