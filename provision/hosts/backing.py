"""Whether hosts can back the memory of the guests that are about to start: found out beforehand, not at domain start.

Per host one read over its shell: free huge pages and free memory of each NUMA node, what libvirtd may lock, and where
it has hugetlbfs. Judged over all guests that start there together.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from provision.base.cpu_lists import parse_cpu_list
from provision.base.errors import MeshctlError, PlacementError
from provision.base.parallel import for_each
from provision.base.shell import Shell
from provision.base.units import KIB, MIB
from provision.libvirt_xml import DomainSeen, lock_limit_mib
from provision.placement import page_name
from provision.plan import HostSeen
from provision.specs import GuestSpec

# Pid files: the lab's libvirtd, the system's, the modular daemon. libvirt makes libvirt/qemu in each hugetlbfs that it
# finds at its start (qemuStateInitialize), so a mount without that folder came later and is not used.
_LOOK = """
for file in /run/libvirt/libvirtd.pid /run/libvirtd.pid /run/virtqemud.pid; do
  pid=$(cat "$file" 2>/dev/null) || continue
  case $(cat "/proc/$pid/comm" 2>/dev/null) in libvirtd|virtqemud) ;; *) continue ;; esac
  echo "daemon $pid"
  grep 'Max locked memory' "/proc/$pid/limits"
  grep CapEff "/proc/$pid/status"
  sed 's/^/uid_map /' "/proc/$pid/uid_map"
  while read -r _ point type options _; do
    if [ "$type" = hugetlbfs ]; then
      known=late
      if [ -d "/proc/$pid/root$point/libvirt/qemu" ]; then known=known; fi
      echo "hugetlbfs $known $point $options"
    fi
  done < "/proc/$pid/mounts"
  break
done
cd /sys/devices/system/node || exit 0
grep -H . node*/hugepages/hugepages-*/free_hugepages
grep -hE 'MemFree|[Aa]ctive\\(file\\)|SReclaimable' node*/meminfo
exit 0
"""

CAP_SYS_RESOURCE = 24
"""Its bit in CapEff (include/uapi/linux/capability.h): with it a process raises hard limits, its own and others'."""

WHOLE_ID_RANGE = "4294967295"
"""What uid_map says in the machine's own user namespace; in another one the capability does not count for limits."""


@dataclass(frozen=True)
class Mount:
    """A hugetlbfs that libvirtd sees; `known`: it was there when libvirtd began, so libvirtd uses it."""

    point: str
    page_kib: int
    known: bool


@dataclass(frozen=True)
class Backing:
    """What a host has for guests' memory. `lockable_bytes` is libvirtd's limit: None for no limit, or one that it can raise.

    `free_pages` are free huge pages by NUMA node and size in KiB; `free_mib` is ordinary memory by NUMA node, with
    what the kernel gives back when asked (page cache, slabs). `daemon` is libvirtd's pid, 0 when it was not found.
    """

    daemon: int = 0
    lockable_bytes: int | None = None
    mounts: tuple[Mount, ...] = ()
    free_pages: Mapping[tuple[int, int], int] = field(default_factory=dict)
    free_mib: Mapping[int, int] = field(default_factory=dict)


def check_backing(
    guests: Sequence[GuestSpec],
    hosts: Mapping[str, HostSeen],
    shell: Callable[[str], Shell | None],
    restarting: Collection[str] = (),
) -> tuple[str, ...]:
    """Looks at every host where a guest is to be started. Raises PlacementError with everything that is short.

    Nodes in `restarting` run, and give back what they have first. Gives notes about hosts that could not be looked at
    although their guests' memory is special.
    """
    starting: dict[str, list[GuestSpec]] = defaultdict(list)
    for guest in guests:
        found = hosts[guest.host].domain(guest.domain)
        if found is None or not found.active or guest.node in restarting:
            starting[guest.host].append(guest)
    looks = for_each(tuple(starting), lambda host: _returned(_look(host, shell), starting[host], hosts[host]))
    faults = [fault for look, there in zip(looks, starting.values(), strict=True) for fault in _faults(look, there)]
    if faults:
        text = "\n".join(f"  {what}\n    {mend}" for what, mend in faults)
        raise PlacementError(
            f"{len(faults)} thing(s) that the hosts lack for the guests' memory:\n{text}",
            hint="docs/placement.md says how memory is counted",
        )
    special = (look for look, there in zip(looks, starting.values(), strict=True) if any(map(_is_special, there)))
    return tuple(
        f"{look.host}: huge pages and libvirtd's limits were not looked at: {look.unseen}"
        for look in special
        if look.unseen
    )


