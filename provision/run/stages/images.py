"""Stage images: base image and bundle go into each host's pool, once, by digest."""

from __future__ import annotations

from provision.base.events import Changed, Progress
from provision.base.parallel import for_each
from provision.libvirt_xml import upload_volume_xml
from provision.plan import Action, Plan, Verb
from provision.run.stages.doors import Doors
from provision.specs import Artifact

NAME, TITLE = "images", "base image and bundle into the pools"


def run(plan: Plan, doors: Doors) -> None:
    """Sends what is missing; hosts at once, one file after the other on each."""
    hosts = sorted({action.where for action in plan.of(NAME)})
    for_each(hosts, lambda host: _to_host(host, plan, doors))


def _to_host(host: str, plan: Plan, doors: Doors) -> None:
    for action in plan.of(NAME):
        if action.where == host:
            artifact = next(a for a in plan.desired.artifacts if a.volume == action.name)
            _send(action, artifact, plan, doors)


def _send(action: Action, artifact: Artifact, plan: Plan, doors: Doors) -> None:
    hypervisor = doors.hypervisors[action.where]
    pool = next(pool.name for pool in plan.desired.pools if pool.host == action.where)
    if action.verb is Verb.CHANGE:
        hypervisor.delete_volume(pool, artifact.volume)
    hypervisor.create_volume(pool, upload_volume_xml(artifact.volume, private=False))
    what = f"{artifact.kind} to {action.where}"
    with open(artifact.path, "rb") as content:
        hypervisor.upload(
            pool, artifact.volume, content, lambda sent: doors.emit(Progress(what, sent, artifact.size, "bytes"))
        )
    doors.emit(Changed(action.where, f"{artifact.kind} {artifact.volume}", "sent"))
