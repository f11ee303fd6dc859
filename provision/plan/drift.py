"""What of a cluster is no longer as meshctl made it: intended against found, setting by setting. Pure.

Three views of a guest are compared with what should be: the running domain (libvirt's live XML and pins), its definition
(what it is at its next start), and the kernel (the affinity that its threads really have). A difference says in which
views it was found, so that `virsh vcpupin` is told from `virsh vcpupin --config` and from `taskset`, and what mends it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from provision.base.cpu_lists import cpu_list
from provision.inventory import Cluster
from provision.libvirt_xml import (
    NONE,
    DomainSeen,
    DomainState,
    Settings,
    guest_settings,
    is_pin,
    network_xml,
    parse_network,
)
from provision.placement import Pinning, Tenant, Topology, claimed, held_by, reserved_cpus
from provision.plan.compare import effective, guest_digest
from provision.plan.observed import HostSeen
from provision.specs import Desired, GuestSpec, NetworkSpec, Owner, PoolSpec, Stamp, digest, with_pins


class View(StrEnum):
    """Where something was found."""

    RUNNING = "running"
    DEFINITION = "definition"
    KERNEL = "kernel"
    CLUSTER = "cluster"


class Mend(StrEnum):
    """What puts it right: `provision`; `provision --restart`; `destroy` and `provision`; nobody but a person."""

    LIVE = "live"
    RESTART = "restart"
    RECREATE = "recreate"
    NONE = "none"


MEANS = {
    Mend.LIVE: "provision",
    Mend.RESTART: "provision --restart",
    Mend.RECREATE: "destroy, then provision",
    Mend.NONE: "by hand",
}
"""For people."""

STATE = "state"
"""The field of something that is absent or does not run: the plan has an action for that anyway."""


@dataclass(frozen=True)
class Drift:
    """One difference. `where` is a host; `object` is what it is about, with its kind (`guest w1`); `seen_in` are the views
    that have it.
    """

    where: str
    object: str
    field: str
    wanted: str
    found: str
    mend: Mend
    seen_in: tuple[View, ...] = (View.RUNNING,)

    def __str__(self) -> str:
        return f"{self.field}: wanted {self.wanted}, found {self.found} ({', '.join(self.seen_in)})"

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "where": self.where,
            "object": self.object,
            "field": self.field,
            "wanted": self.wanted,
            "found": self.found,
            "seen_in": [view.value for view in self.seen_in],
            "mend": self.mend.value,
        }


@dataclass(frozen=True)
class Live:
    """What of a host is seen beside XML. `states` and `threads` are by domain: what libvirt keeps beside their XML, and the
    CPUs that the kernel lets their threads run on. `mtus` are bridges' MTUs, in bytes, as the kernel has them.

    `unseen` says why the kernel's part is missing.
    """

    states: Mapping[str, DomainState] = field(default_factory=dict)
    threads: Mapping[str, Settings] = field(default_factory=dict)
    mtus: Mapping[str, int] = field(default_factory=dict)
    unseen: str = ""


def host_drifts(wanted: Desired, hosts: Mapping[str, HostSeen], live: Mapping[str, Live]) -> tuple[Drift, ...]:
    """Everything that differs on the hosts: pools, networks, guests."""
    found: list[Drift] = []
    for pool in wanted.pools:
        found += pool_drifts(pool, hosts[pool.host])
    for network in wanted.networks:
        found += network_drifts(network, hosts[network.host], live.get(network.host, Live()))
    for guest in wanted.guests:
        found += guest_drifts(guest, hosts[guest.host].domain(guest.domain), live.get(guest.host, Live()))
    return tuple(found)


# ── guests ───────────────────────────────────────────────────────────────────────────────────────────────────────


def guest_drifts(guest: GuestSpec, seen: DomainSeen | None, live: Live) -> list[Drift]:
    """A guest's differences, in all views that there are of it."""
    name = f"guest {guest.node}"
    if seen is None:
        return [Drift(guest.host, name, STATE, "running", "absent", Mend.LIVE, (View.DEFINITION,))]
    if seen.stamp is None or (seen.stamp.cluster, seen.stamp.node) != (guest.cluster, guest.node):
        return [_not_ours(guest.host, name, guest.cluster, seen.stamp)]
    found = [] if seen.active else [Drift(guest.host, name, STATE, "running", "shut off", Mend.LIVE)]
    if seen.halted:
        found.append(Drift(guest.host, name, STATE, "running", seen.halted, Mend.NONE))
    state = live.states.get(guest.domain, DomainState())
    if not state.persistent:
        text = "for this run only"
        found.append(Drift(guest.host, name, "definition", "kept", text, Mend.LIVE, (View.DEFINITION,)))
    if not state.autostart:
        found.append(Drift(guest.host, name, "autostart", "yes", "no", Mend.LIVE, (View.DEFINITION,)))
    views = _views(seen, state, live.threads.get(guest.domain, {}))
    movable = may_move(guest, seen)
    for setting, wanted, other, seen_in in _differences(guest_settings(effective(guest, seen)), views):
        at_once = seen_in == (View.DEFINITION,) or (is_pin(setting) and movable)
        mend = Mend.LIVE if at_once else Mend.RESTART
        found.append(Drift(guest.host, name, setting, wanted, other, mend, seen_in))
    return [*found, *_other_digests(guest, seen, found)]


