"""Folders that a pool or a data volume must not take: those of a system, on the host and in a guest."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

SYSTEM = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/run",
    "/efi",
    "/lost+found",
    "/selinux",
    "/snap",
)
"""Nothing of ours lies in one of these or below: it is the system's, is no disk, or is gone at the next boot (hier(7))."""

OWN = "/usr/local"
"""The one exception: what the machine's owner puts there stays his."""

_ANYBODYS = ("/tmp", "/var/tmp")  # noqa: S108 - to be refused
SHARED = ("/home", "/opt", "/root", "/var", "/var/cache", "/var/lib", "/var/lib/libvirt", "/var/log", *_ANYBODYS)
"""Folders of all: one below them may be ours, they are not."""

PROGRAMS = (
    *(
        "/var/lib/containerd",
        "/var/lib/containers",
        "/var/lib/docker",
        "/var/lib/etcd",
        "/var/lib/kubelet",
        "/var/lib/lxc",
        "/var/lib/lxd",
    ),
    *(
        "/var/lib/apt",
        "/var/lib/dpkg",
        "/var/lib/rpm",
        "/var/lib/systemd",
        "/var/lib/libvirt/qemu",
        "/var/lib/libvirt/dnsmasq",
    ),
    *("/var/lib/ceph", "/var/lib/mysql", "/var/lib/postgresql", "/var/spool", "/var/mail"),
)
"""Folders of one program of the host each, which clears, moves or counts what is in them."""

GUESTS = ("/home", "/var", "/var/lib", "/var/lib/cloud", "/var/lib/dpkg", "/var/lib/systemd", *_ANYBODYS)
"""What a guest's own system and its users keep: an empty volume of root's over it hides that, or lets nobody write."""

LONGEST_NAME = 255
"""Bytes of a file's name (NAME_MAX of limits.h)."""


def check_pool_folder(path: str) -> None:
    """Raises ValueError for a path that is no folder for a pool."""
    example = "\nit is a folder on the host, for example /var/lib/libvirt/meshctl"
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is not an absolute path{example}")
    _check_plain(path)
    if path == "/" or path in SHARED or _within_system(path):
        raise ValueError(f"{path} belongs to the host's own system{example}")
    if _within(path, PROGRAMS):
        raise ValueError(f"{path} belongs to another program of the host{example}")


def check_mount(path: str) -> None:
    """Raises ValueError for a path that no data volume can be mounted at."""
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is not a place to mount at\nan absolute path, for example /var/lib/tracing")
    _check_plain(path)
    if path == "/" or path in GUESTS or _within_system(path):
        raise ValueError(f"{path} belongs to the guest's own system\nmount below it, for example /var/lib/tracing")


def _check_plain(path: str) -> None:
    """Libvirt and the kernel write paths without detours, and compare them."""
    plain = posixpath.normpath("/" + path.lstrip("/"))
    if path != plain:
        raise ValueError(f"{path!r} has a detour in it\nwrite {plain}")
    if any(len(name.encode()) > LONGEST_NAME for name in path.split("/")):
        raise ValueError(f"a name in it is longer than {LONGEST_NAME} bytes\nno filesystem holds such a one")


def _within_system(path: str) -> bool:
    return not path.startswith(f"{OWN}/") and _within(path, SYSTEM)


def _within(path: str, folders: Iterable[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in folders)
