"""What must be done: desired against observed, as data. Pure.

Each action says its reason. Something of ours that is already right is an action too (`leave`), so that the plan
shows everything it looked at. A like-named thing without our stamp raises ConflictError: all of them at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from provision.base.errors import ConflictError
from provision.libvirt_xml import DomainSeen
from provision.placement import CellMap
from provision.plan.action import Action as Action
from provision.plan.action import Verb as Verb
from provision.plan.agreement import Agreement
from provision.plan.artifacts import artifact_action, bundle_of, upload_actions, upload_notes
from provision.plan.conflicts import conflicts
from provision.plan.growth import growth
from provision.plan.losses import bundleless, claim_on
from provision.plan.observed import HostSeen, NodeSeen, Observed
from provision.plan.refusals import lost_disks, refusals
from provision.plan.upgrades import behind, disk_actions, exchanged, older_notes, upgrade_action
from provision.specs import (
    Desired,
    GroupSpec,
    GuestSpec,
    NetworkSpec,
    PoolSpec,
    SeedSpec,
    VolumeSpec,
    digest,
)
from provision.storage import THIN_POOL, Obstacle


@dataclass(frozen=True)
class Plan:
    """What `provision` will do, in order; `notes` are things worth knowing that it will not do.

    `cells` is the map of who is on which CPUs when it is done, foreign guests included.
    """

    cluster: str
    desired: Desired
    actions: tuple[Action, ...]
    notes: tuple[str, ...] = ()
    cells: tuple[CellMap, ...] = ()
    pending: tuple[str, ...] = ()
    """What it leaves until `--restart` is said."""
    halted: tuple[str, ...] = ()
    """Guests of ours that do not run and that it must not start over: why, and the next step."""
    limit: frozenset[str] = frozenset()
    """The only nodes that it is about; empty: all."""

    @property
    def changes(self) -> tuple[Action, ...]:
        """The actions that change something."""
        return tuple(action for action in self.actions if action.verb is not Verb.LEAVE)

    @property
    def agreement(self) -> Agreement:
        """What is agreed to with it: the same things should exist, by the same deeds, whatever the words for them."""
        return Agreement.to(self.desired, self.changes)

    def concerns(self, node: str) -> bool:
        """Whether it is about this node."""
        return not self.limit or node in self.limit

    def of(self, stage: str, kind: str | None = None) -> tuple[Action, ...]:
        """The changes of one stage, of one kind if given."""
        return tuple(a for a in self.changes if a.stage == stage and kind in (None, a.kind))

    def wanted(self, stage: str, kind: str, where: str, name: str) -> bool:
        """Whether the plan has this change."""
        return any(a.where == where and a.name == name for a in self.of(stage, kind))

    def until(self, stages: tuple[str, ...]) -> Plan:
        """The plan of these stages only."""
        return replace(self, actions=tuple(a for a in self.actions if a.stage in stages))


def plan(wanted: Desired, observed: Observed, *, restoring: bool = False, anew: Collection[str] = frozenset()) -> Plan:
    """Compares. Raises ConflictError, naming each, when something in our way is not ours or the cluster does not take a change.

    `restoring`: the control plane may be gone, as its cluster is put back. `anew`: nodes whose guests are made as if they had none.
    """
    _refuse(wanted, observed, restoring=restoring, anew=anew)
    observed = observed.without(wanted.cluster, anew)
    bare = bundleless(wanted, observed.hosts)
    given = exchanged(wanted, observed) | {node for node, domain in bare.items() if domain.active}
    exchanges = given | bare.keys()
    actions = (
        *(_pool(pool, observed.hosts[pool.host]) for pool in wanted.pools),
        *(_wipe(host, one) for host, found in sorted(observed.wipes.items()) for one in found),
        *(action for group in wanted.groups for action in _group(group, observed.hosts[group.host])),
        *(action for pool in wanted.pools for action in _artifacts(pool, wanted, observed.hosts[pool.host], exchanges)),
        *(_network(network, observed.hosts[network.host]) for network in wanted.networks),
        *(_volume(volume, observed.hosts[volume.host]) for volume in wanted.volumes),
        *(one for volume in wanted.volumes for one in growth(volume, wanted.cluster, observed.hosts[volume.host])),
        *(_seed(seed, wanted.guest(seed.node), observed.hosts[seed.host]) for seed in wanted.seeds),
        *(_guest(guest, observed.hosts[guest.host], wanted.owner_id, bare) for guest in wanted.guests),
        *(
            _login(member.name, seen)
            for member in wanted.members
            if (seen := observed.nodes.get(member.name)) and seen.login
        ),
        *(_boot(member.name, observed.nodes.get(member.name)) for member in wanted.members),
        *disk_actions(given),
        *_kubernetes(wanted, observed),
        _mesh(observed),
    )
    return Plan(
        wanted.cluster,
        wanted,
        actions,
        (*_notes(wanted, observed), *older_notes(wanted, observed, exchanges)),
        halted=tuple(_halted(wanted, observed)),
    )


def _refuse(wanted: Desired, observed: Observed, *, restoring: bool, anew: Collection[str]) -> None:
    foreign = tuple(conflicts(wanted, observed))
    refused = tuple(refusals(wanted, observed, restoring=restoring, anew=anew))
    lost = tuple(lost_disks(wanted, observed, anew))
    said = [
        (f"{len(foreign)} thing(s) in the way that cluster {wanted.cluster} does not own:", foreign),
        (f"{len(refused)} change(s) of the inventory that a living cluster does not take:", refused),
        (f"{len(lost)} guest(s) that have lost what they start from:", lost),
    ]
    hints = [
        *(
            ["choose another name in the inventory, or remove them yourself: meshctl leaves them alone"]
            if foreign
            else []
        ),
        *(["docs/changes.md says what becomes of each change"] if refused else []),
        *(["was a disk only taken away for a while, put it back: nothing was changed"] if lost else []),
    ]
    if hints:
        lines = ["\n".join((title, *(f"  {one}" for one in found))) for title, found in said if found]
        raise ConflictError("\n".join(lines), hint="; ".join(hints))


def _pool(pool: PoolSpec, seen: HostSeen) -> Action:
    found = next((other for other in seen.pools if other.name == pool.name), None)
    if found is None:
        verb, reason = Verb.CREATE, f"there is none; {pool.type} at {pool.path}"
    elif not found.active and found.uuid == pool.uuid and not seen.uses(pool.path):
        verb, reason = Verb.CREATE, "ours, defined but not active, and no guest has a disk there: carried on from there"
    elif not found.active:
        verb, reason = Verb.START, "it is defined but not active"
    elif found.uuid == pool.uuid:
        verb, reason = Verb.LEAVE, "ours, active"
    else:
        verb, reason = Verb.LEAVE, "not made by meshctl, used as it is"
    return Action("hosts", verb, pool.host, "pool", pool.name, reason)


def _artifacts(pool: PoolSpec, wanted: Desired, seen: HostSeen, exchanges: Collection[str]) -> Iterator[Action]:
    yield from upload_actions(pool, seen)
    filled = [volume for volume in wanted.volumes if volume.host == pool.host and not _filled(volume, seen)]
    there = [guest for guest in wanted.guests if guest.host == pool.host]
    guests = [one if one.node in exchanges else effective(one, seen.domain(one.domain)) for one in there]
    paths = (*(volume.base_path for volume in filled), *(guest.bundle_path for guest in guests))
    made_from = {path.rpartition("/")[2] for path in paths}
    for artifact in wanted.artifacts:
        yield artifact_action(artifact, pool, seen, made_from)


def _filled(volume: VolumeSpec, seen: HostSeen) -> bool:
    found = claim_on(volume, seen)
    return found is not None and found.ready


def _network(network: NetworkSpec, seen: HostSeen) -> Action:
    found = next((other for other in seen.networks if other.name == network.name), None)
    if found is None:
        where = f"{network.address}/{network.prefix_length}" if network.mode == "nat" else f"on bridge {network.bridge}"
        verb, reason = Verb.CREATE, f"there is none; {network.mode} {where}"
    elif not found.active and found.stamp is not None and found.stamp.digest != digest(network):
        verb, reason = Verb.CREATE, "ours, defined with other settings but not active: defined again and started"
    elif not found.active:
        verb, reason = Verb.START, "it is defined but not active"
    else:
        verb, reason = Verb.LEAVE, "ours, active"
    return Action("networks", verb, network.host, "network", network.name, reason)


def _wipe(host: str, found: Obstacle) -> Action:
    reason = f"WIPED: {', '.join(found.holds)}; serial number {', '.join(found.serials)} is named under storage.wipe"
    return Action("hosts", Verb.CHANGE, host, "device", found.path, reason)


def _group(group: GroupSpec, seen: HostSeen) -> Iterator[Action]:
    if group.name in seen.storage.groups:
        verb, reason = Verb.LEAVE, "exists"
    else:
        verb, reason = Verb.CREATE, f"there is none; of {', '.join(group.devices)}"
    yield Action("hosts", verb, group.host, "volume group", group.name, reason)
    if group.thin:
        there = seen.storage.logical(group.name, THIN_POOL) is not None
        verb, reason = (Verb.LEAVE, "exists") if there else (Verb.CREATE, "there is none; on 90 % of what is free")
        yield Action("hosts", verb, group.host, "thin pool", f"{group.name}/{THIN_POOL}", reason)


def _volume(volume: VolumeSpec, seen: HostSeen) -> Action:
    found = claim_on(volume, seen)
    if found is None:
        content = "over the base image" if volume.store == "dir" else "with the base image's content"
        way = f" {content}" if volume.base_path else ", blank"
        where = f" on {volume.path}" if volume.store != "dir" else ""
        verb, reason = Verb.CREATE, f"there is none; {volume.size_mib} MiB{where}{way}"
    elif found.ready:
        verb, reason = Verb.LEAVE, "exists"
    else:
        verb, reason = Verb.CHANGE, "an earlier run was ended while it was being filled: filled again"
    return Action("volumes", verb, volume.host, volume.title, volume.name, reason)


def _seed(seed: SeedSpec, guest: GuestSpec, seen: HostSeen) -> Action:
    found = seen.domain(guest.domain)
    if found is None or found.stamp is None:
        return Action("volumes", Verb.CREATE, seed.host, "seed", seed.name, f"{seed.node} has not been defined yet")
    present = any(volume.name == found.stamp.seed for volume in seen.volumes)
    reason = "in use" if present else "was read at the first boot"
    return Action("volumes", Verb.LEAVE, seed.host, "seed", found.stamp.seed or seed.name, reason)


def _guest(guest: GuestSpec, seen: HostSeen, owner_id: str, bundleless: Collection[str]) -> Action:
    found = seen.domain(guest.domain)
    pins = f"{guest.vcpus} vCPUs on CPUs {','.join(map(str, guest.vcpu_pins))}, {guest.memory_mib} MiB, {guest.address}"
    if found is None:
        emulated = (
            "" if guest.virtualization == "kvm" else "; KVM does not start a guest here: software emulation, slow"
        )
        verb, reason = Verb.CREATE, f"there is none; {pins}{emulated}"
    elif _definition_digest(found) != guest_digest(guest, found):
        verb, reason = Verb.CHANGE, f"the definition differs; takes effect when the guest restarts; {pins}"
    elif owner_id and found.definition.stamp is not None and not found.definition.stamp.owner:
        verb, reason = (
            Verb.CHANGE,
            f"taken over: it is from before clusters had ids, and its stamp gets {owner_id}; {pins}",
        )
    elif not found.active and guest.node in bundleless:
        verb, reason = (
            Verb.CHANGE,
            f"the disk of its bundle is gone from the pool: gets that of the inventory's; {pins}",
        )
    elif not found.active:
        verb, reason = Verb.START, "it is defined but not running" + (f": {found.ended}" if found.ended else "")
    else:
        verb, reason = Verb.LEAVE, f"ours, {found.halted or 'running'}; {pins}"
    return Action("guests", verb, guest.host, "guest", guest.node, reason, basis_of(found))


def basis_of(found: DomainSeen | None) -> str:
    """A digest over a domain's definition, settings and stamp: what a change of it starts from. Empty for none."""
    if found is None:
        return ""
    known = (found.uuid, sorted(found.definition.settings.items()), found.definition.stamp)
    return hashlib.sha256(repr(known).encode()).hexdigest()[:16]


