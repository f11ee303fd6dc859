"""What the pools of hosts give to the guests that are placed on them, and everything that is wrong with them. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from provision.base.parallel import for_each
from provision.base.shell import Shell
from provision.base.units import MIB
from provision.hosts.host_disks import observe_storage
from provision.hosts.hypervisor import Hypervisor
from provision.inventory import Cluster, Host
from provision.placement import Pinning
from provision.plan import HostSeen, wishes
from provision.specs import owned_volume
from provision.storage import Allotment, Fault, StorageSeen, Wiping, Wish, allot, file_faults, needs_look, pool_faults

IO_URING = (("libvirt", (6, 3)), ("hypervisor", (5, 0)))
"""Since when there is io_uring (libvirt's formatdomain.html, `io`)."""


@dataclass(frozen=True)
class PoolLook:
    """One look at the storage of all hosts that guests are placed on. `hosts` are as before, with what was seen below them."""

    hosts: Mapping[str, HostSeen]
    allotments: Mapping[str, Allotment]
    faults: tuple[Fault, ...]


def look_at_pools(
    cluster: Cluster,
    hosts: Mapping[str, HostSeen],
    pinnings: Sequence[Pinning],
    hypervisors: Mapping[str, Hypervisor],
    shell: Callable[[str], Shell | None],
    *,
    wipe: bool,
) -> PoolLook:
    """Asks the hosts and allots. `wipe`: what `storage.wipe` names may be lost."""
    used = [host for host in cluster.hosts if any(pin.host == host.name for pin in pinnings)]
    looked = [host for host in used if needs_look(host.pool, cluster.storage.require)]
    seen = observe_disks(looked, hosts, shell)
    wiping = Wiping(frozenset(cluster.storage.wipe), wipe)
    allotments = {
        host.name: allot(host.pool, _wishes(cluster, host.name, pinnings), seen[host.name], wiping)
        for host in used
        if host.name in seen
    }
    faults = [*storage_faults(cluster, used, seen), *_io_faults(cluster, used, hypervisors)]
    faults += [replace(f, message=f"{name}: {f.message}") for name, one in allotments.items() for f in one.faults]
    faults += [fault for host in used for fault in _folder_faults(cluster, host, hosts[host.name], pinnings)]
    known = {name: replace(one, storage=seen.get(name, one.storage)) for name, one in hosts.items()}
    return PoolLook(known, allotments, tuple(faults))


def _folder_faults(cluster: Cluster, host: Host, seen: HostSeen, pinnings: Sequence[Pinning]) -> Iterator[Fault]:
    """What the data volumes in a folder grow by, against the room there."""
    pool = next((one for one in seen.pools if one.name == host.pool.name), None)
    if host.pool.type != "dir" or pool is None or pool.available is None:
        return
    sizes = {name.removesuffix(".raw"): size for name, size in seen.sizes_mib.items() if _has_all_blocks(name, cluster)}
    for fault in file_faults(host.pool, _wishes(cluster, host.name, pinnings), sizes, pool.available // MIB):
        yield replace(fault, message=f"{host.name}: {fault.message}")


def _has_all_blocks(name: str, cluster: Cluster) -> bool:
    """Whether a file is a data volume of the cluster: root and state volumes are sparse."""
    return (owned_volume(cluster.owner, name) or ("", ""))[1] == "data"


def observe_disks(
    hosts: Iterable[Host], seen: Mapping[str, HostSeen], shell: Callable[[str], Shell | None]
) -> dict[str, StorageSeen]:
    """What lies below the pools of those of these hosts that have a shell, and which domains have disks there."""
    asked = [(host, door) for host in hosts if (door := shell(host.name)) is not None]
    found = for_each(asked, lambda one: observe_storage(one[1], one[0].pool, _disks(seen[one[0].name])))
    return {host.name: one for (host, _), one in zip(asked, found, strict=True)}


def _disks(seen: HostSeen) -> dict[str, str]:
    return {path: domain.name for domain in seen.domains for path in domain.disks}


def _wishes(cluster: Cluster, host: str, pinnings: Sequence[Pinning]) -> list[Wish]:
    return [wish for pin in pinnings if pin.host == host for wish in wishes(cluster, pin.node)]


def storage_faults(cluster: Cluster, hosts: Iterable[Host], seen: Mapping[str, StorageSeen]) -> Iterator[Fault]:
    """Everything against the pools of these hosts. A folder of libvirt's test driver has no disks to judge."""
    for host in hosts:
        if host.name in seen:
            yield from pool_faults(host.name, host.pool, cluster.storage.require, seen[host.name])
        elif host.pool.type != "dir" or (needs_look(host.pool, cluster.storage.require) and host.real):
            message = f"{host.name}: pool {host.pool.name}: nobody can look below it: {host.uri} leads to no shell"
            yield Fault(message, "a qemu+ssh:// URI, or a pool of type dir with storage.require: any")


def _io_faults(cluster: Cluster, hosts: Sequence[Host], hypervisors: Mapping[str, Hypervisor]) -> Iterator[Fault]:
    for host in hosts if cluster.storage.io == "io_uring" else ():
        versions = hypervisors[host.name].versions()
        for program, needed in IO_URING:
            if tuple(map(int, versions[program].split(".")[:2])) < needed:
                what = f"{host.name}: {program} {versions[program]} has no io_uring, which storage.io asks for"
                yield Fault(what, "storage.io: native")
