"""The embedded lab: a private place on this machine, with its own libvirtd in its own network namespace.

Everything of a lab lies below two folders and one namespace that carry its name, so that `down` can take all of it
away and nothing else. The machine's own libvirtd, if there is one, is neither used nor touched: the lab's has its
own state (bind-mounted over libvirt's folders in a private mount namespace), socket and configuration. Nothing that
runs in the lab reaches the machine's network.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from provision.base.alone import alone
from provision.base.errors import MeshctlError
from provision.base.events import Changed, Emit
from provision.base.shell import Local
from provision.lab import hosts as several
from provision.lab.daemon import answers, daemon_pid, start_daemon
from provision.lab.ground import (
    clear_remains,
    delete_namespace,
    make_folders,
    make_key,
    make_namespace,
    remove,
    unmount_below,
)
from provision.lab.hosts import up_hosts
from provision.lab.logins import sshd_pid
from provision.lab.places import Lab
from provision.lab.processes import end, members

LOCK_S = 300.0

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


def up(lab: Lab, shell: Local, emit: Emit, hosts: int = 0) -> tuple[str, ...]:
    """Makes the lab, or what is missing of it, and gives its URI: one reached by a socket, or one by SSH for each of `hosts`.

    Guests that run are left running, also when libvirtd died and is started again. Raises MeshctlError when this
    machine cannot have a lab or has one of that name with more or fewer hosts, StageTimeout when libvirtd does not answer.
    """
    _check_machine(PACKAGES | several.PACKAGES if hosts else PACKAGES)
    shell = _with_sbin(shell)
    with _alone(lab):
        _check_shape(lab, hosts)
        return up_hosts(lab, hosts, shell, emit) if hosts else (_up_alone(lab, shell, emit),)


def _up_alone(lab: Lab, shell: Local, emit: Emit) -> str:
    make_folders(lab)
    make_key(lab, shell)
    running = answers(lab, shell)
    if not running:
        clear_remains(lab, shell)
    make_namespace(lab, shell)
    if not running:
        start_daemon(lab, shell, emit)
        emit(Changed(shell.where, f"lab {lab.name}", "up"))
    return lab.uri


def _check_shape(lab: Lab, hosts: int) -> None:
    """One that broke off may lack hosts; it has none but its own."""
    there = len(lab.hosts())
    if there > hosts or (hosts and not there and lab.state.exists()):
        shape = f"{there} hosts" if there else "one libvirtd and no hosts"
        raise MeshctlError(
            f"lab {lab.name} is there with {shape}",
            hint=f"`meshctl lab down --name {lab.name}` first, or take another --name",
        )


def down(lab: Lab, shell: Local, emit: Emit) -> None:
    """Ends every process of the lab, guests included, and removes its namespace, mounts and folders.

    Nothing there is fine. Raises MeshctlError when called from inside, or when something cannot be removed.
    """
    _check_root()
    shell = _with_sbin(shell)
    places = (*lab.hosts(), lab)
    if os.getpid() in _members(places):
        raise MeshctlError(f"this command runs inside lab {lab.name}", hint="leave it first")
    if not any(path.exists() for place in places for path in (place.run, place.state, place.namespace_file)):
        return
    with _alone(lab):
        end(lambda: _members(places), f"the end of lab {lab.name}'s processes")
        for place in places:
            delete_namespace(place, shell)
        for folder in (lab.run, lab.state):
            unmount_below(folder, shell)
            remove(lab, folder)
    emit(Changed(shell.where, f"lab {lab.name}", "down"))


def _members(places: Sequence[Lab]) -> list[int]:
    return [pid for place in places for pid in members(place)]


def exec_argv(lab: Lab, argv: Sequence[str]) -> tuple[str, ...]:
    """Argv that runs a command in the lab's namespaces, in this folder; `qemu:///system` there is the lab's.

    In a lab with hosts these are the jump host's, unless `lab` is one of its hosts. Raises MeshctlError when it is not up.
    """
    pid = daemon_pid(lab) or sshd_pid(lab)
    if pid is None:
        where = f"host {lab.host} of lab {lab.name}" if lab.host else f"lab {lab.name}"
        raise MeshctlError(f"{where} is not up", hint="`meshctl lab up`")
    environment = ("env", f"--chdir={Path.cwd()}", "LIBVIRT_DEFAULT_URI=qemu:///system")
    # --root: where the lab was made in a chroot, its files are there.
    return ("nsenter", f"--target={pid}", "--net", "--mount", "--root", "--", *environment, *argv)


def connect_argv(lab: Lab) -> tuple[str, ...]:
    """The inventory's ssh.proxy_command: reaches a guest from outside. %h and %p stand for address and port."""
    return ("ip", "netns", "exec", lab.namespace, "socat", "-", "TCP:%h:%p")


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
"""`su` without `-` keeps a user's PATH, in which ip, libvirtd and iptables are not."""


def _with_sbin(shell: Local) -> Local:
    return replace(shell, env={**shell.env, "PATH": _PATH})


def _check_root() -> None:
    if os.geteuid() != 0:
        raise MeshctlError("the lab needs root: it makes a network namespace", hint="run it as root or with sudo")


def _check_machine(packages: Mapping[str, str]) -> None:
    _check_root()
    missing = sorted({package for program, package in packages.items() if shutil.which(program, path=_PATH) is None})
    if missing:
        raise MeshctlError(
            f"the lab needs packages that are not installed: {', '.join(missing)}",
            hint=f"apt-get install {' '.join(missing)}",
        )


@contextmanager
def _alone(lab: Lab) -> Iterator[None]:
    """Keeps a second `up` or `down` waiting: a lock on the labs' common folder, which ends with its holder."""
    folder = lab.run.parent
    folder.mkdir(parents=True, exist_ok=True)
    seen = "another `meshctl lab` command holds the lock"
    try:
        with alone(folder, what=f"lab {lab.name}: the lock on {folder}", seen=seen, within_s=LOCK_S, every_s=0.2):
            yield
    finally:
        with suppress(OSError):
            folder.rmdir()  # only when no lab is there
