"""`rebuild`: nodes thrown away and made anew under the same name and address: workers in turn, or the control plane with its state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from provision import bundle
from provision.base import data
from provision.base.errors import ConflictError, KubernetesError, MeshctlError, ShellError, cause
from provision.base.events import Changed, Warned
from provision.base.units import approximate_size
from provision.kubernetes import Eviction, is_member, prepared_version
from provision.plan import Plan, is_on_its_volume, kept_state, rebuilding
from provision.run import backup_file
from provision.run.access import node_target
from provision.run.backup import ENDING, taken
from provision.run.backup_file import Backup
from provision.run.engine import World, check_agreement, go_through, intent, make_plan, refuse_halted
from provision.run.lease import leased
from provision.run.nodes import to_evict
from provision.run.restore import GUEST_NAMES, bring_back, elapsed, refuse_strange
from provision.run.site import recorded
from provision.run.stages.order import STAGES
from provision.run.stages.rolling import lots
from provision.specs import BUT_DATA, PUT_BACK, THROWN_AWAY, Stamp


@dataclass(frozen=True)
class Rebuild:
    """What a rebuild will do. `mark` says what goes of each node, as a stamp does; `evicted` are the pods that go from each worker.

    `backup` is the file of the control plane's state, empty where none is needed; `begun`: it is there, from a run that was ended. `state`
    is the control plane's state volume, from which its cluster goes on; empty where there is none, and for workers.
    """

    nodes: tuple[str, ...]
    mark: str
    plan: Plan
    evicted: Mapping[str, Sequence[Eviction]] = field(default_factory=dict)
    backup: Path | None = None
    begun: bool = False
    state: str = ""


def plan_rebuild(world: World, nodes: Sequence[str], *, keep_data: bool) -> Rebuild:
    """What is to be done. Raises ConflictError for what cannot come back: a worker without a control plane, the only control plane whose
    state nobody can copy, several control planes at once.
    """
    mark = BUT_DATA if keep_data else THROWN_AWAY
    planes = [node.name for node in world.cluster.control_planes]
    if planes[0] in nodes:
        refuse_leaving_control_planes(world, f"rebuild {planes[0]}")
    if planes[0] in nodes and len(planes) == 1:
        return _of_control_plane(world, nodes, mark)
    if len(going := [node for node in nodes if node in planes]) > 1:
        raise ConflictError(
            f"{', '.join(going)} are control planes, of which one is rebuilt at a time: etcd needs more than half of them",
            hint=f"`meshctl rebuild INVENTORY {going[0]}` first; the next when `meshctl status` shows it Ready",
        )
    found = make_plan(world, limit=nodes, anew=dict.fromkeys(nodes, mark))
    refuse_halted(found)
    going = [action.name for action in found.of(rebuilding.STAGE)]
    return Rebuild(tuple(nodes), mark, found, to_evict(world, going) if going else {})


def refuse_leaving_control_planes(world: World, what: str) -> None:
    """Raises ConflictError while the cluster has more control planes than the inventory: what is meant for the only one is wrong then."""
    names = {node.name for node in world.cluster.nodes}
    stamps = [one.stamp for one in world.domains() if world.cluster.owner.owns(one.stamp)]
    left = sorted(one.node for one in stamps if one is not None and one.endpoint and one.node not in names)
    if left:
        raise ConflictError(
            f"cannot {what} while {', '.join(left)}, which the inventory no longer has, is a control plane of the cluster too",
            hint=f"`meshctl provision INVENTORY {' '.join(f'--remove {one}' for one in left)}` first, or put it back into nodes",
        )


def _of_control_plane(world: World, nodes: Sequence[str], mark: str) -> Rebuild:
    name = world.cluster.control_plane.name
    if len(nodes) > 1:
        others = " ".join(node for node in nodes if node != name)
        raise ConflictError(
            f"{name} is the control plane, and is rebuilt by itself",
            hint=f"`meshctl rebuild INVENTORY {name}`, and then `meshctl rebuild INVENTORY {others}`",
        )
    stamp = _stamp_of(world, name)
    if state := _state_of(world, stamp):
        return _on_its_state(world, stamp, mark, state)
    path, begun = backup_path(world), _begun(world)
    if begun:
        refuse_strange(world.cluster, _kept(path).manifest)
    else:
        _require_living(world)
    found = _control_plane_plan(world, mark)
    refuse_halted(found)
    return Rebuild((name,), mark, found, backup=path, begun=begun)


def _state_of(world: World, stamp: Stamp | None) -> str:
    """The control plane's state volume, if it is there and has the cluster: then nothing is copied, and the guest need not answer. One
    without any guest may have such a volume too; what is on it is seen when it is mounted.
    """
    meant = intent(world, probe=False)
    volume = kept_state(meant.wanted, world.cluster.control_plane.name, meant.hosts)
    there = stamp is None or is_on_its_volume(stamp, meant.wanted, meant.hosts)
    return volume.name if volume is not None and there else ""


def _on_its_state(world: World, stamp: Stamp | None, mark: str, state: str) -> Rebuild:
    """Of a control plane that answers it is seen first that there is a cluster to go on with, of the version that the new guest gets."""
    name = world.cluster.control_plane.name
    if stamp is not None and stamp.rebuild in ("", *rebuilding.KINDS):
        _require_whole(world, name)
    found = make_plan(world, limit=(name,), anew={name: mark})
    refuse_halted(found)
    return Rebuild((name,), mark, found, state=state)


def _require_whole(world: World, name: str) -> None:
    shell = world.sessions.to(node_target(world, name))
    try:
        version = prepared_version(shell) if is_member(shell) else ""
    except ShellError as error:
        world.emit(Warned(f"{error.message}: what is on its state volume is seen when the new guest mounts it"))
        return
    if not version:
        raise ConflictError(
            f"{name} cannot be rebuilt: it answers, and is no control plane, so that there is no cluster to go on with",
            hint="`meshctl provision` makes one; `meshctl restore INVENTORY FILE` puts one back from a backup",
        )
    if version != world.cluster.kubernetes.version:
        raise ConflictError(
            f"{name} cannot be rebuilt with Kubernetes {world.cluster.kubernetes.version}: its cluster has {version}",
            hint="`meshctl provision` upgrades it first; or put kubernetes.version and its bundle back",
        )


def _control_plane_plan(world: World, mark: str) -> Plan:
    """The guest's part; a guest that only lacks its state is not thrown away again."""
    name = world.cluster.control_plane.name
    anew = {} if _mark_of(world, name) == PUT_BACK else {name: mark}
    return make_plan(world, restoring=True, limit=(name,), anew=anew).until(GUEST_NAMES)