def _definition_digest(found: DomainSeen) -> str:
    """Of what it is at its next start: a running guest may still be what it was before a change."""
    stamp = found.definition.stamp
    return "" if stamp is None else stamp.digest


def guest_digest(guest: GuestSpec, found: DomainSeen | None) -> str:
    """Digest of a guest's definition. An existing guest keeps the seed and the bundle that it was made with."""
    return digest(effective(guest, found))


def effective(guest: GuestSpec, found: DomainSeen | None) -> GuestSpec:
    """The guest as it is to be defined: one that exists keeps its seed, which cloud-init has read already, and its bundle."""
    if found is None or found.stamp is None:
        return guest
    seed, bundle = found.stamp.seed, bundle_of(found)
    return replace(guest, seed_path=_beside(guest.seed_path, seed), bundle_path=_beside(guest.bundle_path, bundle))


def _beside(path: str, name: str) -> str:
    """The path of another file in a file's folder; itself without a name."""
    return f"{path.rpartition('/')[0]}/{name}" if name else path


LOGIN = "login"


def _login(node: str, seen: NodeSeen) -> Action:
    return Action("guests", Verb.CHANGE, node, LOGIN, node, seen.login)


def _boot(node: str, seen: NodeSeen | None) -> Action:
    if seen is None:
        verb, reason = Verb.CREATE, "cloud-init and sysctl, at the first start"
    elif seen.unreachable or seen.unsettled:
        verb, reason = Verb.CHANGE, seen.unreachable or "; ".join(seen.unsettled)
    else:
        verb, reason = Verb.LEAVE, "finished, sysctl as wanted"
    return Action("guests", verb, node, "boot", node, reason)


