"""Changes of the inventory that a living cluster does not take: what is there is ours, and is not what the inventory now says. Pure.

docs/changes.md says of each field what becomes of a change; here are those that would cost data, addresses or the cluster itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from provision.base.errors import ConflictError
from provision.libvirt_xml import DomainSeen, NetworkSeen
from provision.plan.growth import smaller
from provision.plan.losses import Loss, losses
from provision.plan.observed import HostSeen, Observed
from provision.plan.states import is_on_its_volume, taken_out
from provision.plan.upgrades import refused_versions
from provision.specs import Desired, GuestSpec, Member, NetworkSpec, Owner, Stamp, digest, domain_name


def check_name(owner: Owner, hosts: Mapping[str, HostSeen]) -> None:
    """Raises ConflictError for a cluster that was renamed: guests carry its owner's id under another name."""
    found: dict[str, list[str]] = defaultdict(list)
    for domain in (domain for seen in hosts.values() for domain in seen.domains):
        stamp = domain.stamp
        if stamp is not None and owner.id and stamp.owner == owner.id and stamp.cluster != owner.cluster:
            found[stamp.cluster].append(domain.name)
    for name, guests in found.items():
        raise ConflictError(
            f"this cluster is called {name}, not {owner.cluster}: {', '.join(guests)} carry its owner's id",
            hint=f"a cluster is not renamed: put `cluster: {name}` back, or destroy it under that name first",
        )


def refusals(
    wanted: Desired, observed: Observed, *, restoring: bool = False, anew: Collection[str] = frozenset()
) -> Iterator[str]:
    """Each refused change in a sentence, with the way to do it; `restoring` and `anew` as for `plan`."""
    for network in wanted.networks:
        yield from _network(network, observed.hosts[network.host])
    for guest in wanted.guests:
        for host, seen in observed.hosts.items():
            if (found := seen.domain(guest.domain)) is not None and found.stamp is not None:
                yield from _guest(guest, host, found)
                if guest.node in {member.name for member in wanted.control_planes}:
                    yield from _endpoint(guest, host, found.stamp, wanted.endpoint)
    for volume in wanted.volumes:
        yield from smaller(volume, observed.hosts[volume.host])
    for member in wanted.members:
        yield from _member(member, wanted, observed)
    yield from taken_out(wanted, observed)
    yield from refused_versions(wanted, observed)
    yield from _unseen(wanted, observed)
    if not restoring:
        yield from _lost_sight_of(wanted, observed, anew)
        yield from _headless(wanted, observed, anew)
        yield from _half_rebuilt(wanted, observed)


def lost_disks(wanted: Desired, observed: Observed, anew: Collection[str]) -> Iterator[str]:
    """Each guest whose disks are gone, in a sentence with the way to it anew; but for those that are made `anew`."""
    only = [member.name for member in wanted.control_planes] if len(wanted.control_planes) == 1 else []
    for node, loss in losses(wanted, observed.hosts).items():
        if node not in anew:
            yield f"{_lost(loss)}: {_way_back(loss, only=node in only)}"


def _lost(loss: Loss) -> str:
    if loss.runs:
        return f"{loss.host}: guest {loss.node} still runs, but {loss.what} is gone, and it would not start again"
    return f"{loss.host}: guest {loss.node} cannot start: {loss.what} is gone"


def _way_back(loss: Loss, *, only: bool) -> str:
    """`only`: the node is the only control plane."""
    rebuild = f"`meshctl rebuild INVENTORY {loss.node}`"
    if not only:
        return f"{rebuild} makes the node anew"
    if loss.state:
        return f"{rebuild} makes the node anew, and its cluster goes on from its state volume"
    restore = "`meshctl restore INVENTORY FILE` makes the control plane anew from a backup"
    return f"while it answers {rebuild} takes its state along, else {restore}" if loss.runs else restore