def _views(seen: DomainSeen, state: DomainState, threads: Settings) -> dict[View, Settings]:
    # libvirt describes a transient domain's next start as it describes the domain.
    views = {View.DEFINITION: seen.definition.settings} if state.persistent else {}
    if seen.active:
        views[View.RUNNING] = seen.settings
        views[View.KERNEL] = threads
    return views


def may_move(guest: GuestSpec, seen: DomainSeen) -> bool:
    """Whether a running guest was started on the pins that it should have now: then its threads may be put back on them.

    One that is planned elsewhere goes there with its memory, by a restart.
    """
    if seen.stamp is None or not seen.stamp.vcpu_pins:
        return seen.stamp is not None and seen.stamp.digest == guest_digest(guest, seen)
    return seen.stamp.vcpu_pins == with_pins(seen.stamp, guest).vcpu_pins


def _differences(wanted: Settings, views: Mapping[View, Settings]) -> Iterator[tuple[str, str, str, tuple[View, ...]]]:
    """Setting, what it should be, what it is, and in which views; views that agree are one difference."""
    for name in dict.fromkeys(name for settings in (wanted, *views.values()) for name in settings):
        found: dict[str, list[View]] = defaultdict(list)
        for view, settings in views.items():
            if _comparable(name, wanted, settings, view) and settings.get(name, NONE) != wanted.get(name, NONE):
                found[settings.get(name, NONE)].append(view)
        for other, seen_in in found.items():
            if View.RUNNING in seen_in and View.KERNEL in seen_in:
                seen_in.remove(View.KERNEL)  # libvirt told the kernel: one deed
            yield name, wanted.get(name, NONE), other, tuple(sorted(seen_in, key=list(View).index))


def _comparable(name: str, wanted: Settings, settings: Settings, view: View) -> bool:
    """Whether a setting can be compared. That one is missing means something of a whole disk only, which the kernel does
    not know; the options of such a disk, and the pins of such a vCPU, say no more than that.
    """
    whole = name.startswith(("disk ", "interface ")) and name.count(" ") == 1
    return (name in wanted and name in settings) or (whole and view is not View.KERNEL)


def _other_digests(guest: GuestSpec, seen: DomainSeen, found: Sequence[Drift]) -> Iterator[Drift]:
    """A definition of other digest in which no setting differs: something that is no setting did. A running guest keeps the digest that
    it was started with; where its definition is the wanted one and sets nothing else, a start would change nothing.
    """
    wanted = guest_digest(guest, seen)
    stamps = {View.DEFINITION: seen.definition.stamp, **({View.RUNNING: seen.stamp} if _runs_otherwise(seen) else {})}
    told = {view for drift in found for view in drift.seen_in}
    for view, stamp in stamps.items():
        other = "" if stamp is None else stamp.digest
        if other != wanted and view not in told:
            mend = Mend.LIVE if view is View.DEFINITION else Mend.RESTART
            yield Drift(guest.host, f"guest {guest.node}", "digest", wanted, other or NONE, mend, (view,))


def _runs_otherwise(seen: DomainSeen) -> bool:
    return seen.active and seen.settings != seen.definition.settings


# ── pools and networks ───────────────────────────────────────────────────────────────────────────────────────────


def pool_drifts(pool: PoolSpec, seen: HostSeen) -> list[Drift]:
    """A pool's differences. One that meshctl did not make is used as it is, whether it starts by itself or not."""
    name, found = f"pool {pool.name}", next((other for other in seen.pools if other.name == pool.name), None)
    if found is None:
        return [Drift(pool.host, name, STATE, "active", "absent", Mend.LIVE)]
    drifts = [] if found.active else [Drift(pool.host, name, STATE, "active", "inactive", Mend.LIVE)]
    for setting, wanted, other in (("type", pool.type, found.type), ("path", pool.path, found.path)):
        if wanted != other:
            drifts.append(Drift(pool.host, name, setting, wanted, other, Mend.NONE))
    if found.uuid == pool.uuid and not found.autostart:
        drifts.append(Drift(pool.host, name, "autostart", "yes", "no", Mend.LIVE, (View.DEFINITION,)))
    return drifts


