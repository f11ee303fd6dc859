"""What the judges get: one host of the inventory, its facts, what libvirt has there, and what is planned for it."""

from __future__ import annotations

from dataclasses import dataclass

from provision.doctor.facts import Facts
from provision.inventory import Cluster, Host, Node
from provision.placement import Pinning, Topology
from provision.plan import HostSeen
from provision.storage import StorageSeen


@dataclass(frozen=True)
class Patient:
    """One host. `pinnings` are the planned guests that placement seats here, those that run already included; `below` is what
    lies below its pool, None when nobody could look.
    """

    cluster: Cluster
    host: Host
    facts: Facts
    seen: HostSeen
    topology: Topology
    pinnings: tuple[Pinning, ...] = ()
    below: StorageSeen | None = None

    @property
    def name(self) -> str:
        """The host's name."""
        return self.host.name

    @property
    def real(self) -> bool:
        """Whether there is a machine behind it: libvirt's test driver has none."""
        return self.host.real

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The planned guests, as the inventory says them."""
        return tuple(self.cluster.node(pin.node) for pin in self.pinnings)

    @property
    def running(self) -> frozenset[str]:
        """Names of our nodes whose guests run here."""
        ours = (d.stamp for d in self.seen.domains if d.active and d.stamp is not None)
        return frozenset(stamp.node for stamp in ours if stamp.cluster == self.cluster.cluster)

    @property
    def idle_pinnings(self) -> tuple[Pinning, ...]:
        """The planned guests that do not run yet: what they need is still to be found."""
        return tuple(pin for pin in self.pinnings if pin.node not in self.running)

    def cores(self) -> dict[int, frozenset[int]]:
        """Each CPU's core, as the threads that it has."""
        return {cpu.id: cpu.siblings for cpu in self.topology.cpus}