UNCORDON = "uncordon"
GIVEN = "labels and taints"
INIT, JOIN = "kubeadm init", "kubeadm join"


def _kubernetes(wanted: Desired, observed: Observed) -> Iterator[Action]:
    late = behind(wanted, observed)
    founder = founding(wanted, observed)
    owed = {domain.stamp.node: domain.stamp.given for _, domain in observed.stamped(wanted.cluster) if domain.stamp}
    for member in sorted(wanted.members, key=lambda member: member.role):
        seen = observed.nodes.get(member.name)
        task = INIT if member.name == founder else JOIN
        yield _preparation(member.name, seen)
        if seen is not None and seen.member:
            yield Action("kubernetes", Verb.LEAVE, member.name, task, member.name, "is a member")
            if member.name in late:
                yield upgrade_action(member, late[member.name], wanted)
            elif seen.drained:
                reason = "drained by a run that was ended: takes pods again"
                yield Action("kubernetes", Verb.CHANGE, member.name, UNCORDON, member.name, reason)
            if given := owed.get(member.name):
                reason = f"it had them before it was made anew: {given}"
                yield Action("kubernetes", Verb.CHANGE, member.name, GIVEN, member.name, reason)
        else:
            reason = f"not a member yet; pods in {member.pod_subnet}"
            yield Action("kubernetes", Verb.CREATE, member.name, task, member.name, reason)


