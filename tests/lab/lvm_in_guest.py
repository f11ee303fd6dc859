"""LVM for a guest, so that it can play a host whose kernel has device-mapper: programs of this machine with their libraries.

This machine and the base image are both Debian 12; what the guest has already is left as it is.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from provision.base.shell import Local
from provision.guests.ssh import Ssh

PROGRAMS = ("/usr/sbin/lvm", "/usr/sbin/pdata_tools", "/usr/bin/qemu-img")
"""LVM, the thin pool's checker that LVM calls, and what fills a volume."""

LINKS = ("vgs", "lvs", "pvs", "vgcreate", "vgremove", "pvremove", "lvcreate", "lvremove", "lvchange", "thin_check")
RULES = ("/lib/udev/rules.d/56-lvm.rules", "/lib/udev/rules.d/69-lvm.rules")


def install(guest: Ssh) -> None:
    """Copies LVM into a guest and loads device-mapper there."""
    here = Local()
    libraries = {
        word
        for program in PROGRAMS
        for word in here.read(["ldd", program]).stdout.split()
        if word.startswith("/") and Path(word).exists()
    }
    _copy(guest, ["--dereference", *sorted(libraries), *PROGRAMS, *RULES])
    _copy(guest, [f"/usr/sbin/{link}" for link in LINKS])
    guest.run(["modprobe", "--all", "dm_mod", "dm_thin_pool"])


def _copy(guest: Ssh, words: list[str]) -> None:
    with TemporaryDirectory() as folder:
        archive = Path(folder) / "lvm.tar"
        Local().run(["tar", "--create", "--absolute-names", f"--file={archive}", *words])
        guest.run(
            ["tar", "--extract", "--absolute-names", "--skip-old-files"], stdin=archive.read_bytes(), within_s=300
        )