def _is_special(guest: GuestSpec) -> bool:
    return guest.memory.locked or guest.memory.page_kib > 0


@dataclass(frozen=True)
class _Look:
    host: str
    backing: Backing = field(default_factory=Backing)
    unseen: str = ""


def _look(host: str, shell: Callable[[str], Shell | None]) -> _Look:
    try:
        door = shell(host)
        if door is None:
            return _Look(host, unseen="its URI leads to no shell")
        backing = observe_backing(door)
    except MeshctlError as error:
        return _Look(host, unseen=error.message)
    return _Look(host, backing, "" if backing.daemon else "its libvirtd was not found, or only root may look at it")


def _returned(look: _Look, guests: Iterable[GuestSpec], seen: HostSeen) -> _Look:
    """The look as it will be when those of the guests that run are gone."""
    running = [found for guest in guests if (found := seen.domain(guest.domain)) and found.active]
    return replace(look, backing=with_memory_of(running, look.backing))


def with_memory_of(domains: Iterable[DomainSeen], backing: Backing) -> Backing:
    """What a host has when these running domains have given their memory back: to the NUMA nodes that it is bound to, that of
    an unbound one to the first.
    """
    pages, memory = dict(backing.free_pages), dict(backing.free_mib)
    for domain in domains:
        cells = sorted(parse_cpu_list(domain.memory_nodes)) or sorted(memory)[:1]
        for cell in cells:
            share_mib, key = domain.memory_mib // len(cells), (cell, domain.hugepage_kib)
            if key in pages:
                pages[key] += share_mib * KIB // domain.hugepage_kib
            elif cell in memory:
                memory[cell] += share_mib
    return replace(backing, free_pages=pages, free_mib=memory)


def _faults(look: _Look, guests: Sequence[GuestSpec]) -> Iterator[tuple[str, str]]:
    return shortages(look.host, look.backing, guests)


def observe_backing(shell: Shell) -> Backing:
    """What a host has, by one read. Raises ShellError."""
    return read_backing(shell.read(["sh", "-c", _LOOK]).stdout)


# ── what the host says ───────────────────────────────────────────────────────────────────────────────────────────


