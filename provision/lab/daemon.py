"""The lab's libvirtd: its configuration, its start, and whether it answers."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from provision.base.errors import CommandFailed, MeshctlError
from provision.base.events import Emit
from provision.base.shell import Local
from provision.base.waiting import NotYet, Ready, wait_until
from provision.lab.places import Lab
from provision.lab.processes import in_namespace, lives, sees_state

START_S = 180.0
"""The first start probes every QEMU program: 2 s on an idle machine, 8 s measured beside a compiler on two cores."""

ANSWER_S = 60.0

LIBVIRTD_CONF = """unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
"""

# As Debian has it where there is no polkit: root and the group libvirt.
HOST_LIBVIRTD_CONF = """unix_sock_group = "libvirt"
unix_sock_rw_perms = "0770"
auth_unix_ro = "none"
auth_unix_rw = "none"
"""


def host_libvirtd_conf(lab: Lab) -> str:
    """A host's libvirtd.conf. Its uuid is its own: by the machine's, which all hosts of a lab share, they would be one host."""
    return f'{HOST_LIBVIRTD_CONF}host_uuid = "{uuid.uuid5(uuid.NAMESPACE_URL, lab.uri)}"\n'


# As root without AppArmor, cgroups or mount namespaces of its own: the lab must work where there are none of them.
# stdio_handler: without virtlogd QEMU writes its logs and the guests' consoles itself.
QEMU_CONF = """user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
remember_owner = 0
"""

# Runs in the network namespace and in a mount namespace of its own. $1: the state folder, $2: the runtime folder; then a program.
# No system bus: libvirt would tell the machine's firewalld, machined and logind of a network and guests not theirs.
# A place that users log in to has accounts of its own; nscd would answer with the machine's.
# No name servers: dnsmasq shall refuse foreign names at once, not wait for servers out of reach.
# hugetlbfs must be mounted before libvirtd starts: it looks only then.
_PLACE = """
set -eu
state=$1 run=$2
shift 2
over() { mkdir -p "$2"; mount --bind "$1" "$2"; }
over "$state/libvirt/etc" /etc/libvirt
for folder in lib cache log; do over "$state/libvirt/$folder" "/var/$folder/libvirt"; done
over "$run" /run/libvirt
if [ -d /run/dbus ]; then mount --bind "$state/empty" /run/dbus; fi
if [ -e /etc/resolv.conf ]; then mount --bind "$state/resolv.conf" /etc/resolv.conf; fi
if grep -qw hugetlbfs /proc/filesystems; then mount -t hugetlbfs hugetlbfs "$state/hugepages"; fi
if [ -d "$state/accounts" ]; then
    for file in "$state/accounts"/*; do mount --bind "$file" "/etc/${file##*/}"; done
    if [ -d /run/nscd ]; then mount --bind "$state/empty" /run/nscd; fi
fi
exec "$@"
"""


def start_daemon(lab: Lab, shell: Local, emit: Emit) -> None:
    """Starts libvirtd in the lab's namespaces and waits until it answers. Guests of a former one go on running.

    Raises MeshctlError with its last words when it ends, StageTimeout when it does not answer.
    """
    libvirtd = ("libvirtd", "--config", str(lab.state / "libvirtd.conf"), "--pid-file", str(lab.pid_file))
    pid = shell.background(in_place(lab, libvirtd), log=str(lab.log))

    def look() -> Ready[None] | NotYet:
        if answers(lab, shell):
            return Ready(None)
        if not lives(pid):
            raise MeshctlError(f"lab {lab.name}: libvirtd ended at once\n{_last_lines(lab, 12)}", hint=f"see {lab.log}")
        return NotYet(_last_lines(lab, 1) or "libvirtd has said nothing yet")

    wait_until(look, what=f"lab {lab.name}: libvirtd", within_s=START_S, every_s=0.1, emit=emit, hint=f"see {lab.log}")


def in_place(lab: Lab, argv: Sequence[str]) -> tuple[str, ...]:
    """Argv that starts a program in the lab's network namespace and in a new mount namespace with the lab's folders."""
    # `ip netns exec` gives a fresh /sys: no cgroups in sight, so libvirt needs neither systemd nor a version of them.
    enter = ("ip", "netns", "exec", lab.namespace, "unshare", "--mount", "--propagation", "slave")
    return (*enter, "sh", "-c", _PLACE, "lab", str(lab.state), str(lab.run), *argv)


def _last_lines(lab: Lab, count: int) -> str:
    return "\n".join(lab.log.read_text(errors="replace").splitlines()[-count:])


def answers(lab: Lab, shell: Local) -> bool:
    """Whether libvirt works: a socket that accepts is not enough, `version` needs the QEMU driver."""
    if daemon_pid(lab) is None or not (lab.run / "libvirt-sock").exists():
        return False
    try:
        return shell.read(["virsh", "--connect", lab.uri, "version"], within_s=ANSWER_S, check=False).status == 0
    except CommandFailed:
        return False


def daemon_pid(lab: Lab) -> int | None:
    """The pid of the lab's libvirtd, None when it is not running."""
    return pid_in(lab, lab.pid_file)


def pid_in(lab: Lab, path: Path) -> int | None:
    """The pid in a file, None unless it is a process of the lab: a number in a file may be another process by now."""
    with suppress(OSError, ValueError):
        pid = int(path.read_text())
        return pid if in_namespace(lab, pid) and sees_state(lab, pid) else None
    return None