def network_drifts(network: NetworkSpec, seen: HostSeen, live: Live) -> list[Drift]:
    """A network's differences. What is active of it stays until it is made anew: guests' links hang on it."""
    name, found = (
        f"network {network.name}",
        next((other for other in seen.networks if other.name == network.name), None),
    )
    if found is None:
        return [Drift(network.host, name, STATE, "active", "absent", Mend.LIVE)]
    if (found.stamp.cluster if found.stamp else "") != network.cluster:
        return [_not_ours(network.host, name, network.cluster, found.stamp)]
    drifts = [] if found.active else [Drift(network.host, name, STATE, "active", "inactive", Mend.LIVE)]
    views = {View.DEFINITION: found.next_start, **({View.RUNNING: found.settings} if found.active else {})}
    for setting, wanted, other, seen_in in _differences(network_settings(network), views):
        mend = Mend.LIVE if seen_in == (View.DEFINITION,) else Mend.RECREATE
        drifts.append(Drift(network.host, name, setting, wanted, other, mend, seen_in))
    if found.stamp and found.stamp.digest != digest(network) and not drifts:
        drifts.append(Drift(network.host, name, "digest", digest(network), found.stamp.digest, Mend.RECREATE))
    if not found.autostart:
        drifts.append(Drift(network.host, name, "autostart", "yes", "no", Mend.LIVE, (View.DEFINITION,)))
    return [*drifts, *_link_drifts(network, live)]


def network_settings(network: NetworkSpec) -> Settings:
    """The settings of a network as it should be."""
    return parse_network(network_xml(network, Owner(network.cluster)), active=False).settings


def _link_drifts(network: NetworkSpec, live: Live) -> Iterator[Drift]:
    """The bridge's MTU, which `ip link` changes behind libvirt's back. A host's own bridge may have a larger one."""
    found = live.mtus.get(network.bridge or "", network.mtu)
    if found < network.mtu or (found > network.mtu and network.mode == "nat"):
        name, field_ = f"network {network.name}", f"MTU of {network.bridge}"
        yield Drift(network.host, name, field_, str(network.mtu), str(found), Mend.NONE, (View.KERNEL,))


def _not_ours(where: str, name: str, cluster: str, found: Stamp | None) -> Drift:
    """Something of the wanted name that the cluster does not own: the plan refuses it, and nothing else of it counts."""
    owner = f"cluster {found.cluster}" + (f", {found.node}" if found.node else "") if found else "nobody"
    return Drift(where, name, "stamp", f"cluster {cluster}", owner, Mend.NONE)


# ── what is not ours to change ───────────────────────────────────────────────────────────────────────────────────


def trespasses(
    pinnings: Iterable[Pinning], cluster: Cluster, topologies: Mapping[str, Topology], current: Iterable[Tenant]
) -> Iterator[Drift]:
    """Foreign guests that somebody pinned to CPUs which a guest of ours has for itself: named, and left."""
    alone = [pinning for pinning in pinnings if pinning.exclusive]
    for tenant in (one for one in current if one.node is None):
        topology = topologies[tenant.host]
        claims = claimed([[cpu.id for cpu in cell.cpus] for cell in topology.cells], tenant)
        for pinning in (one for one in alone if one.host == tenant.host):
            reserved = reserved_cpus(cluster.host(pinning.host), topology)
            for owner, cpus in held_by((cluster.node(pinning.node), pinning), topology, reserved).items():
                if common := claims & cpus:
                    wanted = f"none of {cpu_list(common)} ({owner})"
                    yield Drift(tenant.host, f"domain {tenant.name}", "CPUs", wanted, cpu_list(claims), Mend.NONE)


def sysctl_drift(guest: GuestSpec, key: str, wanted: str, found: str) -> Drift:
    """A kernel setting of a guest that is not the inventory's: the stage guests sets it."""
    return Drift(guest.host, f"guest {guest.node}", f"sysctl {key}", wanted, found, Mend.LIVE, (View.KERNEL,))


def cluster_drift(where: str, thing: str, field: str, wanted: str, found: str) -> Drift:
    """Something of Kubernetes or of the mesh: the stages of that name put it right. `where` is a node, or `cluster`."""
    return Drift(where, thing, field, wanted, found, Mend.LIVE, (View.CLUSTER,))
