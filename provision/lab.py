"""The embedded lab: a private place on this machine, with its own libvirtd in its own network namespace.

Everything of a lab lies below two folders and one namespace that carry its name, so that `down` can take all of it
away and nothing else. The machine's own libvirtd, if there is one, is neither used nor touched: the lab's has its
own state (bind-mounted over libvirt's folders in a private mount namespace), socket and configuration.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from provision.errors import CommandFailed, MeshctlError
from provision.events import Changed, Emit
from provision.shell import Local
from provision.waiting import NotYet, Ready, wait_until

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")
START_S = 60.0
END_S = 20.0

PACKAGES = {
    "libvirtd": "libvirt-daemon-system",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "iptables": "iptables",
    "socat": "socat",
    "ssh-keygen": "openssh-client",
}
"""Programs that the lab needs, and Debian's packages that have them."""

LIBVIRTD_CONF = """unix_sock_dir = "{run}"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
"""

# As root without AppArmor, cgroups or mount namespaces of its own: the lab must work on machines that have none of them.
# stdio_handler: without virtlogd QEMU writes its logs and the guests' consoles itself.
QEMU_CONF = """user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
remember_owner = 0
"""

# Runs inside the network namespace. $1: the state folder, $2: the runtime folder. Ends as libvirtd itself.
_DAEMON = """
set -eu
mount --make-rprivate /
for folder in etc lib cache log; do
    case $folder in etc) over=/etc/libvirt;; *) over=/var/$folder/libvirt;; esac
    mkdir -p "$over"
    mount --bind "$1/libvirt/$folder" "$over"
done
mkdir -p /run/libvirt
mount --bind "$1/libvirt/run" /run/libvirt
exec libvirtd --config "$1/libvirtd.conf" --pid-file "$2/libvirtd.pid" --timeout 0
"""



@dataclass(frozen=True)
class Lab:
    """A lab's places, all derived from its name. The default one is what inventories/lab.yaml names."""

    name: str = "lab"

    def __post_init__(self) -> None:
        if NAME.fullmatch(self.name) is None:
            raise MeshctlError(f"{self.name!r} is not a name for a lab", hint="lower-case letters, digits and inner hyphens, at most 20")

    @property
    def namespace(self) -> str:
        """The network namespace."""
        return f"meshctl-{self.name}"

    @property
    def run(self) -> Path:
        """Sockets and the pid file."""
        return Path("/run/meshctl") / self.name

    @property
    def state(self) -> Path:
        """libvirt's folders, the pool and the SSH key."""
        return Path("/var/lib/meshctl") / self.name

    @property
    def pool(self) -> Path:
        """The folder of the storage pool."""
        return self.state / "pool"

    @property
    def key(self) -> Path:
        """The private SSH key that inventories of the lab name."""
        return self.state / "id_ed25519"

    @property
    def uri(self) -> str:
        """libvirt's URI; works from outside the namespaces, as a socket is a file."""
        return f"qemu+unix:///system?socket={self.run}/libvirt-sock"

    @property
    def pid_file(self) -> Path:
        """Holds the pid of the lab's libvirtd."""
        return self.run / "libvirtd.pid"

    def connect_argv(self) -> tuple[str, ...]:
        """The inventory's ssh.proxy_command: reaches a guest from outside. %h and %p stand for address and port."""
        return ("ip", "netns", "exec", self.namespace, "socat", "-", "TCP:%h:%p")


def up(lab: Lab, shell: Local, emit: Emit) -> str:
    """Makes the lab, or what is missing of it, and gives its URI. Raises MeshctlError when this machine cannot have one."""
    _check_machine()
    if _answers(lab, shell):
        return lab.uri
    if lab.pid_file.exists() or _pids(lab, shell):
        _end_processes(lab, shell)
    _folders(lab)
    _key(lab, shell)
    _namespace(lab, shell)
    argv = ["ip", "netns", "exec", lab.namespace, "unshare", "--mount", "sh", "-c", _DAEMON, "lab", str(lab.state), str(lab.run)]
    shell.background(argv, log=str(lab.state / "libvirtd.log"))
    _await_daemon(lab, shell, emit)
    emit(Changed("this machine", f"lab {lab.name}", "up"))
    return lab.uri