def _network(network: NetworkSpec, seen: HostSeen) -> Iterator[str]:
    lives = any(one.stamp is not None and one.stamp.cluster == network.cluster for one in seen.domains)
    there = any(one.name == network.name for one in seen.networks)
    for other in (one for one in seen.networks if one.stamp is not None and one.stamp.cluster == network.cluster):
        if other.name != network.name and lives and not there:
            yield (
                f"{network.host}: the guests' network is {other.name}, the inventory now says {network.name}: put it back, or destroy"
                " the cluster to change it"
            )
        elif other.name == network.name and (other.active or lives) and _made_otherwise(network, other):
            yield f"{network.host}: network {network.name} is ours but was made with other settings: destroy the cluster to change them"


def _made_otherwise(network: NetworkSpec, other: NetworkSeen) -> bool:
    return other.stamp is not None and other.stamp.digest != digest(network)


def _guest(guest: GuestSpec, host: str, found: DomainSeen) -> Iterator[str]:
    stamp = found.stamp
    if stamp is None or (stamp.cluster, stamp.node) != (guest.cluster, guest.node):
        return
    if host != guest.host:
        yield (
            f"{host}: guest {guest.node} lives here, but the inventory now places it on {guest.host}: a guest is not moved: take the node"
            " out of the inventory, `provision --remove` it, and add it again"
        )
    elif stamp.address and stamp.address != guest.address:
        yield (
            f"{host}: guest {guest.node} has the address {stamp.address}, the inventory now says {guest.address}: routes,"
            " certificates and the Kubernetes node hang on it, so it is not changed: put it back, or give the node another name"
        )
    elif found.disks and _folder(found.disks[0]) != _folder(guest.disks[0].path):
        yield (
            f"{host}: guest {guest.node} has its root volume at {found.disks[0]}, the inventory now says {guest.disks[0].path}: volumes are"
            " not moved: put the pool back, or remove the node and add it again"
        )


def _endpoint(guest: GuestSpec, host: str, stamp: Stamp, endpoint: str) -> Iterator[str]:
    """A control plane that was made with another virtual address, or without one."""
    if (stamp.cluster, stamp.node) == (guest.cluster, guest.node) and stamp.endpoint != endpoint:
        was = f"with kubernetes.control_plane_endpoint {stamp.endpoint}" if stamp.endpoint else "without one"
        now = endpoint or "none"
        yield (
            f"{host}: control plane {guest.node} was made {was}, the inventory now says {now}: certificates, every node's kubeconfig"
            " and kubeadm's own settings hang on it, so it is not changed: put it back, or make another cluster with it and move what runs"
            " there"
        )


def _folder(path: str) -> str:
    """Where a pool has its volumes: its folder, or its volume group."""
    return path.rpartition("/")[0]


def _member(member: Member, wanted: Desired, observed: Observed) -> Iterator[str]:
    """What hangs on a node's place in Kubernetes: its role, its pods' subnet, the Services' addresses."""
    seen = observed.nodes.get(member.name)
    if seen is not None and seen.role and seen.role != member.role:
        yield f"{member.name} is a {seen.role}, the inventory now says {member.role}: put it back, or remove the node and add it again"
    if seen is not None and seen.service_cidr and seen.service_cidr != wanted.service_cidr:
        yield (
            f"{member.name}: Services have addresses of {seen.service_cidr}, kubernetes.service_cidr now says {wanted.service_cidr}:"
            " put it back, or destroy the cluster to change it"
        )
    host = observed.hosts.get(member.host)
    found = host.domain(domain_name(wanted.cluster, member.name)) if host else None
    stamp = None if found is None else found.stamp
    same = stamp is not None and (stamp.cluster, stamp.address) == (wanted.cluster, member.address)
    if same and stamp is not None and stamp.pod_subnet not in ("", member.pod_subnet):
        yield (
            f"{member.name}: its pods have addresses of {stamp.pod_subnet}, kubernetes.pod_cidr now gives {member.pod_subnet}:"
            " put it back, or destroy the cluster to change it"
        )


