"""`backup`: the control plane's state, read while it serves, as one file of this machine. Changes nothing on the hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from provision.base.errors import ConflictError
from provision.base.events import Changed, Warned
from provision.base.units import approximate_size
from provision.kubernetes import copied, profile_for
from provision.run import backup_file
from provision.run.access import asked, node_target
from provision.run.age import encrypted
from provision.run.backup_file import Backup
from provision.run.engine import World
from provision.run.site import recorded

ENDING = "meshctl-backup"


@dataclass(frozen=True)
class Kept:
    """A backup that was written: where, how big in bytes, and for how many recipients."""

    path: Path
    backup: Backup
    size: int
    recipients: int


def default_path(cluster: str, now: datetime) -> Path:
    """`lab-20261130T021500Z.meshctl-backup`, in the current folder."""
    return Path(f"{cluster}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.{ENDING}")


def back_up(world: World, path: Path, recipients: Sequence[str]) -> Kept:
    """Copies the control plane's state into a new file. Raises ConflictError when it is there, KubernetesError when etcd or the
    files cannot be read.
    """
    backup_file.refuse_existing(path)
    if recipients:
        encrypted(b"", recipients)  # one that is none is said before minutes of work
    with recorded(world, "backup"):
        backup = taken(world)
        content = backup_file.packed(backup)
        content = encrypted(content, recipients) if recipients else content
        backup_file.write(path, content)
        how = f"for {len(recipients)} recipient(s)" if recipients else "not encrypted"
        world.emit(Changed("this machine", f"backup {path}", f"written: {approximate_size(len(content))}, {how}"))
    if not recipients:
        hint = "--recipient age1… or backup.recipients encrypts it; only you can read it (0600)"
        world.emit(Warned(f"{path} holds the keys of cluster {world.cluster.cluster}, and is not encrypted", hint))
    return Kept(path, backup, len(content), len(recipients))


def taken(world: World) -> Backup:
    """A backup of the cluster as it is. Raises ConflictError when nobody can say whose cluster it is."""
    cluster = world.cluster
    if not cluster.owner.id:
        raise ConflictError(
            f"cluster {cluster.cluster} has no owner's id, so nobody could tell whose backup it is",
            hint="`meshctl provision` gives it one",
        )
    node = asked(world)  # any member of etcd has all of it
    target = node_target(world, node)
    state = copied(world.sessions.to(target), profile_for(cluster.kubernetes.generation).etcd)
    return backup_file.described(cluster.cluster, cluster.owner.id, node, target.address, state, datetime.now(UTC))
