"""Where a lab is: everything is derived from its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from provision.base.errors import MeshctlError

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")
"""A DNS label; 20 characters keep the monitor sockets' paths within the 107 that Linux allows."""


@dataclass(frozen=True)
class Lab:
    """A lab's places, all derived from its name. The default one is what inventories/lab.yaml names."""

    name: str = "lab"

    def __post_init__(self) -> None:
        if NAME.fullmatch(self.name) is None:
            raise MeshctlError(
                f"{self.name!r} is not a name for a lab",
                hint="lower-case letters, digits and inner hyphens, at most 20",
            )

    @property
    def namespace(self) -> str:
        """The network namespace."""
        return f"meshctl-{self.name}"

    @property
    def namespace_file(self) -> Path:
        """Where iproute2 keeps the network namespace."""
        return Path("/run/netns") / self.namespace

    @property
    def run(self) -> Path:
        """Sockets and the pid file; the lab's processes see it as /run/libvirt."""
        return Path("/run/meshctl") / self.name

    @property
    def state(self) -> Path:
        """The folders of libvirt, the pool and the SSH key."""
        return Path("/var/lib/meshctl") / self.name

    @property
    def libvirt(self) -> Path:
        """What the lab's processes see as /var/lib/libvirt."""
        return self.state / "libvirt" / "lib"

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
        """The URI for libvirt; works from outside the namespaces, as a socket is a file."""
        return f"qemu+unix:///system?socket={self.run}/libvirt-sock"

    @property
    def pid_file(self) -> Path:
        """Holds the pid of the lab's libvirtd."""
        return self.run / "libvirtd.pid"

    @property
    def log(self) -> Path:
        """What the lab's libvirtd says."""
        return self.state / "libvirtd.log"


_URI = re.compile(r"qemu\+unix:///system\?socket=/run/meshctl/(?P<name>[^/]+)/libvirt-sock")


def of_uri(uri: str) -> Lab | None:
    """The lab that a libvirt URI leads to, if it is one's."""
    match = _URI.fullmatch(uri)
    return Lab(match["name"]) if match and NAME.fullmatch(match["name"]) else None
