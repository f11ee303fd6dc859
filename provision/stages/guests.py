"""Stage guests: seed, domain, first boot, and the proof that cloud-init and sysctl did what was asked."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from provision import seed as seeds
from provision.desired import GuestSpec, Member
from provision.domain_xml import Stamp, domain_xml, upload_volume_xml
from provision.errors import ConflictError, MeshctlError, StageTimeout, Unreachable
from provision.events import Changed, Warned
from provision.hostkey import new_host_key
from provision.parallel import for_each
from provision.plan import Action, Plan, Verb, effective, guest_digest
from provision.sessions import public_key
from provision.shell import HostKeyMismatch, Ssh
from provision.stages.doors import Doors
from provision.waiting import NotYet, Ready, wait_until

NAME, TITLE = "guests", "guests: define, boot, check"

BOOT_S = 900.0
"""First boot to SSH takes about 75 s under software emulation with idle CPUs; ten times that when they are not."""

# One read for everything that must be known of a booted guest. The keys are arguments.
_SYSCTL = 'for key; do printf "%s=" "$key"; sysctl -n "$key" 2>&1 | tr "\\t" " " | tr -d "\\n"; echo; done'


def run(plan: Plan, doors: Doors) -> None:
    """Makes and starts what the plan says, then waits for first boots and checks sysctl.

    While a cluster is still to be made only the control plane is waited for: workers boot and prepare while it
    initialises, and the stage kubernetes settles them.
    """
    for_each(plan.of(NAME), lambda action: _bring_up(action, plan, doors))
    workers_later = bool(plan.of("kubernetes"))
    nodes = [doors.cluster.control_plane] if workers_later else doors.cluster.nodes
    shells = doors.shells()
    for_each([node.name for node in nodes], lambda node: settle(plan.desired.guest(node), shells[node], doors))


def settle(guest: GuestSpec, shell: Ssh, doors: Doors) -> None:
    """Waits until a guest has finished its first boot, and compares its sysctl with the inventory's."""
    _booted(guest, shell, doors)
    check_sysctl(shell, doors.cluster.sysctl)


def _bring_up(action: Action, plan: Plan, doors: Doors) -> None:
    hypervisor = doors.hypervisors[action.where]
    guest = plan.desired.guest(action.name)
    if action.verb is Verb.CREATE:
        stamp = _put_seed(guest, plan, doors)
        hypervisor.define_domain(domain_xml(guest, stamp))
    elif action.verb is Verb.CHANGE:
        _redefine(guest, doors)
    hypervisor.start_domain(guest.domain)
    doors.emit(Changed(action.where, f"guest {guest.node}", action.verb))


def _redefine(guest: GuestSpec, doors: Doors) -> None:
    hypervisor = doors.hypervisors[guest.host]
    found = next(domain for domain in hypervisor.domains() if domain.name == guest.domain)
    if found.stamp is None:
        raise ConflictError(f"{guest.host}: domain {guest.domain} lost its stamp since the plan was made")
    stamp = replace(found.stamp, digest=guest_digest(guest, found), address=guest.address)
    hypervisor.define_domain(domain_xml(effective(guest, found), stamp))


def _put_seed(guest: GuestSpec, plan: Plan, doors: Doors) -> Stamp:
    """Makes the seed with a new host key and gives the stamp that remembers the key's public half."""
    hypervisor = doors.hypervisors[guest.host]
    key = new_host_key(f"{guest.cluster}-{guest.node}")
    member = _member(plan, guest.node)
    image = seeds.disk_image(seeds.render(doors.cluster, member, plan.desired.members, public_key(doors.cluster), key))
    volume = guest.seed_path.rpartition("/")[2]
    hypervisor.delete_volume(guest.pool, volume)
    hypervisor.create_volume(guest.pool, upload_volume_xml(volume, private=True))
    hypervisor.upload(guest.pool, volume, io.BytesIO(image))
    return Stamp(guest.cluster, guest.node, guest_digest(guest, None), guest.address, key.public, volume)


def _member(plan: Plan, node: str) -> Member:
    return next(member for member in plan.desired.members if member.name == node)


def _booted(guest: GuestSpec, shell: Ssh, doors: Doors) -> None:
    try:
        status = wait_until(
            lambda: _cloud_init(shell), what=f"{guest.node}: first boot", within_s=BOOT_S, every_s=2.0, emit=doors.emit
        )
    except StageTimeout as error:
        console = doors.hypervisors[guest.host].console(guest.pool, guest.console_path.rpartition("/")[2])
        tail = "\n".join(f"    {line}" for line in console.splitlines()[-20:]) or "    (the console log is empty)"
        raise StageTimeout(
            f"{error.message}\nthe guest's console ends:\n{tail}", hint=f"watch it: virsh console {guest.domain}"
        ) from error
    if status:
        doors.emit(
            Warned(
                f"{guest.node}: cloud-init is degraded: {status}",
                f"meshctl ssh … {guest.node} -- cloud-init status --long",
            )
        )


def _cloud_init(shell: Ssh) -> Ready[str] | NotYet:
    """Ready with "" or with what cloud-init complains of; exit code 2 means done, but degraded."""
    try:
        answer = shell.read(["cloud-init", "status", "--format", "json"], check=False)
    except HostKeyMismatch:
        raise
    except Unreachable as error:
        return NotYet(error.message)
    return judge_cloud_init(answer.stdout, answer.status, shell.where)


def judge_cloud_init(stdout: str, status: int, where: str) -> Ready[str] | NotYet:
    """What `cloud-init status --format json` means. Raises MeshctlError when cloud-init failed."""
    try:
        said = json.loads(stdout)
    except ValueError:
        return NotYet(f"cloud-init says {stdout.strip()!r} (exit code {status})")
    if said.get("status") not in ("done", "error") and not str(said.get("status", "")).startswith("degraded"):
        return NotYet(f"cloud-init is {said.get('status')}")
    errors = "; ".join(map(str, said.get("errors", ())))
    recoverable = "; ".join(
        f"{level}: {', '.join(map(str, texts))}" for level, texts in said.get("recoverable_errors", {}).items()
    )
    if said.get("status") == "error" and status != 2:
        raise MeshctlError(
            f"{where}: cloud-init failed: {errors or said.get('detail')}",
            hint="see /var/log/cloud-init.log in the guest",
        )
    return Ready(recoverable or errors if status == 2 else "")


def check_sysctl(shell: Ssh, wanted: dict[str, int | str]) -> None:
    """Reads the settings back. Raises MeshctlError with key, wanted and found value of each that differs."""
    answer = shell.read(["sh", "-c", _SYSCTL, "sysctl", *sorted(wanted)])
    found = dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)
    wrong = [
        f"{key}: wanted {value}, found {found.get(key, 'nothing')}"
        for key, value in sorted(wanted.items())
        if str(value).split() != found.get(key, "").split()
    ]
    if wrong:
        raise MeshctlError(
            f"{shell.where}: sysctl is not as the inventory says:\n" + "\n".join(f"    {line}" for line in wrong),
            hint="does the guest's kernel know the key? Otherwise somebody set it by hand: see /etc/sysctl.d",
        )
