"""Base images and bundles in pools: what is sent, what is there, and what an ended upload left. Pure.

What is in use is never written to: an artifact of another content is another volume, and is sent only where something is to be
made from it. Guests keep what they were made on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from provision.libvirt_xml import DomainSeen, VolumeSeen
from provision.plan.action import Action, Verb
from provision.plan.observed import HostSeen
from provision.specs import Artifact, PoolSpec, complete_copy, incomplete_copies, is_bundle, mark_name

UPLOAD = "unfinished upload"


def artifact_action(artifact: Artifact, pool: PoolSpec, seen: HostSeen, made_from: Collection[str]) -> Action:
    """What is done about an artifact on a host; `made_from` are the artifacts that something is to be made from there."""
    copy = _copy(artifact, seen)
    if artifact.volume not in made_from:
        verb, reason = Verb.LEAVE, "nothing is to be made from it here"
    elif copy is None:
        verb, reason = (
            Verb.CREATE,
            f"{artifact.title} is not in pool {pool.name}: {artifact.size / 2**20:.0f} MiB to send",
        )
    elif _written_since(copy, seen):
        verb, reason = Verb.CHANGE, f"{copy.name} was written to after it was verified: is verified again"
    else:
        verb, reason = Verb.LEAVE, "complete, verified"
    return Action("images", verb, pool.host, artifact.kind, artifact.volume, reason)


def artifact_conflicts(artifact: Artifact, pool: PoolSpec, seen: HostSeen) -> Iterator[str]:
    """A copy that is marked as verified and cannot be what its name says."""
    copy = _copy(artifact, seen)
    if copy is not None and copy.modified is not None and copy.physical != artifact.size:
        yield (
            f"{pool.host}: volume {copy.name} in pool {pool.name} was verified once, but has {copy.physical} bytes now instead of"
            f" {artifact.size}: without {mark_name(copy.name)} it is not used for new guests"
        )


def upload_actions(pool: PoolSpec, seen: HostSeen) -> Iterator[Action]:
    """What uploads left that were ended."""
    for name in sorted(seen.abandoned):
        yield Action("images", Verb.CHANGE, pool.host, UPLOAD, name, "was ended before it was complete: removed")


def upload_notes(host: str, seen: HostSeen) -> Iterator[str]:
    """Uploads that may go on."""
    for name in incomplete_copies(volume.name for volume in seen.volumes):
        if name not in seen.abandoned:
            yield f"{host}: {name} is not complete: another meshctl sends it, or was ended less than a day ago; left"


def bundle_of(found: DomainSeen) -> str:
    """The bundle's volume that a guest was made with, "" when nobody knows: stamps of an older meshctl do not say."""
    definition = found.definition
    if definition.stamp is not None and definition.stamp.bundle:
        return definition.stamp.bundle
    names = (path.rpartition("/")[2] for path in definition.disks)
    return next((name for name in names if is_bundle(name)), "")


def _copy(artifact: Artifact, seen: HostSeen) -> VolumeSeen | None:
    volumes = {volume.name: volume for volume in seen.volumes}
    name = complete_copy(artifact.volume, volumes)
    return None if name is None else volumes[name]


def _written_since(copy: VolumeSeen, seen: HostSeen) -> bool:
    mark = next(volume for volume in seen.volumes if volume.name == mark_name(copy.name))
    return copy.modified is not None and mark.modified is not None and copy.modified > mark.modified
