"""Where a living cluster's data are, by its hosts, guests and Kubernetes, and what its policy says of that. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import PurePosixPath

from provision.base.errors import InventoryError, KubernetesError, MeshError, ShellError
from provision.base.parallel import for_each
from provision.guests.residue import Residue, residue
from provision.inventory import Cluster
from provision.inventory.residency import Place, Verdict, judge, judged, said_by
from provision.inventory.residency.linkerds import linkerds_places
from provision.kubernetes import Kubectl, kubectl_for
from provision.kubernetes.abroad import Abroad, abroad
from provision.libvirt_xml import DomainSeen
from provision.mesh import APP, configuration, marks
from provision.plan import HostSeen
from provision.run.access import asked, node_target
from provision.run.engine import World
from provision.run.observe import observe_hosts
from provision.specs import owned_volume

LIVE = ("the live cluster",)
"""The field of a place that no line of the inventory names."""


@dataclass(frozen=True)
class Disk:
    """A volume of a node on a host: `kind` is root, state, data, seed or console; `used`: a guest has it. `size_mib` is 0 where nobody says
    it.
    """

    node: str
    host: str
    kind: str
    path: str
    size_mib: int
    used: bool = True


@dataclass(frozen=True)
class Whereabouts:
    """Everything that was seen. `verdicts` are of the inventory's places and of those that only the live cluster has; `blind` says what
    could not be looked at, and why.
    """

    disks: tuple[Disk, ...]
    inside: Mapping[str, Residue]
    objects: Abroad | None
    verdicts: tuple[Verdict, ...]
    blind: tuple[str, ...]


def whereabouts(world: World, whole: Cluster, on: date) -> Whereabouts:
    """Asks the hosts of a world, their guests and the API server; judges the places of the whole cluster, those of silent hosts too, by
    the membership of that day. Raises HypervisorError when a host gives no answer.
    """
    hosts = observe_hosts(world.cluster, world.hypervisors, probe=False)
    found = (disk for host, seen in hosts.items() for disk in _disks(world.cluster, host, seen))
    disks = tuple(sorted(found, key=lambda disk: (disk.node, disk.kind, disk.host, disk.path)))
    world.sessions.ask_now()
    domains = [domain for seen in hosts.values() for domain in seen.domains]
    names = [node.name for node in world.cluster.nodes]
    looks = dict(zip(names, for_each(names, partial(_inside, world, domains)), strict=True))
    objects, live, blind = _kubernetes(world, domains)
    inside = {name: one for name, one in looks.items() if isinstance(one, Residue)}
    unseen = tuple(f"{name}: {why}" for name, why in looks.items() if isinstance(why, str))
    silent = tuple(f"{host} gives no answer: its guests are not seen" for host in sorted(world.silent))
    verdicts = merged(whole, live, on)
    return Whereabouts(disks, inside, objects, verdicts, (*silent, *unseen, *([blind] if blind else [])))


def _disks(cluster: Cluster, host: str, seen: HostSeen) -> Iterator[Disk]:
    """The volumes of the pool that carry our mark, and disks of our guests that are no files of it."""
    used = {path for domain in seen.domains if cluster.owner.owns(domain.stamp) for path in domain.disks}
    for volume in seen.volumes:
        found = owned_volume(cluster.owner, volume.name)
        if found is not None:
            yield Disk(found[0], host, found[1], volume.path, volume.capacity >> 20, volume.path in used)
    files = {volume.path for volume in seen.volumes}
    for domain in seen.domains:
        if domain.stamp is not None and cluster.owner.owns(domain.stamp):
            for path in domain.disks:
                if path not in files:
                    yield Disk(domain.stamp.node, host, _kind(path), path, 0)


def _kind(path: str) -> str:
    """Logical volumes and files are named CLUSTER.NODE.KIND.MARK; of a whole device only its guest knows what it is."""
    parts = PurePosixPath(path).name.split(".")
    return parts[2].partition("-")[0] if len(parts) > 3 else "data"


def _inside(world: World, domains: Sequence[DomainSeen], node: str) -> Residue | str:
    try:
        return residue(world.sessions.to(node_target(world, node, domains)))
    except (ShellError, InventoryError) as error:
        return f"logs and keys were not looked at: {error.message}"


def _kubernetes(world: World, domains: Sequence[DomainSeen]) -> tuple[Abroad | None, tuple[Place, ...], str]:
    """What the API server has, the places in it, and why it could not be asked."""
    try:
        shell = world.sessions.to(node_target(world, asked(world, domains), domains))
        kubectl = kubectl_for(world.cluster.kubernetes.generation, shell)
        found = abroad(kubectl, world.cluster.kubernetes.generation)
        return found, (*of_objects(found), *running_mesh(kubectl, world.cluster)), ""
    except (ShellError, KubernetesError, InventoryError) as error:
        return None, (), f"Kubernetes could not be asked: {error.message}"


def of_objects(found: Abroad) -> Iterator[Place]:
    """The machines that volumes and Services lead to."""
    for volume in found.volumes:
        what = f"what {volume.claim or 'applications'} keeps on the volume {volume.name}"
        for server in volume.servers:
            yield Place(what, f"the {volume.kind} server {server}", LIVE, server, by_node=True)
    for service, name in found.external.items():
        yield Place(f"requests to the Service {service}", f"the machine {name}", LIVE, name)


def running_mesh(kubectl: Kubectl, cluster: Cluster) -> Iterator[Place]:
    """What the configurations name that linkerd's pods run with: during a roll there are two."""
    labels = {**APP, **marks(cluster.cluster)}
    for item in kubectl.items("configmaps", namespace=cluster.mesh.namespace, labels=labels):
        name = f"ConfigMap {cluster.mesh.namespace}/{item['metadata']['name']}"
        for text in (item.get("data") or {}).values():
            yield from (replace(one, field=LIVE) for one in linkerds_places(text, cluster.mesh.version, name))


def merged(cluster: Cluster, live: Sequence[Place], on: date) -> tuple[Verdict, ...]:
    """The inventory's verdicts, and those of what only the live cluster has."""
    said = said_by(cluster, tuple(_own_file(cluster)))
    found = judged(said, on)
    known = {(one.place.address, one.place.fault) for one in found}
    more = {(place.address, place.fault): place for place in live if (place.address, place.fault) not in known}
    return (*found, *(judge(place, said, on) for place in more.values()))


def _own_file(cluster: Cluster) -> Iterator[Place]:
    if cluster.mesh.config_file is not None:
        try:
            text = configuration(cluster.mesh).text
        except MeshError:
            return  # the running one says it
        yield from linkerds_places(text, cluster.mesh.version, cluster.mesh.config_file)