WAY = "put its host back into hosts, then take the node out of nodes and `provision --remove` it"


def _with_guests(wanted: Desired, observed: Observed) -> set[str]:
    """The cluster's nodes that have a guest on a host of the inventory, those that leave too."""
    return {domain.stamp.node for _, domain in observed.stamped(wanted.cluster) if domain.stamp is not None}


def _unseen(wanted: Desired, observed: Observed) -> Iterator[str]:
    """Members of the cluster that live, and whose guests are on no host of the inventory: one that carries some was taken out of it."""
    for name in sorted(name for name in observed.guestless(wanted.cluster) if observed.known[name]):
        yield (
            f"{name} is a Ready node of the cluster, but its guest is on no host of the inventory: {WAY}; of a guest that is gone"
            " Kubernetes knows after a minute"
        )


def _lost_sight_of(wanted: Desired, observed: Observed, anew: Collection[str]) -> Iterator[str]:
    """The same of members that do not answer: their host may come back with them, and what is made in their place is there twice then.

    Not of nodes that the plan is not about.
    """
    members, about = {member.name for member in wanted.members}, {guest.node for guest in wanted.guests}
    strangers = observed.guestless(wanted.cluster) - (members - about) - set(anew)
    for name in sorted(name for name in strangers if not observed.known[name]):
        gone = (
            f"`meshctl rebuild INVENTORY {name}` makes it anew" if name in members else f"`kubectl delete node {name}`"
        )
        yield (
            f"{name} is a node of the cluster, NotReady, and its guest is on no host of the inventory: {WAY}; if the guest is gone for"
            f" good, {gone}"
        )


def _headless(wanted: Desired, observed: Observed, anew: Collection[str]) -> Iterator[str]:
    """Workers of a cluster whose control plane is gone: another one would have another authority, and never know them. But for one that is
    made `anew`, and goes on with its state.
    """
    there = _with_guests(wanted, observed)
    names = [member.name for member in wanted.control_planes]
    goes_on = set(anew) if len(names) == 1 else set()
    if names and (there | goes_on).isdisjoint(names):
        members = [name for name, seen in observed.nodes.items() if seen.member and name in there]
        if members:
            yield (
                f"{', '.join(names)}, the control plane, has no guest on any host of the inventory, but {', '.join(sorted(members))} are"
                " members of its cluster, and a new one would be another cluster: put its host back into hosts, or `meshctl restore`"
            )


def _half_rebuilt(wanted: Desired, observed: Observed) -> Iterator[str]:
    """A control plane that is being rebuilt: what is made of it now would be another cluster, or a copy that misses what came since. But
    for one that has its cluster on its state volume, and one of several that can join another.
    """
    names = [member.name for member in wanted.control_planes]
    found = [domain.definition.stamp for _, domain in observed.stamped(wanted.cluster)]
    begun = [stamp for stamp in found if stamp is not None and stamp.node in names and stamp.rebuild]
    for stamp in begun:
        if len(names) > 1:
            yield from _nobody_to_join(stamp.node, names, observed)
        elif not is_on_its_volume(stamp, wanted, observed.hosts):
            yield (
                f"{stamp.node}, the control plane, is being rebuilt by a run that was ended: `meshctl rebuild INVENTORY {stamp.node}` goes"
                " on, on the machine that has its backup, and `meshctl restore INVENTORY FILE`, on any that has one"
            )


def _nobody_to_join(node: str, names: Collection[str], observed: Observed) -> Iterator[str]:
    """Says of one of several control planes that is being rebuilt that none of the others is a member: it may have been the only one when
    that began, and then it has the cluster.
    """
    others = [name for name in names if name != node]
    if not observed.first_member(others):
        yield (
            f"{node} is being rebuilt by a run that was ended, and none of {', '.join(others)}, whom it would join, is seen as a control"
            f" plane: bring one of them back; was {node} the only one when that began, take them out of nodes until it is rebuilt"
        )
