"""Observe, plan, run the stages in order; and destroy. What every command that touches the world goes through."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from provision import bundle, images
from provision.base import interruption
from provision.base.calls import Calls
from provision.base.content import content_sha256
from provision.base.errors import (
    ConflictError,
    HostUnfit,
    ImageError,
    MeshctlError,
    PlacementError,
    StorageError,
)
from provision.base.events import (
    Emit,
    Failed,
    StageFinished,
    StageSkipped,
    StageStarted,
    Warned,
)
from provision.base.parallel import begin
from provision.guests import Ask, OldLogin, Sessions, identity, nobody, seed_digest, target
from provision.hosts import (
    Hypervisor,
    PoolLook,
    check_backing,
    look_at_pools,
    observe_live,
)
from provision.inventory import Cluster
from provision.kubernetes import evictions
from provision.libvirt_xml import DomainSeen
from provision.placement import Placement, Tenant, Topology, as_map, cell_maps, place, tenants
from provision.plan import (
    Drift,
    HostSeen,
    Plan,
    as_made,
    check_name,
    departure,
    desired,
    host_drifts,
    lasting,
    limits,
    losses,
    members,
    plan,
    rebuilding,
    repaired,
    restarts,
    trespasses,
    without_yet,
)
from provision.run.addresses import (
    answering_addresses,
    remembered_addresses,
    remembered_pods,
    require_endpoint,
    taken_by_others,
)
from provision.run.identity import Identity, identified
from provision.run.lease import leased
from provision.run.logins import require_login
from provision.run.named_network import with_own_network
from provision.run.observe import (
    all_domains,
    fits,
    observe_hosts,
    observe_inside,
    observe_topologies,
)
from provision.run.site import Site, recorded
from provision.run.stages.doors import Doors, Ways
from provision.run.stages.given_up import GivenUp
from provision.run.stages.order import Stage, until
from provision.specs import BUT_DATA, GONE, Artifact, Desired, HostTraits, baked_image, base_image, bundle_disk
from provision.storage import Allotment


@dataclass(frozen=True)
class World(Site):
    """The doors of one run, opened at their first use, and the counter of the calls through them."""

    cluster: Cluster
    sessions: Sessions
    identity: Identity
    silent: frozenset[str] = frozenset()
    """Hosts that gave no answer when they were asked whose guests they have."""
    template: Cluster | None = None
    """What `cluster` was made from, where its network is one that was found free: until the hosts are held somebody may take it."""
    plain: bool = False
    """Whether new guests get the plain base image even where a baked one is in the cache."""

    def domains(self) -> tuple[DomainSeen, ...]:
        """All domains of all hosts, those that are ours with their stamps."""
        return all_domains(self.cluster.owner, self.hypervisors)

    def doors(self, sealed: bundle.Bundle) -> Doors:
        """The doors as stages get them."""
        return Doors(self.cluster, self.hypervisors, self.sessions, self.emit, self.reached, sealed)

    def ways(self) -> Ways:
        """The doors as those get them who need nothing of a bundle."""
        return Ways(self.cluster, self.hypervisors, self.sessions, self.emit, self.reached)

    def looked_again(self) -> World:
        """The same world, with the network that is free now."""
        if self.template is None:
            return self
        found = with_own_network(self.template, self.hypervisors)
        return replace(
            self,
            cluster=self.cluster.model_copy(
                update={one: getattr(found, one) for one in ("network", "nodes", "kubernetes")}
            ),
        )


@contextmanager
def opened(
    cluster: Cluster,
    emit: Emit,
    ask: Ask = nobody,
    identify: Callable[[Cluster], Identity] = Identity,
    old: OldLogin | None = None,
    *,
    named: bool = False,
    plain: bool = False,
) -> Iterator[World]:
    """A world for a cluster, with its owner's id; its connections are closed at the end. `ask` is for the passphrase of `ssh.key_file`,
    `old` the login of guests that do not have the inventory's yet.

    `named`: the cluster is one that an inventory is the template of; its network is found on its host. `plain` as for `World`.
    """
    calls = Calls()
    hypervisors = {host.name: Hypervisor(host.name, host.uri, Calls(whole=calls)) for host in cluster.hosts}
    with ExitStack() as stack:
        for hypervisor in hypervisors.values():
            stack.callback(hypervisor.close)
        template = cluster if named else None
        cluster = with_own_network(cluster, hypervisors) if named else cluster
        owner = identify(cluster)
        cluster, silent = identified(cluster, hypervisors, owner)
        sessions = Sessions(cluster, calls, ask, old)
        stack.callback(_close, sessions)
        yield World(cluster, emit, calls, hypervisors, sessions, owner, silent, template, plain)


def _close(sessions: Sessions) -> None:
    if not interruption.asked():  # else the process ends with them, and one may hang
        sessions.close()


def reach_out(world: World) -> None:
    """Begins to open the sessions to guests that run already, which takes seconds on busy ones, while hosts are looked at."""
    begin(lambda: _reach_out(world))


def _reach_out(world: World) -> None:
    domains = world.domains()
    for domain in domains:
        stamp = domain.stamp
        if domain.active and not domain.halted and world.cluster.owner.owns(stamp) and stamp.host_key:
            # On the control plane the node and the mesh's objects are read at once.
            readers = 2 if stamp.node in {one.name for one in world.cluster.control_planes} else 1
            world.sessions.begin(target(world.cluster, stamp.node, [domain]), readers)


@dataclass(frozen=True)
class Intent:
    """What should exist, and the hosts that it was placed on as they were seen then, with what is wrong with their pools."""

    wanted: Desired
    placement: Placement
    sealed: bundle.Bundle
    topologies: Mapping[str, Topology]
    current: Sequence[Tenant]
    pools: PoolLook
    answering: Mapping[str, str]
    """Addresses that new nodes would have got and that somebody has, by the hardware address that answers for them."""

    @property
    def hosts(self) -> Mapping[str, HostSeen]:
        """The hosts as they were seen."""
        return self.pools.hosts


def intent(
    world: World, *, probe: bool = True, wipe: bool = False, anew: Mapping[str, str] = MappingProxyType({})
) -> Intent:
    """Observes the hosts and says what should be on them. With `probe`, KVM is tried out where no guest shows it; `anew` as for
    `make_plan`.
    """
    folder = bundle.find(world.cluster.kubernetes.bundle)
    sealed = sealed_for(world.cluster, folder)
    artifacts = _artifacts(world, folder, sealed)
    hosts = observe_hosts(world.cluster, world.hypervisors, probe=probe)
    check_name(world.cluster.owner, hosts)
    made = as_made(world.cluster, hosts, rebuilding.anew(world.cluster.owner, hosts, anew))
    world = replace(world, cluster=made)
    topologies = observe_topologies(world.cluster, world.hypervisors, world.shell)
    current = [one for host, seen in hosts.items() for one in tenants(world.cluster.cluster, host, seen.domains)]
    placement = placed(world.cluster, topologies, current)
    pools = look_at_pools(world.cluster, hosts, placement.pinnings, world.hypervisors, world.shell, wipe=wipe)
    answering = answering_addresses(world.cluster, hosts, placement.pinnings, world.shell)
    require_endpoint(world.cluster, hosts, placement.pinnings, world.shell)
    wanted = _desired(world, hosts, topologies, placement, artifacts, pools.allotments, answering)
    return Intent(wanted, placement, sealed, topologies, current, pools, answering)


def make_plan(
    world: World,
    *,
    wipe: bool = False,
    restart: bool = False,
    remove: Collection[str] = (),
    limit: Collection[str] = (),
    expires: str = "",
    restoring: bool = False,
    anew: Mapping[str, str] = MappingProxyType({}),
) -> Plan:
    """Observes everything and compares it with what the inventory wants; options as for `provision`, `restoring` as for `plan`, `anew`
    the nodes that are rebuilt, as for `rebuilding.anew`.

    Raises StorageError with every fault of every host's pool, and ConflictError for a node that cannot be removed, or that --limit
    names and that is not there or cannot join.
    """
    limits.check_names(world.cluster, limit)
    whole = intent(world, wipe=wipe, anew=anew)
    lost = losses(whole.wanted, whole.hosts)
    limit = limit or (_spared(world.cluster, lost) if restoring else ())
    meant = replace(whole, wanted=limits.narrowed(whole.wanted, limit)) if limit else whole
    if meant.pools.faults:
        text = "\n".join(f"  {fault}" for fault in meant.pools.faults)
        raise StorageError(f"storage is not as the inventory asks for:\n{text}", hint="see docs/storage.md")
    _require_kvm(world.cluster, meant)
    rebuilt = rebuilding.anew(world.cluster.owner, meant.hosts, anew)
    if restoring:
        rebuilt = _while_restoring(world.cluster, meant, rebuilt, lost)
    drifts, blind = drifted(world, meant)
    drifts = tuple(drift for drift in drifts if drift.object.removeprefix("guest ") not in rebuilt)
    backing_notes = check_backing(meant.wanted.guests, meant.hosts, world.shell, restarts(drifts) if restart else ())
    shown = cell_maps(meant.placement, world.cluster, meant.topologies, meant.current)
    observed = observe_inside(world.cluster, meant.wanted, meant.hosts, meant.sealed, world.sessions)
    require_login(observed.without(world.cluster.cluster, rebuilt), meant.wanted, world.hypervisors)
    hosts = {pool.host for pool in meant.wanted.pools}
    wipes = {host: one.wipes for host, one in meant.pools.allotments.items() if one.wipes and host in hosts}
    observed = replace(observed, wipes=wipes, answering=meant.answering)
    emptied = rebuilding.emptied(observed, world.cluster, rebuilt)
    found = plan(meant.wanted, emptied, restoring=restoring, anew=rebuilt)
    found = replace(
        found, cells=shown, notes=(*found.notes, *backing_notes, *blind, *without_yet(world.cluster, meant.wanted))
    )
    found = rebuilding.throwing_away(found, world.cluster, observed, rebuilt, restoring=restoring)
    found = lasting(repaired(found, drifts, restart=restart), observed, expires)
    found = with_pods(departure.taking_away(found, world.cluster, observed, remove), world.ways())
    if not limit:
        return found
    # Others may have lost disks, or be gone: this plan is not about them.
    hidden = {*rebuilt, *lost, *observed.guestless(world.cluster.cluster)}
    everything = plan(whole.wanted, emptied, restoring=restoring, anew=hidden)
    everything = rebuilding.throwing_away(everything, world.cluster, observed, rebuilt, restoring=restoring)
    return limits.limited(found, everything, world.cluster, observed, limit)


def with_pods(found: Plan, ways: Ways) -> Plan:
    """The plan with the pods that go with the nodes that it takes away: those are drained without another question."""
    nodes = [action.name for action in found.of(departure.STAGE)]
    if not nodes:
        return found
    kubectl = ways.kubectl()
    return departure.with_pods(found, {node: [str(pod) for pod in evictions(kubectl, node)] for node in nodes})


def _while_restoring(
    cluster: Cluster, meant: Intent, anew: Mapping[str, str], lost: Collection[str]
) -> Mapping[str, str]:
    """The same while the control plane is put back: nobody can be drained, so that workers wait; it is made anew itself where its disk
    is gone, but for data volumes that are left, or its guest.
    """
    name = cluster.control_plane.name
    found = {node: mark for node, mark in anew.items() if node == name or mark == GONE}
    guest = next((guest for guest in meant.wanted.guests if guest.node == name), None)
    if guest is not None and meant.hosts[guest.host].domain(guest.domain) is None:
        return {name: GONE} | found
    return {name: BUT_DATA} | found if name in lost else found


def _spared(cluster: Cluster, lost: Collection[str]) -> tuple[str, ...]:
    """The nodes that a restore is about, if not all: workers whose disks are gone are rebuilt when they can join again."""
    left = tuple(node.name for node in cluster.nodes if node == cluster.control_plane or node.name not in lost)
    return left if len(left) < len(cluster.nodes) else ()


def _require_kvm(cluster: Cluster, meant: Intent) -> None:
    """Raises HostUnfit when a host that guests are placed on does not run them under KVM, and the inventory wants that.

    libvirt's test driver runs nothing.
    """
    used = {guest.host for guest in meant.wanted.guests}
    hosts = [host for host in cluster.hosts if host.name in used and host.require == "kvm" and host.real]
    faults = [f"{one.name}: {why}" for one in hosts if (why := _not_under_kvm(meant.hosts[one.name]))]
    if faults:
        raise HostUnfit(
            "KVM does not run guests:\n" + "\n".join(f"  {fault}" for fault in faults),
            hint="`meshctl explain MC105` says what to do; hosts[].require: any takes software emulation, many times slower",
        )


def _not_under_kvm(seen: HostSeen) -> str:
    if seen.virtualization == "kvm":
        return ""
    return seen.kvm_fault or "the guests of this cluster that are there were made for software emulation"


def drifted(world: World, meant: Intent) -> tuple[tuple[Drift, ...], tuple[str, ...]]:
    """What on the hosts is not as it should be, and notes about what could not be looked at."""
    live = observe_live(meant.wanted, world.hypervisors, world.shell)
    strangers = trespasses(meant.placement.pinnings, world.cluster, meant.topologies, meant.current)
    blind = (
        f"{host}: its threads' affinities were not looked at: {one.unseen}" for host, one in live.items() if one.unseen
    )
    return (*host_drifts(meant.wanted, meant.hosts, live), *strangers), tuple(blind)


def sealed_for(cluster: Cluster, folder: Path) -> bundle.Bundle:
    """The bundle in a folder. Raises ImageError or MeshError when it is not what the inventory wants."""
    sealed = bundle.load(folder)
    if sealed.kubernetes != cluster.kubernetes.version:
        raise ImageError(
            f"the bundle holds Kubernetes {sealed.kubernetes}, the inventory wants {cluster.kubernetes.version}",
            hint="name another bundle in kubernetes.bundle, or change kubernetes.version",
        )
    fits(cluster.mesh, sealed.mesh)
    return sealed


def _artifacts(world: World, folder: Path, sealed: bundle.Bundle) -> tuple[Artifact, ...]:
    name = world.cluster.image
    image = images.cached(name)
    if image is None:
        raise ImageError(f"the base image {name} has not been built", hint=f"meshctl image build {name}")
    disk = bundle.make_disk(folder, world.emit)
    base = base_image(name, str(image), content_sha256(image), image.stat().st_size)
    baked = None if world.plain else images.baked_of(base.sha256, sealed.digest)
    if baked is not None:
        base = baked_image(base, sealed.kubernetes, str(baked.path), baked.sha256, baked.size)
    return base, bundle_disk(sealed.kubernetes, str(disk), content_sha256(disk), disk.stat().st_size)


def _desired(
    world: World,
    hosts: Mapping[str, HostSeen],
    topologies: Mapping[str, Topology],
    placement: Placement,
    artifacts: tuple[Artifact, ...],
    allotments: Mapping[str, Allotment],
    answering: Mapping[str, str],
) -> Desired:
    cluster = world.cluster
    remembered, taken = remembered_addresses(cluster, hosts), taken_by_others(cluster, hosts)
    taken, pods = taken.with_addresses(answering), remembered_pods(cluster, hosts)
    key = identity(cluster).public
    seeds = {member.name: seed_digest(cluster, member, key) for member in members(cluster, remembered, {}, taken, pods)}
    traits = {
        name: HostTraits(seen.virtualization, topologies[name].numa, topologies[name].cpu_vendor)
        for name, seen in hosts.items()
    }
    pinnings = {pinning.node: pinning for pinning in placement.pinnings}
    devices = {name: device for one in allotments.values() for name, device in one.devices.items()}
    wanted = desired(cluster, pinnings, traits, remembered, artifacts, seeds, devices, taken, pods)
    return replace(wanted, leaving=departure.leaving(cluster, hosts))


def placed(cluster: Cluster, topologies: Mapping[str, Topology], current: Sequence[Tenant]) -> Placement:
    """Pins of every node. Raises PlacementError with every refusal, and with what the hosts look like."""
    placement = place(cluster, topologies, current)
    if placement.refusals:
        text = "\n".join(f"  {refusal}" for refusal in placement.refusals)
        where = "\n".join(f"  {line}" for line in as_map(placement, cluster, topologies, current).splitlines())
        raise PlacementError(
            f"{len(placement.refusals)} guest(s) do not fit:\n{text}\nwith the others in their places:\n{where}",
            hint="give them less, or the hosts more; docs/placement.md says how guests are placed",
        )
    return placement


def provision(
    world: World,
    agreed: Plan,
    last: str | None,
    *,
    wipe: bool = False,
    restart: bool = False,
    remove: Collection[str] = (),
    limit: Collection[str] = (),
    keep_going: bool = False,
    expires: str = "",
    anyhow: bool = False,
    patience_s: float = 0.0,
) -> None:
    """Runs the stages up to `last`. Plans again first, holding the hosts, and refuses when that is more than the plan agreed to, or
    other.

    Without changes nothing is held: it only looks then.

    `wipe`: what `storage.wipe` names may be lost; `restart`: guests may be started anew; `remove`: the nodes that the inventory no
    longer has and that go; `limit`: the only nodes that are made or changed. All as the plan was made. `keep_going`: a node that fails
    does not end the run; raises SomeFailed at its end. `expires`: until when the cluster is needed, empty for what was said before.
    `anyhow`: nobody was asked, and what is free may be found anew: pipelines that make clusters at once move each other's CPUs.
    """
    refuse_halted(agreed)
    if not agreed.changes:
        _run_stages(world, agreed, last, keep_going=keep_going)
        return
    with leased(world.hypervisors, world.calls, f"provision {agreed.cluster}", world.emit, patience_s=patience_s):
        world = world.looked_again()
        found = make_plan(world, wipe=wipe, restart=restart, remove=remove, limit=limit, expires=expires)
        if anyhow:
            refuse_halted(found)
        else:
            _check_no_more(found, agreed, world.emit)
        world.identity.keep(found.desired.owner_id, world.emit)
        _run_stages(world, found, last, keep_going=keep_going)


def refuse_halted(agreed: Plan) -> None:
    """Raises ConflictError for a plan with guests that are paused or crashed."""
    if agreed.halted:
        raise ConflictError(
            "guests that do not run, and that nobody may start over unasked:\n"
            + "\n".join(f"  {one}" for one in agreed.halted),
            hint="do what is said there, then run the command again",
        )


def check_agreement(found: Plan, agreed: Plan) -> None:
    """Raises ConflictError when a plan, made while the hosts are held, is no longer the one that was agreed to."""
    if departures := found.agreement.departures(agreed.agreement):
        raise _changed(departures)


def _check_no_more(found: Plan, agreed: Plan, emit: Emit) -> None:
    """As `check_agreement`; but what is no longer to do is said, and the rest is done: all of that was agreed to."""
    if beyond := found.agreement.beyond(agreed.agreement):
        raise _changed(beyond)
    for line in found.agreement.done_since(agreed.agreement):
        emit(Warned(line))


def _changed(departures: Sequence[str]) -> ConflictError:
    what = "\n".join(f"  {line}" for line in departures)
    return ConflictError(
        f"the world changed since the plan was shown:\n{what}", hint="look at the new plan: run the command again"
    )


def _run_stages(world: World, found: Plan, last: str | None, *, keep_going: bool) -> None:
    sealed = sealed_for(world.cluster, bundle.find(world.cluster.kubernetes.bundle))
    stages = until(last)
    part = found.until(tuple(stage.name for stage in stages))
    doors = replace(world.doors(sealed), given_up=GivenUp(world.calls, keep_going=keep_going))
    with recorded(world, "provision"):
        go_through(part, stages, doors)
        for text in found.pending:
            world.emit(Warned(text))
        doors.given_up.tell(world.emit)


def go_through(part: Plan, stages: Sequence[Stage], doors: Doors) -> None:
    """Runs some stages of a plan, in order; for a command that holds the hosts and records itself."""
    for stage in stages:
        _run_stage(stage, part, doors)


def _run_stage(stage: Stage, part: Plan, doors: Doors) -> None:
    reason = stage.idle(part)
    if reason is not None:
        doors.emit(StageSkipped(stage.name, reason))
        return
    doors.emit(StageStarted(stage.name, stage.title))
    started = time.monotonic()
    try:
        stage.run(part, doors)
    except MeshctlError as error:
        doors.emit(Failed(stage.name, type(error).__name__, error.exit_code, error.message, error.hint))
        raise
    doors.emit(StageFinished(stage.name, time.monotonic() - started))
