"""What a stage may use: the plan's inventory and the doors. Nothing here is written to by a stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from provision.base.events import Emit
from provision.base.shell import Shell
from provision.bundle import Bundle
from provision.guests import Sessions, Ssh, target
from provision.hosts import Hypervisor
from provision.inventory import Cluster
from provision.kubernetes import Kubectl, kubectl_for
from provision.run.observe import all_domains


class Guest(Protocol):
    """A guest as who starts it anew must know it: a `GuestSpec`, or what is found on the hosts without a plan."""

    @property
    def node(self) -> str:
        """Its name in the inventory."""

    @property
    def host(self) -> str:
        """The host that it is on."""

    @property
    def domain(self) -> str:
        """Its name in libvirt."""

    @property
    def pool(self) -> str:
        """The pool that its console log is in."""

    @property
    def console_path(self) -> str:
        """The console log, on the host."""


@dataclass(frozen=True)
class Ways:
    """The ways to the world, of one command."""

    cluster: Cluster
    hypervisors: Mapping[str, Hypervisor]
    sessions: Sessions
    emit: Emit
    host_shell: Callable[[str], Shell]
    """The shell of a host; raises StorageError where there is none."""

    def shells(self) -> dict[str, Ssh]:
        """A session to every node, by name, from the stamps as they are now (one bulk read per host)."""
        domains = all_domains(self.cluster.owner, self.hypervisors)
        return {node.name: self.sessions.to(target(self.cluster, node.name, domains)) for node in self.cluster.nodes}

    def kubectl(self) -> Kubectl:
        """Kubectl on the control plane."""
        return kubectl_for(self.cluster.kubernetes.generation, self.shells()[self.cluster.control_plane.name])


@dataclass(frozen=True)
class Doors(Ways):
    """The ways of a run of stages, which also has what new nodes are made of."""

    bundle: Bundle