def _begun(world: World) -> bool:
    """Whether a run was ended after it began to take the control plane away. One that lives has gone on since, and is copied anew."""
    mark = _mark_of(world, world.cluster.control_plane.name)
    return bool(mark) and not (mark in rebuilding.KINDS and not _why_dead(world))


def _mark_of(world: World, node: str) -> str:
    stamp = _stamp_of(world, node)
    return "" if stamp is None else stamp.rebuild


def _stamp_of(world: World, node: str) -> Stamp | None:
    owner = world.cluster.owner
    stamps = [domain.definition.stamp for domain in world.domains() if owner.owns(domain.stamp)]
    return next((stamp for stamp in stamps if stamp is not None and stamp.node == node), None)


def backup_path(world: World) -> Path:
    """Where the control plane's state is kept while it is rebuilt: on this machine, in the state folder."""
    owner = world.cluster.owner
    return data.state("rebuild", f"{owner.cluster}-{owner.id}-{world.cluster.control_plane.name}.{ENDING}")


def _kept(path: Path) -> Backup:
    """The backup of a rebuild that was ended. Raises ConflictError when it is not on this machine, ImageError when it is damaged."""
    if not path.is_file():
        raise ConflictError(
            f"the control plane is being rebuilt, and its backup is not on this machine: there is no {path}",
            hint="go on where it was begun; with a backup at hand, `meshctl restore INVENTORY FILE` ends it too",
        )
    return backup_file.unpacked(str(path), backup_file.read(path))


def _why_dead(world: World) -> str:
    """Why the control plane's state cannot be copied, "" when it can."""
    name = world.cluster.control_plane.name
    try:
        return "" if is_member(world.sessions.to(node_target(world, name))) else f"{name} is no control plane"
    except ShellError as error:
        return error.message


def _require_living(world: World) -> None:
    """Raises ConflictError when the control plane does not answer: without its state there is nothing to make it anew of."""
    name = world.cluster.control_plane.name
    if why := _why_dead(world):
        raise ConflictError(
            f"{name} cannot be rebuilt, as its state cannot be copied first: {why}",
            hint="`meshctl restore INVENTORY FILE` makes it anew from a backup; `meshctl console` shows what it says",
        )


