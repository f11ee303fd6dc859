"""Where a lab is: everything is derived from its name, and for one of its hosts from the host's name too."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from provision.base.errors import MeshctlError

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")
"""A DNS label; 20 characters keep the monitor sockets' paths within the 107 that Linux allows."""


HOST = re.compile(r"hv[1-9]")
"""The hosts of a lab that has some: hv1, hv2 …"""


@dataclass(frozen=True)
class Lab:
    """A lab's places, all derived from its name. The default one is what inventories/lab.yaml names.

    With `host` it is one of the hypervisors of a lab that has several: a place like a whole lab, below the lab's own.
    """

    name: str = "lab"
    host: str = ""

    def __post_init__(self) -> None:
        if NAME.fullmatch(self.name) is None:
            raise MeshctlError(
                f"{self.name!r} is not a name for a lab",
                hint="lower-case letters, digits and inner hyphens, at most 20",
            )
        if self.host and HOST.fullmatch(self.host) is None:
            raise MeshctlError(f"{self.host!r} is no host of a lab", hint="they are called hv1, hv2 …, at most hv9")

    @property
    def namespace(self) -> str:
        """The network namespace. A lab's name has no dot: no lab is taken for another one's host."""
        return f"meshctl-{self.name}.{self.host}" if self.host else f"meshctl-{self.name}"

    @property
    def namespace_file(self) -> Path:
        """Where iproute2 keeps the network namespace."""
        return Path("/run/netns") / self.namespace

    @property
    def run(self) -> Path:
        """Sockets and the pid file; the lab's processes see it as /run/libvirt."""
        return Path("/run/meshctl") / self._place

    @property
    def state(self) -> Path:
        """The folders of libvirt, the pool and the SSH key."""
        return Path("/var/lib/meshctl") / self._place

    @property
    def _place(self) -> Path:
        return Path(self.name, "hosts", self.host) if self.host else Path(self.name)

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

    def at(self, host: str) -> Lab:
        """The place of one of its hosts."""
        return Lab(self.name, host)

    def hosts(self) -> tuple[Lab, ...]:
        """Its hosts, as far as they were made; none for a lab that is one libvirtd alone."""
        folders = (self.state / "hosts", self.run / "hosts")
        made = {path.name for folder in folders for path in folder.glob("hv*")}
        made |= {path.name.rpartition(".")[2] for path in self.namespace_file.parent.glob(f"{self.namespace}.hv*")}
        return tuple(self.at(host) for host in sorted(made) if HOST.fullmatch(host))


_URI = re.compile(
    rf"qemu\+unix:///system\?socket=/run/meshctl/(?P<name>[^/]+)/(hosts/(?P<host>{HOST.pattern})/)?libvirt-sock"
)


def of_uri(uri: str) -> Lab | None:
    """The lab, or the host of one, that a libvirt URI of a socket leads to."""
    match = _URI.fullmatch(uri)
    return Lab(match["name"], match["host"] or "") if match and NAME.fullmatch(match["name"]) else None
