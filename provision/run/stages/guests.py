"""Stage guests: seed, domain, first boot, the proof that cloud-init did what was asked, and the kernel's settings."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from operator import attrgetter

from provision.base.errors import ConflictError, MeshctlError, StageTimeout, Unreachable
from provision.base.events import Changed, Warned
from provision.base.moments import moment
from provision.base.waiting import NotYet, Ready, wait_until
from provision.guests import (
    Boot,
    HostKeyMismatch,
    KeyRefused,
    Ssh,
    disk_sizes,
    first_boot_over,
    identity,
    new_host_key,
    observe_boot,
    set_sysctl,
)
from provision.guests import seed as seeds
from provision.hosts import copy_path
from provision.inventory import Cluster
from provision.libvirt_xml import DomainSeen, domain_xml, judged_domains, upload_volume_xml
from provision.plan import (
    EXPIRY,
    LOGIN,
    PINS,
    RESTART,
    Action,
    Plan,
    Verb,
    basis_of,
    effective,
    rebuilding,
    state_volume,
    without_state,
)
from provision.run.stages.doors import Doors, Guest, Ways
from provision.run.stages.growth import grow_within
from provision.run.stages.logins import change_login
from provision.run.stages.rolling import restart
from provision.run.stages.steps import each_node
from provision.specs import GONE, PUT_BACK, TAKE_UP, GuestSpec, Member, Stamp, Upkeep, digest, stamp_text
from provision.storage import STATE_KIND

_AWAITED = {rebuilding.ANEW: PUT_BACK, rebuilding.ANEW_WITH_STATE: TAKE_UP}
"""What the stamp of a control plane that is made anew says is still to be done on it, by what its action starts from."""

NAME, TITLE = "guests", "guests: define, boot, check"

BOOT_S = 900.0
"""First boot to SSH takes about 75 s under software emulation with idle CPUs; ten times that when they are not."""


def run(plan: Plan, doors: Doors) -> None:
    """Changes logins, makes and starts what the plan says, then waits for first boots and sets sysctl where it differs.

    While a cluster is still to be made only the control plane is waited for: workers boot and prepare while it
    initialises, and the stage kubernetes settles them.
    """
    node = attrgetter("name")
    logins = [action.where for action in plan.of(NAME, LOGIN)]
    each_node(doors, NAME, LOGIN, logins, lambda name: change_login(name, doors))
    each_node(doors, NAME, "guest", plan.of(NAME, "guest"), lambda action: _bring_up(action, plan, doors), node)
    each_node(doors, NAME, EXPIRY, plan.of(NAME, EXPIRY), lambda action: _mark(action, plan, doors), node)
    each_node(doors, NAME, PINS, plan.of(NAME, PINS), lambda action: put_back(action, plan, doors), node)
    actions = tuple(one for one in plan.of(NAME, RESTART) if doors.given_up.without([one.name]))
    if actions:
        restart(plan, actions, doors, settle)
    unsettled = [action.where for action in plan.of(NAME, "boot")]
    if plan.of("kubernetes"):
        unsettled = [name for name in unsettled if name == doors.cluster.control_plane.name]
    shells = doors.shells()
    each_node(doors, NAME, "boot", unsettled, lambda name: settle(plan.desired.guest(name), shells[name], doors))


def put_back(action: Action, plan: Plan, doors: Doors) -> None:
    """Puts the threads of a running guest on the CPUs that the plan has for them."""
    guest = plan.desired.guest(action.name)
    pins = (guest.vcpu_pins, guest.emulator_cpus, guest.iothread_cpus)
    doors.hypervisors[action.where].pin_domain(guest.domain, *pins)
    doors.emit(Changed(action.where, f"{PINS} {guest.node}", action.verb))


def settle(guest: Guest, shell: Ssh, doors: Ways) -> None:
    """Waits until a guest has finished its first boot, grows its filesystems into their disks, and sets its kernel as the inventory
    says. Raises MeshctlError when cloud-init failed, or when the kernel does not take a setting: with key, wanted and found value.
    """
    boot = _booted(guest, shell, doors)
    for text in boot.degraded:
        hint = f"meshctl ssh INVENTORY {guest.node} -- cloud-init status --long"
        doors.emit(Warned(f"{guest.node}: cloud-init is degraded: {text}", hint))
    if boot.failed:
        raise MeshctlError(f"{guest.node}: {'; '.join(boot.failed)}", hint="see /var/log/cloud-init.log in the guest")
    _mount(guest.node, boot, shell, doors)
    grow_within(guest, boot, shell, doors)
    if boot.sysctl or boot.old_file:
        _set_kernel(guest.node, boot, shell, doors)


def _set_kernel(node: str, boot: Boot, shell: Ssh, doors: Ways) -> None:
    """Sets the kernel of a running guest, now and for each start, and reads it back. What the inventory no longer names keeps its value
    until the next start.
    """
    said = set_sysctl(shell, doors.cluster.sysctl)
    left = observe_boot(shell, doors.cluster.sysctl).sysctl
    if left:
        raise MeshctlError(
            f"{node}: the kernel does not take what the inventory says:\n" + "\n".join(f"    {line}" for line in left),
            hint=f"sysctl says: {said or 'nothing'}; `found nothing`: it does not know the key. The others are set",
        )
    changes = ", ".join(f"{one.key} = {one.wanted}" for one in boot.sysctl) or "for the next start"
    doors.emit(Changed(node, "sysctl", changes))


def _mount(node: str, boot: Boot, shell: Ssh, doors: Ways) -> None:
    """Mounts data volumes that are younger than the guest's seed, as the seed would. Raises CommandFailed.

    One whose disk the running guest does not have yet is warned of: a disk comes with a start.
    """
    for volume in doors.cluster.node(node).volumes:
        if volume.mount in boot.unmounted:
            done = shell.run(["sh", "-c", seeds.MOUNT_VOLUME, "mount", *seeds.mount_words(volume)], within_s=300.0)
            if done.stdout:
                doors.emit(
                    Warned(f"{node}: {volume.mount}: {done.stdout.strip()}", "provision --restart gives it the disk")
                )
            else:
                doors.emit(Changed(node, f"volume {volume.name}", f"mounted at {volume.mount}"))


def _bring_up(action: Action, plan: Plan, doors: Doors) -> None:
    hypervisor = doors.hypervisors[action.where]
    guest = plan.desired.guest(action.name)
    if action.verb is Verb.CREATE:
        anew = action.basis in _AWAITED
        former = _thrown_away(guest, doors) if anew else None
        guest = _with_bundle(guest, plan, doors)
        stamp = _put_seed(guest, plan, doors)
        if former is not None and (was := former.definition.stamp) is not None:
            stamp = replace(stamp, labels=was.labels, taints=was.taints)
        if anew and [guest.node] == [node.name for node in doors.cluster.control_planes]:
            stamp = replace(stamp, rebuild=_AWAITED[action.basis])
        hypervisor.define_domain(domain_xml(guest, stamp), new=former is None)
    elif action.verb is Verb.CHANGE:
        _redefine(action, plan, doors)
    hypervisor.start_domain(guest.domain)
    doors.emit(Changed(action.where, f"guest {guest.node}", action.verb))


def _thrown_away(guest: GuestSpec, doors: Doors) -> DomainSeen | None:
    """What is left of a guest that is made anew: its domain, which remembers what it was given. Raises ConflictError when it has become
    another since.
    """
    found = _found(guest, doors)
    stamp = found.definition.stamp if found is not None else None
    if found is not None and (found.active or stamp is None or stamp.rebuild != GONE):
        raise ConflictError(
            f"{guest.host}: domain {guest.domain} was changed by somebody else since it was thrown away",
            hint="look at the new plan: run the command again",
        )
    return found


def _having_bundle(guest: GuestSpec, kept: GuestSpec, doors: Doors) -> GuestSpec:
    """The guest with the bundle's disk that it keeps, or with the inventory's where that is gone from the pool."""
    there = doors.hypervisors[guest.host].volume_names(guest.pool)
    return kept if _file(kept.bundle_path) in there else replace(kept, bundle_path=guest.bundle_path)


def _with_bundle(guest: GuestSpec, plan: Plan, doors: Doors) -> GuestSpec:
    """The guest with the copy of the bundle that its pool has; one that has a bundle already, as it is."""
    name = _file(guest.bundle_path)
    if all(artifact.volume != name for artifact in plan.desired.artifacts):
        return guest
    return replace(guest, bundle_path=copy_path(doors.hypervisors[guest.host], guest.pool, guest.bundle_path))


def _redefine(action: Action, plan: Plan, doors: Doors) -> None:
    """Defines a guest again, if it still is what the plan was made from. Raises ConflictError when somebody changed it since."""
    guest = plan.desired.guest(action.name)
    hypervisor, found = doors.hypervisors[guest.host], _found(guest, doors)
    if found is None or found.stamp is None or basis_of(found) != action.basis:
        raise ConflictError(
            f"{guest.host}: domain {guest.domain} was changed by somebody else since the plan was made",
            hint="look at the new plan: run the command again",
        )
    guest = _with_bundle(_having_bundle(guest, effective(guest, found), doors), plan, doors)
    stamp = replace(
        found.stamp,
        digest=digest(guest),
        address=guest.address,
        bundle=_file(guest.bundle_path),
        owner=plan.desired.owner_id,
        pod_subnet=_member(plan, guest.node).pod_subnet,
        upkeep=_upkeep(guest, found.definition.stamp or found.stamp, plan, doors),
    )
    hypervisor.define_domain(domain_xml(guest, stamp))


def _mark(action: Action, plan: Plan, doors: Doors) -> None:
    """Writes into a guest's stamp until when it is needed; nothing else of it is touched. One that is gone meanwhile is passed over."""
    guest = plan.desired.guest(action.name)
    found = _found(guest, doors)
    if found is None or (stamp := found.definition.stamp) is None:
        return
    said = replace(stamp, upkeep=_upkeep(guest, stamp, plan, doors))
    doors.hypervisors[guest.host].mark_domain(guest.domain, stamp_text(said))
    doors.emit(Changed(action.where, f"{EXPIRY} {guest.node}", plan.desired.expires))


