"""The kernel settings of a guest: the file that sets them at each start, and how they change while it runs."""

from __future__ import annotations

from collections.abc import Mapping

from provision.base.shell import Shell

SETTINGS = "/etc/sysctl.d/90-meshctl.conf"
"""Read at each start by systemd-sysctl(8); written first by the guest's seed (cloud-init/user-data.j2)."""


def sysctl_file(settings: Mapping[str, int | str]) -> str:
    """/etc/sysctl.d form of the inventory's settings."""
    return "".join(f"{key} = {value}\n" for key, value in sorted(settings.items()))


def set_sysctl(shell: Shell, settings: Mapping[str, int | str]) -> str:
    """Writes the file and sets what it says, all that the kernel takes; what sysctl(8) says of the rest. Reading back is the caller's."""
    shell.put(SETTINGS, sysctl_file(settings).encode())
    return shell.run(["sysctl", "-q", "-p", SETTINGS], check=False).stderr.strip()
