"""A libvirtd of the tests' own: real, in a mount and a network namespace, with all its folders below one. Needs root, as
namespaces do. libvirt's test driver keeps records only, and forgives what a real daemon does not.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provision.base.shell import Local
from provision.base.waiting import NotYet, Ready, wait_until
from provision.lab.daemon import LIBVIRTD_CONF, QEMU_CONF

START_S = 120.0

# What is started in place of QEMU: QEMU itself, in its own folder under a name that is to spare here (it looks for its firmware from
# there), but without a touch of each page of the guests' memory. Zeroing gigabytes would be most of what these tests wait for.
_QEMU = """\
#!/bin/bash
exec /usr/bin/qemu-system-i386 "${@//\\"prealloc\\":true/\\"prealloc\\":false}"
"""

# $1: the folder. No system bus: the machine's own daemons shall not hear of it. qemu.conf is the lab's.
_DAEMON = """
set -eu
over() { mkdir -p "$2"; mount --bind "$1" "$2"; }
over "$1/etc" /etc/libvirt
for folder in lib cache log; do over "$1/$folder" "/var/$folder/libvirt"; done
over "$1/run" /run/libvirt
mount --bind /usr/bin/qemu-system-x86_64 /usr/bin/qemu-system-i386
mount --bind "$1/qemu" /usr/bin/qemu-system-x86_64
if [ -d /run/dbus ]; then mount --bind "$1/empty" /run/dbus; fi
ip link set lo up
exec libvirtd --config "$1/libvirtd.conf" --pid-file "$1/run/libvirtd.pid"
"""


def uri_of(folder: Path) -> str:
    """How the daemon in a folder is reached."""
    return f"qemu+unix:///system?socket={folder}/run/libvirt-sock"


@contextmanager
def daemon(folder: Path) -> Iterator[str]:
    """A libvirtd with all it keeps in `folder`; gives its URI. It ends with what it started."""
    for part in ("etc", "lib", "cache", "log", "run", "empty"):
        (folder / part).mkdir(parents=True)
    folder.chmod(0o755)
    (folder / "libvirtd.conf").write_text(LIBVIRTD_CONF)
    (folder / "etc" / "qemu.conf").write_text(QEMU_CONF)
    (folder / "qemu").write_text(_QEMU)
    (folder / "qemu").chmod(0o755)
    enter = ("unshare", "--mount", "--net", "--propagation", "slave")
    with open(folder / "log" / "daemon", "wb") as log:
        process = subprocess.Popen([*enter, "sh", "-c", _DAEMON, "daemon", str(folder)], stdout=log, stderr=log)
    try:
        _await(folder, process)
        yield uri_of(folder)
    finally:
        process.terminate()
        process.wait(30)
        for pid in _left(folder):
            os.kill(pid, signal.SIGKILL)


def _await(folder: Path, process: subprocess.Popen[bytes]) -> None:
    def look() -> Ready[None] | NotYet:
        assert process.poll() is None, (folder / "log" / "daemon").read_text(errors="replace")[-2000:]
        asked = Local().read(["virsh", "--connect", uri_of(folder), "version"], within_s=60, check=False)
        return Ready(None) if asked.status == 0 else NotYet("; ".join(asked.last_lines))

    wait_until(look, what="the tests' libvirtd", within_s=START_S, every_s=0.1)


def _left(folder: Path) -> list[int]:
    """QEMU and dnsmasq outlive their libvirtd: they are known by its folder in what they write to."""
    return [int(path.read_text()) for path in folder.glob("run/**/*.pid") if _of(path, folder)]


def _of(pid_file: Path, folder: Path) -> bool:
    try:
        own = Path("/proc", pid_file.read_text().strip(), "mountinfo").read_text()
    except OSError:
        return False
    return f"{folder}/run" in own
