"""What a node must be, as plain data: the input of everything in this room.

Addresses, digests and references are computed elsewhere and handed in; nothing here reads the world.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import netaddr

from provision.base.secret import Secret
from provision.guests.firewall import Firewall
from provision.kubernetes.kubectl import Kubectl
from provision.specs import Member

CONTROL_PLANE, WORKER = "control-plane", "worker"


@dataclass(frozen=True)
class File:
    """A file of a node, whole."""

    path: str
    content: str
    mode: int = 0o644

    @property
    def sha256(self) -> str:
        """Digest of the content, as sha256sum prints it."""
        return hashlib.sha256(self.content.encode()).hexdigest()


@dataclass(frozen=True)
class Program:
    """A program of the bundle: `path` is relative to the bundle (bin/kubelet, cni/bridge)."""

    path: str
    sha256: str

    @property
    def target(self) -> str:
        """Where it goes on a node: bin/ to /usr/bin, cni/ to /opt/cni/bin (kubelet's --cni-bin-dir)."""
        folder, _, name = self.path.partition("/")
        return f"/usr/bin/{name}" if folder == "bin" else f"/opt/cni/bin/{name}"

    @property
    def line(self) -> str:
        """As sha256sum prints and reads it."""
        return f"{self.sha256}  {self.path}"


@dataclass(frozen=True)
class Archive:
    """A docker-save archive of the bundle and the image references it brings. `nodes` are those that it is for; None: for all."""

    path: str
    sha256: str
    references: tuple[str, ...]
    nodes: frozenset[str] | None = None


@dataclass(frozen=True)
class Credentials:
    """What a node needs to join: a bootstrap token, from 1.20 on the CA's public key hash (``sha256:…``), and the
    API, to remove a Node object that a former guest of its name left. A control plane also needs `keys`, what control planes share.
    """

    token: Secret
    ca_cert_hash: str = ""
    api: Kubectl | None = None
    keys: Secret | None = None


@dataclass(frozen=True)
class Spec:
    """A cluster as this room needs it. `version` is exact (``v1.20.2``): a label would make kubeadm ask the internet.

    `nameservers` are those that pods inherit; the node's own resolv.conf may name a resolver on loopback. `leaving` are nodes that are
    made no longer, and reached as long as they are there. `endpoint` is the virtual address of the control planes, empty where there is
    none; `emulated`: a guest runs without KVM, many times slower. `firewall`: what closes the nodes' ports, None: nothing does.
    """

    version: str
    members: tuple[Member, ...]
    pod_cidr: str
    service_cidr: str
    nameservers: tuple[str, ...]
    bundle_digest: str
    programs: tuple[Program, ...]
    archives: tuple[Archive, ...]
    leaving: tuple[Member, ...] = ()
    endpoint: str = ""
    emulated: bool = False
    firewall: Firewall | None = None

    @property
    def generation(self) -> str:
        """``1.20`` of v1.20.2."""
        return ".".join(self.version.lstrip("v").split(".")[:2])

    @property
    def dns_address(self) -> str:
        """The cluster's DNS service: the tenth address of the service range, as kubeadm has it."""
        return str(netaddr.IPNetwork(self.service_cidr)[10])

    @property
    def control_plane(self) -> Member:
        """The member that runs the API server; of several the first, with which the cluster begins."""
        return next(member for member in self.members if member.role == CONTROL_PLANE)

    @property
    def control_planes(self) -> tuple[Member, ...]:
        """All members that run an API server, those that leave too."""
        return tuple(member for member in self.reached if member.role == CONTROL_PLANE)

    @property
    def api_address(self) -> str:
        """Where nodes and people reach the API server."""
        return self.endpoint or self.control_plane.address

    @property
    def reached(self) -> tuple[Member, ...]:
        """All that have routes and a name on every node."""
        return self.members + self.leaving

    @cached_property
    def names(self) -> frozenset[str]:
        """Of all that are reached."""
        return frozenset(member.name for member in self.reached)

    @cached_property
    def host_lines(self) -> tuple[str, ...]:
        """A line of /etc/hosts for each member, by name: worked out once, and on every node."""
        return tuple(f"{one.address} {one.name}" for one in sorted(self.reached, key=lambda one: one.name))

    @cached_property
    def ways(self) -> tuple[tuple[str, str], ...]:
        """Each member's name with the route to its pods, by address: the same on every node but its own."""
        ordered = sorted(self.reached, key=lambda one: netaddr.IPAddress(one.address))
        return tuple((one.name, f"{one.pod_subnet} via {one.address}") for one in ordered)

    @cached_property
    def inside(self) -> tuple[str, ...]:
        """What pods reach under their own address: all pods, and every member."""
        return (self.pod_cidr, *sorted(f"{member.address}/32" for member in self.reached))

    @cached_property
    def stamp(self) -> tuple[str, ...]:
        """What a node has to say for itself when it is prepared: the version, then each of the bundle's programs with its digest.

        Not files nor archives: they are compared one by one. Nor the bundle's own digest: a bundle that was sealed again with the
        same programs is nothing new to a node.
        """
        return (self.version, *sorted(program.line for program in self.programs))

    def former_stamp(self, member: Member, archives: tuple[Archive, ...]) -> str:
        """What a node says for itself that an older meshctl prepared from this very bundle."""
        parts = [
            member.name,
            self.bundle_digest,
            [(p.path, p.sha256) for p in self.programs],
            [a.sha256 for a in archives],
        ]
        text = json.dumps(parts, separators=(",", ":"))
        return f"{self.version} {hashlib.sha256(text.encode()).hexdigest()[:16]}"