def _found(guest: GuestSpec, doors: Doors) -> DomainSeen | None:
    """A guest's domain as it is now."""
    domains = judged_domains(doors.cluster.owner, doors.hypervisors[guest.host].domains())
    return next((domain for domain in domains if domain.name == guest.domain), None)


def _upkeep(guest: GuestSpec, before: Stamp | None, plan: Plan, doors: Doors) -> Upkeep:
    """What a guest's stamp says beside what it was given; since when it is there stays as it was."""
    created = before.upkeep.created if before else moment(time.time())
    return Upkeep(created, plan.desired.expires, guest.pool, doors.cluster.host(guest.host).pool.type)


def _file(path: str) -> str:
    return path.rpartition("/")[2]


def _put_seed(guest: GuestSpec, plan: Plan, doors: Doors) -> Stamp:
    """Makes the seed with a new host key and gives the stamp that remembers the key's public half."""
    hypervisor, state = doors.hypervisors[guest.host], state_volume(plan.desired, guest.node)
    key = new_host_key(f"{guest.cluster}-{guest.node}")
    member = _member(plan, guest.node)
    image = seeds.disk_image(
        seeds.render(
            _with_its_disks(guest, doors.cluster), member, plan.desired.members, identity(doors.cluster).public, key
        )
    )
    volume = guest.seed_path.rpartition("/")[2]
    hypervisor.delete_volume(guest.pool, volume)
    hypervisor.create_volume(guest.pool, upload_volume_xml(volume, private=True))
    hypervisor.upload(guest.pool, volume, io.BytesIO(image))
    return Stamp(
        guest.cluster,
        guest.node,
        digest(guest),
        guest.address,
        key.public,
        volume,
        _file(guest.bundle_path),
        owner=plan.desired.owner_id,
        pod_subnet=member.pod_subnet,
        state=state.name if state is not None else "",
        endpoint=plan.desired.endpoint if member.role == "control-plane" else "",
        upkeep=_upkeep(guest, None, plan, doors),
    )