def down(lab: Lab, shell: Local, emit: Emit) -> None:
    """Ends every process of the lab, guests included, and removes its namespace, mounts and folders. Nothing there is fine."""
    _check_root()
    _end_processes(lab, shell)
    if _namespace_exists(lab):
        shell.run(["ip", "netns", "delete", lab.namespace])
    for folder in (lab.run, lab.state):
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            folder.parent.rmdir()  # only when no other lab is there
    left = [str(folder) for folder in (lab.run, lab.state) if folder.exists()]
    if left:
        raise MeshctlError(f"lab {lab.name}: cannot remove {', '.join(left)}", hint="is something mounted or open there? `fuser -vm` tells")
    emit(Changed("this machine", f"lab {lab.name}", "down"))


def exec_argv(lab: Lab, argv: Sequence[str]) -> tuple[str, ...]:
    """Argv that runs a command inside the lab's network and mount namespaces. Raises MeshctlError when it is not up."""
    try:
        pid = int(lab.pid_file.read_text())
        os.kill(pid, 0)
    except (OSError, ValueError) as error:
        raise MeshctlError(f"lab {lab.name} is not up", hint="`meshctl lab up`") from error
    environment = ("env", f"LIBVIRT_DEFAULT_URI={lab.uri}")
    return ("nsenter", f"--target={pid}", "--net", "--mount", "--", *environment, *argv)


def _check_root() -> None:
    if os.geteuid() != 0:
        raise MeshctlError("the lab needs root: it makes a network namespace", hint="run it as root or with sudo")


def _check_machine() -> None:
    _check_root()
    missing = sorted({package for program, package in PACKAGES.items() if shutil.which(program, path=_PATH) is None})
    if missing:
        raise MeshctlError(f"the lab needs packages that are not installed: {', '.join(missing)}", hint=f"apt-get install {' '.join(missing)}")


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _folders(lab: Lab) -> None:
    for folder in (lab.run, lab.state, lab.pool, *(lab.state / "libvirt" / part for part in ("etc", "lib", "cache", "log", "run"))):
        folder.mkdir(parents=True, exist_ok=True)
    lab.state.chmod(0o711)
    (lab.state / "libvirtd.conf").write_text(LIBVIRTD_CONF.format(run=lab.run))
    (lab.state / "libvirt" / "etc" / "qemu.conf").write_text(QEMU_CONF)


def _key(lab: Lab, shell: Local) -> None:
    if not lab.key.exists():
        shell.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"meshctl-lab-{lab.name}", "-f", str(lab.key)])


def _namespace_exists(lab: Lab) -> bool:
    return Path("/run/netns", lab.namespace).exists()


def _namespace(lab: Lab, shell: Local) -> None:
    if not _namespace_exists(lab):
        shell.run(["ip", "netns", "add", lab.namespace])
    shell.run(["ip", "-n", lab.namespace, "link", "set", "lo", "up"])
    # Bridged packets must not meet libvirt's MASQUERADE rule: it would hide the nodes' addresses from each other's pods.
    script = "for f in /proc/sys/net/bridge/bridge-nf-call-*tables; do [ -e $f ] && echo 0 > $f; done; exit 0"
    shell.run(["ip", "netns", "exec", lab.namespace, "sh", "-c", script])


def _answers(lab: Lab, shell: Local) -> bool:
    if not (lab.run / "libvirt-sock").exists():
        return False
    return shell.read(["virsh", "--connect", lab.uri, "version"], within_s=20, check=False).status == 0


def _await_daemon(lab: Lab, shell: Local, emit: Emit) -> None:
    log = lab.state / "libvirtd.log"

    def look() -> Ready[None] | NotYet:
        if _answers(lab, shell):
            return Ready(None)
        return NotYet((log.read_text(errors="replace").splitlines() or ["libvirtd has said nothing yet"])[-1])

    wait_until(look, what=f"lab {lab.name}: libvirtd", within_s=START_S, every_s=0.2, emit=emit, hint=f"see {log}")


def _pids(lab: Lab, shell: Local) -> list[int]:
    """Every process in the lab's network namespace: libvirtd, dnsmasq, QEMU and what `exec` started."""
    if not _namespace_exists(lab):
        return []
    try:
        return [int(pid) for pid in shell.read(["ip", "netns", "pids", lab.namespace]).stdout.split()]
    except CommandFailed:
        return []


def _end_processes(lab: Lab, shell: Local) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _pids(lab, shell):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if _gone(lab, shell):
            break
    lab.pid_file.unlink(missing_ok=True)


def _gone(lab: Lab, shell: Local) -> bool:
    def look() -> Ready[None] | NotYet:
        left = _pids(lab, shell)
        return NotYet(f"{len(left)} processes") if left else Ready(None)

    try:
        wait_until(look, what=f"the end of lab {lab.name}'s processes", within_s=END_S, every_s=0.2)
    except MeshctlError:
        return False
    return True