def rebuild(world: World, agreed: Rebuild, *, patience_s: float = 0.0) -> None:
    """Does what was agreed to, holding the hosts. Killed anywhere, the same again goes on.

    Raises ConflictError when the world is no longer as the plan was shown, and what the stages raise.
    """
    title = f"rebuild {world.cluster.cluster}"
    with leased(world.hypervisors, world.calls, title, world.emit, patience_s=patience_s), recorded(world, "rebuild"):
        if agreed.backup is not None:
            _control_plane(world, agreed, agreed.backup)
        else:
            _by_plan(world, agreed)


def _by_plan(world: World, agreed: Rebuild) -> None:
    """Workers, lot by lot, each from a look of its own: one is back and proven before the next goes; or a control plane that keeps its
    state. Nothing but the hosts is needed for it.
    """
    found = make_plan(world, limit=agreed.nodes, anew=dict.fromkeys(agreed.nodes, agreed.mark))
    check_agreement(found, agreed.plan)
    doors = world.doors(bundle.load(bundle.find(world.cluster.kubernetes.bundle)))
    for lot in _lots(world, agreed.nodes):
        alone = len(lot) == len(agreed.nodes)
        part = found if alone else make_plan(world, limit=lot, anew=dict.fromkeys(lot, agreed.mark))
        go_through(part, STAGES, doors)


def _lots(world: World, nodes: Sequence[str]) -> Iterator[Sequence[str]]:
    """Workers so many at once as may be down, then a control plane by itself."""
    planes = {node.name for node in world.cluster.control_planes}
    yield from lots([node for node in nodes if node not in planes], world.cluster.kubernetes.max_unavailable)
    yield from ([node] for node in nodes if node in planes)


def _control_plane(world: World, agreed: Rebuild, path: Path) -> None:
    found = _control_plane_plan(world, agreed.mark)
    check_agreement(found, agreed.plan)
    if _begun(world) != agreed.begun:
        raise ConflictError("the world changed since the plan was shown", hint="run the command again")
    backup = _kept(path) if agreed.begun else _kept_anew(world, path)
    bring_back(world, found, backup)
    path.unlink(missing_ok=True)
    world.emit(Changed("this machine", f"backup {path}", "delete"))


def _kept_anew(world: World, path: Path) -> Backup:
    """A new backup, in the place of one that an earlier rebuild has left: the control plane lives, and has gone on since."""
    try:
        backup = taken(world)
    except (ShellError, KubernetesError) as error:
        error.hint = error.hint or "`meshctl restore INVENTORY FILE` makes the control plane anew from a backup"
        raise
    refuse_strange(world.cluster, backup.manifest)
    content = backup_file.packed(backup)
    with _reaching(path):
        data.private_folder(path.parent)
        path.unlink(missing_ok=True)
    backup_file.write(path, content)
    said = f"written: {approximate_size(len(content))}, for you alone, until the control plane is back"
    world.emit(Changed("this machine", f"backup {path}", said))
    return backup


@contextmanager
def _reaching(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MeshctlError(
            f"{path}: cannot be written: {cause(error)}", hint="$MESHCTL_STATE names another folder"
        ) from error


def in_words(agreed: Rebuild, now: datetime) -> str:
    """What a rebuild does beside its plan, for people, before they are asked."""
    if agreed.state:
        return (
            f"  ~ {agreed.nodes[0]}: made anew; its cluster stays on {agreed.state}, and goes on from there\n"
            "      the API server is away for minutes; pods of workers run on\n"
            "      nothing that was written to the API is lost"
        )
    if agreed.backup is None:
        return "\n".join(line for node in agreed.nodes for line in _of_worker(node, agreed))
    (name,) = agreed.nodes
    if agreed.begun:
        age = elapsed((now.astimezone(UTC) - _kept(agreed.backup).manifest.at).total_seconds())
        how = f"goes on with the state that a run took {age} ago: {agreed.backup}"
    else:
        how = f"its state is copied into {agreed.backup}, and put back on the new guest"
    return (
        f"  ~ {name}: {how}\n"
        "      the API server is away for minutes; pods of workers run on\n"
        "      what is written to the API after the copy is lost"
    )


def _of_worker(node: str, agreed: Rebuild) -> list[str]:
    if node not in agreed.evicted:
        return [f"  ~ {node}: made anew"]
    return [f"  ~ {node}: drained, thrown away, made anew", *(f"      - {pod}" for pod in agreed.evicted[node])]