def _with_its_disks(guest: GuestSpec, cluster: Cluster) -> Cluster:
    """The cluster with no state volume for a guest that does not get that disk."""
    there = any(disk.serial == STATE_KIND for disk in guest.disks)
    return cluster if there else without_state(cluster, [guest.node])


def _member(plan: Plan, node: str) -> Member:
    return next(member for member in plan.desired.members if member.name == node)


def _booted(guest: Guest, shell: Ssh, doors: Ways) -> Boot:
    try:
        return wait_until(
            lambda: look(shell, doors.cluster, partial(_console, guest, doors)),
            what=f"{guest.node}: first boot",
            within_s=BOOT_S,
            every_s=2.0,
            emit=doors.emit,
        )
    except StageTimeout as error:
        tail = (
            "\n".join(f"    {line}" for line in _console(guest, doors).splitlines()[-20:])
            or "    (the console log is empty)"
        )
        raise StageTimeout(
            f"{error.message}\nthe guest's console ends:\n{tail}",
            hint=f"watch it: meshctl console INVENTORY {guest.node}",
        ) from error


def look(shell: Ssh, cluster: Cluster, console: Callable[[], str]) -> Ready[Boot] | NotYet:
    """A look at a guest's first boot. Raises KeyRefused when its console says that no user of ours will come any more, and
    HostKeyMismatch.
    """
    try:
        node = cluster.node(shell.where)
        boot = observe_boot(shell, cluster.sysctl, node.mounts, disk_sizes(node))
    except HostKeyMismatch:
        raise
    except KeyRefused as error:
        # Its user is made during the first boot: until that is over a refusal says nothing.
        if first_boot_over(console()):
            raise
        return NotYet(error.message)
    except Unreachable as error:
        return NotYet(error.message)
    return NotYet(boot.waiting) if boot.waiting else Ready(boot)


def _console(guest: Guest, doors: Ways) -> str:
    return doors.hypervisors[guest.host].console(guest.pool, guest.console_path.rpartition("/")[2])
