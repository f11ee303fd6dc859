"""Stages of a bake, after those that make its guest: the bundle goes in, what makes it one guest goes out, its disk becomes an image."""

from __future__ import annotations

from pathlib import Path

from provision import images
from provision.base.errors import MeshctlError, StageTimeout
from provision.base.events import Changed, Progress
from provision.base.shell import Shell
from provision.base.units import approximate_size
from provision.base.waiting import NotYet, Ready, wait_until
from provision.bundle import Bundle
from provision.guests import READY, forget_guest, leave
from provision.hosts import fetch
from provision.inventory import GOLDEN
from provision.kubernetes import forget_docker, load, profile_for
from provision.plan import Plan
from provision.run.observe import kubernetes_spec
from provision.run.stages.doors import Doors
from provision.run.stages.order import Stage, until
from provision.specs import Desired, GuestSpec

OFF_S = 300.0
"""A guest cleans itself and shuts down in about 20 s under software emulation with idle CPUs."""

SAID = 1 << 18
"""Bytes of the console's end in which its last word is looked for: systemd says there what it stops, a line for each unit."""


def origin_of(image: str, wanted: Desired, sealed: Bundle) -> images.Origin:
    """What is baked: the base image called `image` and the bundle."""
    return images.Origin(image, wanted.base_image.sha256, sealed.kubernetes, sealed.digest)


def _load(plan: Plan, doors: Doors) -> None:
    spec = kubernetes_spec(doors.cluster, plan.desired, doors.bundle)
    load(doors.shells()[GOLDEN], profile_for(spec.generation), spec, spec.control_plane, doors.emit)


def _strip(plan: Plan, doors: Doors) -> None:
    """Ends with the guest switched off by itself, which it does only when all was taken away."""
    shell, guest = doors.shells()[GOLDEN], plan.desired.guest(GOLDEN)
    forget_docker(shell)
    forget_guest(shell)
    leave(shell, doors.cluster.ssh.user)
    _await_off(guest, doors)
    if READY not in (said := _console(guest, doors)):
        raise MeshctlError(
            f"{guest.domain} is off and did not say that it is ready to be cloned; its console ends:\n{_tail(said)}",
            hint="was it stopped by somebody? Run the command again",
        )
    doors.emit(Changed(guest.host, f"guest {guest.domain}", "cleaned and off"))


def _await_off(guest: GuestSpec, doors: Doors) -> None:
    hypervisor = doors.hypervisors[guest.host]

    def look() -> Ready[None] | NotYet:
        return NotYet("it runs") if hypervisor.runs(guest.domain) else Ready(None)

    try:
        wait_until(look, what=f"{guest.domain} off", within_s=OFF_S, every_s=1.0, emit=doors.emit)
    except StageTimeout as error:
        raise StageTimeout(
            f"{error.message}; its console ends:\n{_tail(_console(guest, doors))}", hint="run the command again"
        ) from error


def _console(guest: GuestSpec, doors: Doors) -> str:
    return doors.hypervisors[guest.host].console(guest.pool, guest.console_path.rpartition("/")[2], SAID)


def _tail(said: str) -> str:
    return "\n".join(f"    {line}" for line in said.splitlines()[-20:]) or "    (the console log is empty)"


def _take(plan: Plan, doors: Doors) -> None:
    origin = origin_of(doors.cluster.image, plan.desired, doors.bundle)
    base = Path(plan.desired.base_image.path)
    with images.place_to_bake(origin, doors.emit) as place:
        disk = place / "disk.qcow2"
        _fetch(plan, disk, doors)
        doors.emit(Progress("baked image: compression", 0, 1, "steps"))
        made = images.keep(disk, base, origin)
    doors.emit(Changed("this machine", str(made.path), f"baked: {approximate_size(made.size)}"))


def _fetch(plan: Plan, target: Path, doors: Doors) -> None:
    root = next(volume for volume in plan.desired.volumes if volume.kind == "root")
    pool = next(one for one in plan.desired.pools if one.host == root.host)
    hypervisor, shell = doors.hypervisors[root.host], _shell(root.host, doors)
    seen = hypervisor.volumes(pool.name, sized=lambda name: name == root.name)
    size = next(volume.physical for volume in seen if volume.name == root.name)
    what = f"{root.name} from {root.host}"
    fetch(hypervisor, shell, pool, root.name, target, lambda got: doors.emit(Progress(what, got, size, "bytes")))


def _shell(host: str, doors: Doors) -> Shell | None:
    try:
        return doors.host_shell(host)
    except MeshctlError:
        return None


STAGES = (
    *until("guests"),
    Stage("loading", "programs and container images of the bundle", _load, checks=True),
    Stage("cleaning", "what makes the guest one of a kind is taken away", _strip, checks=True),
    Stage("image", "its disk becomes an image in the cache", _take, checks=True),
)
"""All of them. The last three are no actions of a plan: what they do depends on nothing that a plan compares."""