def read_backing(text: str) -> Backing:
    """The answer of the script. What is not in it is not known, and nothing is held against it."""
    daemon = re.search(r"^daemon (\d+)$", text, re.MULTILINE)
    pages = re.findall(r"^node(\d+)/hugepages/hugepages-(\d+)kB/free_hugepages:(\d+)$", text, re.MULTILINE)
    free_kib: dict[int, int] = defaultdict(int)
    for cell, kib in re.findall(r"^Node (\d+) \S+:\s+(\d+) kB$", text, re.MULTILINE):
        free_kib[int(cell)] += int(kib)
    return Backing(
        daemon=int(daemon[1]) if daemon else 0,
        lockable_bytes=_lockable(text),
        mounts=tuple(_mounts(text)),
        free_pages={(int(cell), int(size)): int(count) for cell, size, count in pages},
        free_mib={cell: kib // KIB for cell, kib in free_kib.items()},
    )


def _lockable(text: str) -> int | None:
    """The hard limit. None without one, and for a daemon that raises it: root of the machine itself, with the capability."""
    limit = re.search(r"^Max locked memory +\S+ +(\d+)", text, re.MULTILINE)
    capabilities = re.search(r"^CapEff:\s*([0-9a-f]+)$", text, re.MULTILINE)
    whole = re.search(rf"^uid_map +0 +0 +{WHOLE_ID_RANGE}$", text, re.MULTILINE)
    may_raise = whole and capabilities and int(capabilities[1], 16) >> CAP_SYS_RESOURCE & 1
    return None if limit is None or may_raise else int(limit[1])


def _mounts(text: str) -> Iterator[Mount]:
    for known, point, options in re.findall(r"^hugetlbfs (known|late) (\S+) (\S+)$", text, re.MULTILINE):
        size = re.search(r"pagesize=(\d+)([KMG])", options)
        # A kernel that does not say the size mounted its default one.
        kib = int(size[1]) * {"K": 1, "M": KIB, "G": MIB}[size[2]] if size else 2048
        yield Mount(point, kib, known == "known")


# ── what guests need of it ───────────────────────────────────────────────────────────────────────────────────────


def shortages(host: str, backing: Backing, guests: Sequence[GuestSpec]) -> Iterator[tuple[str, str]]:
    """What a host lacks to start these guests together, each with what to do about it."""
    if backing.daemon:
        yield from _unmounted(host, backing, guests)
        yield from _unlockable(host, backing, guests)
    yield from _pages(host, backing, guests)
    yield from _memory(host, backing, guests)


def _names(guests: Iterable[GuestSpec]) -> str:
    return ", ".join(guest.node for guest in guests)


def _unmounted(host: str, backing: Backing, guests: Sequence[GuestSpec]) -> Iterator[tuple[str, str]]:
    for size in sorted({guest.memory.page_kib for guest in guests} - {0}):
        mounts = [mount for mount in backing.mounts if mount.page_kib == size]
        wanting = _names(guest for guest in guests if guest.memory.page_kib == size)
        name = page_name(size)
        if not mounts:
            yield (
                f"{host}: libvirtd (pid {backing.daemon}) sees no hugetlbfs with pages of {name}, which {wanting} needs",
                f"mount -t hugetlbfs -o pagesize={size // KIB}M hugetlbfs /dev/hugepages-{name}, then restart libvirtd",
            )
        elif not any(mount.known for mount in mounts):
            yield (
                f"{host}: {mounts[0].point} was mounted after libvirtd (pid {backing.daemon}) began, so that {wanting} cannot use it",
                "systemctl restart libvirtd (or virtqemud): running guests go on",
            )


def _unlockable(host: str, backing: Backing, guests: Sequence[GuestSpec]) -> Iterator[tuple[str, str]]:
    limit = backing.lockable_bytes
    wants = {g.node: lock_limit_mib(g.vcpus, g.memory_mib) for g in guests if g.memory.locked}
    beyond = {node: mib for node, mib in wants.items() if limit is not None and mib * MIB > limit}
    if beyond and limit is not None:
        needs = ", ".join(f"{mib} MiB for {node}" for node, mib in beyond.items())
        yield (
            f"{host}: libvirtd (pid {backing.daemon}) may lock {limit / MIB:g} MiB and cannot raise that; locked: true needs {needs}",
            "LimitMEMLOCK=infinity in libvirtd's unit (systemctl edit libvirtd, then restart it), or locked: false",
        )


def _pages(host: str, backing: Backing, guests: Sequence[GuestSpec]) -> Iterator[tuple[str, str]]:
    wanted: dict[tuple[int, int], int] = defaultdict(int)
    for guest in guests:
        for cell, size, count in guest.memory.hugepages:
            wanted[cell, size] += count
    for (cell, size), count in sorted(wanted.items()):
        free = backing.free_pages.get((cell, size), 0)
        if backing.free_pages and free < count:
            there = _names(g for g in guests if (cell, size) in [(c, s) for c, s, _ in g.memory.hugepages])
            yield (
                f"{host} cell {cell}: {free} free huge pages of {page_name(size)}, {count} needed by {there}",
                "somebody else has them (grep -H . /sys/devices/system/node/node*/hugepages/*/*_hugepages): free or add some",
            )


def _memory(host: str, backing: Backing, guests: Sequence[GuestSpec]) -> Iterator[tuple[str, str]]:
    on_cell: dict[int, list[GuestSpec]] = defaultdict(list)
    for guest in guests:
        if not guest.memory.page_kib:
            for cell in guest.memory.cells:
                on_cell[cell].append(guest)
    for cell, there in sorted(on_cell.items()):
        needed_mib = sum(guest.memory_mib // len(guest.memory.cells) for guest in there)
        free_mib = backing.free_mib.get(cell)
        if free_mib is not None and free_mib < needed_mib:
            yield (
                f"{host} cell {cell}: {free_mib} MiB can be had, {needed_mib} needed by {_names(there)}",
                f"what runs there: numastat -m on {host}; move it away, or give the guests less",
            )
