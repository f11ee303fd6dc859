"""What a stage may use: the plan's inventory and the doors. Nothing here is written to by a stage, but who was given up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from provision.base.errors import MeshctlError
from provision.base.events import Emit
from provision.base.shell import Shell
from provision.bundle import Bundle
from provision.guests import Sessions, Ssh, target
from provision.hosts import Hypervisor
from provision.inventory import Cluster
from provision.kubernetes import Kubectl, first_serving, kubectl_for
from provision.libvirt_xml import DomainSeen
from provision.plan import Plan
from provision.run.observe import all_domains
from provision.run.stages.given_up import GivenUp


@dataclass(frozen=True)
class Shells(Mapping[str, Ssh]):
    """Sessions to nodes, by name, from the stamps as they were in one look. One without a guest is met by whoever asks for it."""

    cluster: Cluster
    sessions: Sessions
    domains: tuple[DomainSeen, ...]

    def __getitem__(self, node: str) -> Ssh:
        """The session to a node. Raises Unreachable when there is no such guest of ours."""
        return self.sessions.to(target(self.cluster, node, self.domains))

    def __iter__(self) -> Iterator[str]:
        """The names of the inventory's nodes."""
        return (node.name for node in self.cluster.nodes)

    def __len__(self) -> int:
        """How many nodes the inventory has."""
        return len(self.cluster.nodes)

    def asked(self, *, but: str = "") -> str:
        """The control plane that is asked: of several the first that serves, and never the one that is excepted, if there is another."""
        names = [node.name for node in self.cluster.control_planes]
        return first_serving([name for name in names if name != but] or names, self.__getitem__)

    def kubectl(self, *, but: str = "") -> Kubectl:
        """Kubectl on the control plane that is asked; `but` as for `asked`."""
        return kubectl_for(self.cluster.kubernetes.generation, self[self.asked(but=but)])


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

    def shells(self) -> Shells:
        """A session to every node, by name (one bulk read per host)."""
        return Shells(self.cluster, self.sessions, all_domains(self.cluster.owner, self.hypervisors))

    def kubectl(self, *, but: str = "") -> Kubectl:
        """Kubectl on the control plane that is asked, of a look of its own; `but` as for `Shells.asked`."""
        return self.shells().kubectl(but=but)


@dataclass(frozen=True)
class Doors(Ways):
    """The ways of a run of stages, which also has what new nodes are made of, and knows whom it goes on without."""

    bundle: Bundle
    given_up: GivenUp = field(default_factory=GivenUp)

    def nodes(self, plan: Plan) -> tuple[str, ...]:
        """The nodes that the plan is about, without those that were given up."""
        return self.given_up.without(node.name for node in self.cluster.nodes if plan.concerns(node.name))

    def give_up(self, node: str, stage: str, error: MeshctlError) -> None:
        """Lets the run go on without a node, or raises its failure: where that was not asked for, and for a control plane."""
        if node in {one.name for one in self.cluster.control_planes}:
            raise error
        self.given_up.add(node, stage, error, self.emit)
