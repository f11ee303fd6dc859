"""`image bake`: a base image booted once, with the bundle loaded into it, and taken as the image that new nodes are made from.

The guest is the only one of a cluster of its own (`inventory.golden`), with a time to live: what a killed bake left, the next one takes
away, or `destroy --name`, or `gc`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from provision import bundle, images
from provision.base.errors import ConflictError, MeshctlError, StorageError
from provision.base.moments import moment
from provision.base.units import GIB, approximate_size
from provision.inventory import GOLDEN
from provision.plan import Removal
from provision.run.destruction import carry_out, plan_removal, unfinished
from provision.run.engine import Intent, World, go_through, intent, make_plan, sealed_for
from provision.run.lease import leased
from provision.run.site import recorded
from provision.run.stages.baking import STAGES, origin_of
from provision.specs import Artifact, GuestSpec, complete_copy

NEEDED_S = 6 * 3600
"""A bake takes six minutes under software emulation, and many times that on a busy machine; after this `gc` takes away what is left."""

SPARE = GIB // 2
"""What a guest writes beside the bundle: logs, cloud-init's state, the filesystem's own."""


@dataclass(frozen=True)
class Baking:
    """What a bake will do, as it is shown before it begins. Sizes are bytes.

    `sent` are the files that the pool does not have; `grows` is how large the guest's disk may become; `leftovers` is what a
    killed bake left; `free` is what the pool has, None where nobody can tell.
    """

    guest: GuestSpec
    origin: images.Origin
    sent: tuple[Artifact, ...]
    grows: int
    leftovers: tuple[Removal, ...]
    free: int | None
    done: images.Baked | None

    @property
    def on_host(self) -> int:
        """Bytes that the pool must have room for."""
        return self.grows + sum(artifact.size for artifact in self.sent)

    @property
    def here(self) -> int:
        """Bytes that the cache must have room for: the disk as it arrives, and what becomes of it."""
        return 2 * self.grows

    def as_text(self) -> str:
        """For people, before they are asked."""
        guest, of = self.guest, self.origin
        lines = [
            f"Bake {of.image} with Kubernetes {of.kubernetes}, base image {of.base_sha256[:12]}, bundle {of.bundle_digest[:12]}:"
        ]
        lines += [f"  - {one.host}: {one.kind} {one.name}, which an ended bake left" for one in self.leftovers]
        lines += [
            f"  + {guest.host}: {one.kind} into pool {guest.pool}: {approximate_size(one.size)} to send"
            for one in self.sent
        ]
        free = f", of which {approximate_size(self.free)} are free" if self.free is not None else ""
        lines += [
            f"  + {guest.host}: guest {guest.domain}, {guest.vcpus} vCPUs, {guest.memory_mib} MiB, in a network of its own",
            f"    its disk takes up to {approximate_size(self.grows)} of pool {guest.pool}{free}",
            f"  + this machine: an image in {images.baked_folder()}, up to {approximate_size(self.here)} while it is made",
            f"  - {guest.host}: guest, disk and network, at the end; what was sent stays in the pool",
        ]
        return "\n".join(lines)


def plan_bake(world: World) -> Baking:
    """What is to be done; changes nothing. Raises StorageError or ImageError where there is not enough room, and ConflictError when
    what carries the name of the bake is something else.
    """
    meant = intent(world)
    guest, origin = meant.wanted.guest(GOLDEN), origin_of(world.cluster.image, meant.wanted, meant.sealed)
    done = images.baked_of(origin.base_sha256, origin.bundle_digest)
    found = Baking(
        guest=guest,
        origin=origin,
        sent=tuple(_missing(meant, guest)),
        grows=growth(meant.sealed),
        leftovers=_leftovers(world),
        free=next((pool.available for pool in meant.hosts[guest.host].pools if pool.name == guest.pool), None),
        done=done,
    )
    if done is None:
        _check_room(found)
    return found


def growth(sealed: bundle.Bundle) -> int:
    """How much a guest's disk grows by a bundle: each archive is unpacked beside itself before Docker takes its layers."""
    return 2 * sealed.size + SPARE


def _missing(meant: Intent, guest: GuestSpec) -> Iterable[Artifact]:
    names = [volume.name for volume in meant.hosts[guest.host].volumes]
    return (artifact for artifact in meant.wanted.artifacts if complete_copy(artifact.volume, names) is None)


def _check_room(found: Baking) -> None:
    images.check_room(found.here)
    if found.free is not None and found.free < found.on_host:
        raise StorageError(
            f"{found.guest.host}: pool {found.guest.pool} has {approximate_size(found.free)} free, "
            f"the bake needs {approximate_size(found.on_host)}",
            hint="free some, or bake on another host: --host NAME",
        )


def _leftovers(world: World) -> tuple[Removal, ...]:
    """What is there of the throw-away cluster. Raises ConflictError when it is none: another node's thing has its name."""
    found = plan_removal(world, purge=False)
    if strange := [one.name for one in found if one.node not in ("", GOLDEN)]:
        raise ConflictError(
            f"cluster {world.cluster.cluster} is no bake's: {', '.join(strange)} is part of it",
            hint="rename that cluster: the name is what `image bake` gives to the guest that it throws away",
        )
    return found


def bake(world: World, agreed: Baking, *, patience_s: float = 0.0) -> images.Baked:
    """Makes the image, holding the hosts. The guest is gone afterwards, also when something failed; after a kill or an interruption the
    next bake takes it away. Gives what is there already, where an image of just this origin is.
    """
    if agreed.done is not None:
        return agreed.done
    command = f"image bake {world.cluster.cluster}"
    with (
        leased(world.hypervisors, world.calls, command, world.emit, patience_s=patience_s),
        recorded(world, "image bake"),
    ):
        world = world.looked_again()
        _clear(world)
        try:
            _make(world)
        except MeshctlError:
            with suppress(MeshctlError):  # what it failed of is what is to be said
                _clear(world)
            raise
        _clear(world)
    return _made(agreed.origin)


def _made(origin: images.Origin) -> images.Baked:
    found = images.baked_of(origin.base_sha256, origin.bundle_digest)
    if found is None:
        raise ConflictError(
            "the base image or the bundle was exchanged while it was baked", hint="run the command again"
        )
    return found


def _make(world: World) -> None:
    found = make_plan(world, expires=moment(time.time() + NEEDED_S))
    world.identity.keep(found.desired.owner_id, world.emit)
    sealed = sealed_for(world.cluster, bundle.find(world.cluster.kubernetes.bundle))
    go_through(found.until(tuple(stage.name for stage in STAGES)), STAGES, world.doors(sealed))


def _clear(world: World) -> None:
    """Takes away what there is of the throw-away guest. Raises Unfinished when something of it is left."""
    failures: dict[str, MeshctlError] = {}
    carry_out(world, _leftovers(world), failures)
    if failures:
        raise unfinished(failures)