def founding(wanted: Desired, observed: Observed) -> str:
    """The control plane with which the cluster begins, or began: the first, unless another one is a member and it is not: a cluster has
    one beginning, and who is made anew joins it.
    """
    names = [member.name for member in wanted.control_planes]
    return names[0] if names and observed.first_member(names) in ("", names[0]) else ""


def _preparation(node: str, seen: NodeSeen | None) -> Action:
    kind = "node software"
    if seen is None:
        return Action("kubernetes", Verb.CREATE, node, kind, node, "the guest does not run yet")
    if seen.unreachable:
        return Action("kubernetes", Verb.CHANGE, node, kind, node, f"cannot be seen: {seen.unreachable}")
    if seen.unprepared:
        verb = Verb.CHANGE if seen.member else Verb.CREATE
        return Action("kubernetes", verb, node, kind, node, "; ".join(seen.unprepared))
    return Action("kubernetes", Verb.LEAVE, node, kind, node, "as wanted")


def _mesh(observed: Observed) -> Action:
    if observed.mesh is None:
        return Action("mesh", Verb.CREATE, "cluster", "mesh", "l5d", "there is no cluster to ask yet")
    led = (f"{name}: its router is led away to {seen.led}" for name, seen in observed.nodes.items() if seen.led)
    if stale := (*observed.mesh, *led):
        return Action("mesh", Verb.CHANGE, "cluster", "mesh", "l5d", "; ".join(stale))
    return Action("mesh", Verb.LEAVE, "cluster", "mesh", "l5d", "as wanted")


def _halted(wanted: Desired, observed: Observed) -> Iterator[str]:
    for guest in wanted.guests:
        found = observed.hosts[guest.host].domain(guest.domain)
        if found is not None and found.halted:
            yield f"{guest.host}: guest {guest.node} is {found.halted}"


def _notes(wanted: Desired, observed: Observed) -> Iterator[str]:
    for host, seen in observed.hosts.items():
        for domain in seen.domains:
            if domain.not_ours:
                yield f"{host}: domain {domain.name} carries our stamp but is not ours: {domain.not_ours}; it is left alone"
    seeds = {seed.node: seed.name for seed in wanted.seeds}
    for host, domain in observed.stamped(wanted.cluster):
        if domain.stamp and domain.stamp.node in seeds and domain.stamp.seed not in ("", seeds[domain.stamp.node]):
            yield (
                f"{host}: {domain.name} was made with an older seed: login, sysctl, firewall and mounts are set live where they differ,"
                " name servers by `meshctl rebuild` only"
            )
    for name, node in sorted(observed.nodes.items()):
        if node.open:
            yield f"{name}: its base image has no nft, so its ports are open to strangers: `meshctl image build`, then `meshctl rebuild`"
    for host in sorted({guest.host for guest in wanted.guests}):
        seen = observed.hosts[host]
        yield from upload_notes(host, seen)
        if seen.virtualization != "kvm":
            why = f" ({seen.kvm_fault})" if seen.kvm_fault else ""
            yield f"{host}: KVM does not really start a guest{why}: software emulation (type qemu, cpu maximum), many times slower"
    for host, seen in sorted(observed.hosts.items()):
        odd = [(f"domain {one.name}", one.garbage) for one in seen.domains]
        odd += [(f"network {one.name}", one.garbage) for one in seen.networks]
        for name, garbage in odd:
            if garbage:
                yield f"{host}: {name} carries a stamp like ours that cannot be read ({garbage}): not ours, left alone"
