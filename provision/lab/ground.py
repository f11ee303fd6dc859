"""What a lab stands on: folders, SSH key and network namespace, made and removed."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from provision.base.errors import MeshctlError
from provision.base.shell import Local
from provision.lab.daemon import LIBVIRTD_CONF, QEMU_CONF
from provision.lab.places import Lab
from provision.lab.processes import end, members, obstacles


def make_folders(lab: Lab) -> None:
    """Makes what is missing of the lab's folders and writes libvirt's configuration."""
    libvirt = lab.state / "libvirt"
    for folder in (lab.run.parent, lab.run, lab.state.parent, lab.state, lab.pool, libvirt):
        _make_folder(folder)
    parts = (*(libvirt / part for part in ("etc", "lib", "cache", "log")), lab.state / "empty", lab.state / "hugepages")
    for folder in parts:
        _make_folder(folder)
    (lab.state / "libvirtd.conf").write_text(LIBVIRTD_CONF)
    (lab.state / "resolv.conf").write_text("# a lab knows its own names only\n")
    (libvirt / "etc" / "qemu.conf").write_text(QEMU_CONF)


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # whatever the umask: dnsmasq reads its files as nobody


def make_key(lab: Lab, shell: Local) -> None:
    """Makes the SSH key pair once; half a pair is replaced."""
    if lab.key.exists() and lab.key.with_suffix(".pub").exists():
        return
    fresh = lab.state / "new-key"
    for path in (fresh, fresh.with_suffix(".pub")):
        path.unlink(missing_ok=True)
    shell.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"meshctl-{lab.name}", "-f", str(fresh)])
    fresh.with_suffix(".pub").rename(lab.key.with_suffix(".pub"))
    fresh.rename(lab.key)


def clear_remains(lab: Lab, shell: Local) -> None:
    """Ends what stands in a new libvirtd's way. When no guest is left either, the new one starts as after a boot.

    Without that, libvirt would take its runtime files' word that networks and guests were started already.
    """
    end(lambda: obstacles(lab), f"lab {lab.name}: the end of what a former run left")
    if not members(lab):
        delete_namespace(lab, shell)
        shutil.rmtree(lab.run)
        _make_folder(lab.run)


def delete_namespace(lab: Lab, shell: Local) -> None:
    """Removes the network namespace, if there is one."""
    if lab.namespace_file.exists():
        shell.run(["ip", "netns", "delete", lab.namespace])


def make_namespace(lab: Lab, shell: Local) -> None:
    """Makes the network namespace, its loopback, and keeps bridged packets away from its firewall."""
    if not _is_namespace(lab.namespace_file):
        delete_namespace(lab, shell)  # a plain file: left by a power cut where /run is on disk
        shell.run(["ip", "netns", "add", lab.namespace])
    shell.run(["ip", "-n", lab.namespace, "link", "set", "lo", "up"])
    # Bridged packets must not meet libvirt's MASQUERADE rule: it would hide the nodes' addresses from the pods.
    script = 'for f in /proc/sys/net/bridge/bridge-nf-call-*tables; do if [ -e "$f" ]; then echo 0 > "$f"; fi; done'
    shell.run(["ip", "netns", "exec", lab.namespace, "sh", "-c", script])


def _is_namespace(path: Path) -> bool:
    with suppress(OSError):
        return path.stat().st_dev == os.stat("/proc/self/ns/net").st_dev
    return False


def unmount_below(folder: Path, shell: Local) -> None:
    """Nothing of ours is mounted outside the lab's own mount namespace; somebody else's mount must not be emptied."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((p for p in points if Path(p).is_relative_to(folder)), reverse=True):
        shell.run(["umount", point])


def remove(lab: Lab, folder: Path) -> None:
    """Removes a folder of the lab, and its parent when no other lab is there. Raises MeshctlError when it stays."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise MeshctlError(
            f"lab {lab.name}: cannot remove {folder}",
            hint=f"is something mounted or open there? `fuser -vm {folder}` tells",
        )
    with suppress(OSError):
        folder.parent.rmdir()  # only when no other lab is there
