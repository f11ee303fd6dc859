"""State volumes of control planes: who has one, whether it is there, and that nobody gets or loses one but with a new guest. Pure.

The guest's stamp says on which volume its cluster is. A control plane that was made without one goes on so until it is rebuilt.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from provision.inventory import Cluster
from provision.plan.losses import claim_on
from provision.plan.observed import HostSeen, Observed
from provision.specs import PUT_BACK, Desired, Stamp, VolumeSpec
from provision.storage import STATE_KIND


def as_made(cluster: Cluster, hosts: Mapping[str, HostSeen], anew: Collection[str]) -> Cluster:
    """The cluster without state volumes for guests that were made without, but for those that are made `anew`."""
    domains = [domain for seen in hosts.values() for domain in seen.domains if cluster.owner.owns(domain.stamp)]
    stamps = [domain.definition.stamp for domain in domains]
    return without_state(cluster, {one.node for one in stamps if one is not None and not one.state} - set(anew))


def without_state(cluster: Cluster, nodes: Collection[str]) -> Cluster:
    """The cluster as if the inventory gave these nodes no state volume."""
    if not any(node.state_mib and node.name in nodes for node in cluster.nodes):
        return cluster
    made = (node.model_copy(update={"state": 0}) if node.name in nodes else node for node in cluster.nodes)
    return cluster.model_copy(update={"nodes": tuple(made)})


def without_yet(cluster: Cluster, wanted: Desired) -> Iterator[str]:
    """Notes about control planes that were made without the state volume that the inventory gives them."""
    for guest in wanted.guests:
        if cluster.node(guest.node).state_mib and state_volume(wanted, guest.node) is None:
            rebuild = f"`meshctl rebuild INVENTORY {guest.node}`"
            yield f"{guest.node} was made without a state volume, and goes on so until {rebuild} gives it one"


def state_volume(wanted: Desired, node: str) -> VolumeSpec | None:
    """The state volume that a node is to have."""
    return next((one for one in wanted.volumes if (one.node, one.kind) == (node, STATE_KIND)), None)


def kept_state(wanted: Desired, node: str, hosts: Mapping[str, HostSeen]) -> VolumeSpec | None:
    """The state volume of a node if it is there: by its name it is this owner's, and this node's."""
    volume = state_volume(wanted, node)
    return volume if volume is not None and claim_on(volume, hosts[volume.host]) is not None else None


def is_on_its_volume(stamp: Stamp, wanted: Desired, hosts: Mapping[str, HostSeen]) -> bool:
    """Whether a control plane that is being rebuilt has its cluster on a state volume that is there: nothing else is needed then."""
    volume = kept_state(wanted, stamp.node, hosts)
    return volume is not None and stamp.state == volume.name and stamp.rebuild != PUT_BACK


def taken_out(wanted: Desired, observed: Observed) -> Iterator[str]:
    """Says of a guest that has a state volume, and by the inventory should have none any more, that it keeps it."""
    guests = {guest.node for guest in wanted.guests}
    for host, domain in observed.stamped(wanted.cluster):
        stamp = domain.definition.stamp
        if stamp is not None and stamp.state and stamp.node in guests and state_volume(wanted, stamp.node) is None:
            yield f"{host}: {stamp.node} has its cluster on a state volume, the inventory now says `state: none`: put it back"
