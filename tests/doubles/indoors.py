"""The doors of a run to nodes that are namespaces here, in place of guests behind SSH."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from provision.base.errors import Unreachable
from provision.guests import Ssh
from provision.inventory import Cluster
from provision.run.stages.doors import Doors, Shells


@dataclass(frozen=True)
class Here(Shells):
    """Shells of nodes that are here, by name. Who is not is met as a guest that there is none of."""

    nodes: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, node: str) -> Ssh:
        if node not in self.nodes:
            raise Unreachable(f"{node}: no such guest")
        return cast(Ssh, self.nodes[node])


def here(cluster: Cluster, nodes: Mapping[str, Any], domains: tuple[Any, ...] = ()) -> Here:
    """These nodes of a cluster, with what one look at the hosts would have found."""
    return Here(cluster, cast(Any, None), domains, nodes)


@dataclass(frozen=True)
class Indoors(Doors):
    """The doors with these nodes behind them."""

    nodes_here: Mapping[str, Any] = field(default_factory=dict)

    def shells(self) -> Shells:
        return here(self.cluster, self.nodes_here)
