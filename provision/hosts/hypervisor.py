"""The door to libvirt: the only module that imports it. Translates libvirtError once and counts every call; each call has
a deadline (`connection`).

Reads are bulk calls per host, not one per guest and poll. A `Hypervisor` is one concrete class; what it talks to
is decided by the URI (qemu+ssh://, qemu:///system, the lab's socket, test:///…/node.xml).
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, BinaryIO

import libvirt

from provision.base.calls import Calls
from provision.base.errors import ConflictError, HypervisorError, StageTimeout
from provision.base.interruption import check
from provision.base.units import MIB
from provision.base.waiting import NotYet, Ready, wait_until
from provision.hosts.connection import Connection, Patience
from provision.hosts.kvm_probe import GIVEN_UP_S, LIVES_S, Pulse
from provision.hosts.refusal import advice, unasking
from provision.hosts.vcpu_times import DomainTimes, times_in
from provision.libvirt_xml import (
    LEASE_NAME,
    STAMP_PREFIX,
    BundleDisk,
    DomainSeen,
    DomainState,
    Holder,
    Lease,
    NetworkSeen,
    PoolSeen,
    Settings,
    VolumeSeen,
    ended,
    halted,
    iothreads_in,
    lease_xml,
    machine_in,
    parse_bundle_disk,
    parse_domain,
    parse_domain_holder,
    parse_kvm_offered,
    parse_lease,
    parse_network,
    parse_pool,
    parse_volume,
    parse_volume_holder,
    probe_xml,
    stamp_xml,
    uuid_in,
)
from provision.specs import STAMP_URI, Stamp

CHUNK = 256 * 1024
"""Bytes per stream message: libvirt's own limit is 4 MiB, its tools send 256 KiB or less."""

KVM_PROBE_S = LIVES_S
"""How long a throw-away guest must live."""

NO_KVM = (libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_CONFIG_UNSUPPORTED)
"""How drivers answer a question about KVM where there is none; any other error says nothing about KVM."""

CONNECTION_LOST = (libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE)
"""Parts of libvirt whose errors are the connection's."""

PROBE = "meshctl-probe-"
"""How the names of throw-away domains begin."""

SINCE_CHECKPOINTS = 5_006_000
"""libvirt 5.6 knows checkpoints, and refuses no flag that is about them."""

ATTACHED = {
    "snapshots": libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT,
    "checkpoints": libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT,
    "saved memory": libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE,
}

ALIVE_S, ALIVE_COUNT = 5, 5
"""libvirt asks a silent daemon every 5 s whether it is there, and ends the connection after 5 without an answer (virsh: 6)."""

LEASE_S = 15.0
"""A lease that cannot be renewed for longer is soon lost (run.lease.EXPIRY_S): its holder has to know before that."""

RELEASE_S = 120.0
"""A guest lets a disk go within a second or two of being asked, within ten when it is emulated and busy."""

OnBytes = Callable[[int], None]


def _silence(_context: object, _error: object) -> None:
    """Libvirt prints each error to stderr unless told otherwise; ours are raised."""


libvirt.registerErrorHandler(_silence, None)
libvirt.virEventRegisterDefaultImpl()  # keepalive needs an event loop, and that one there before the first connection


def _unheard(_sent: int) -> None:
    """For uploads and downloads that nobody watches."""


@dataclass
class Hypervisor:
    """The libvirt of one host. Opened at the first call, safe to use from several threads."""

    host: str
    uri: str
    calls: Calls = field(default_factory=Calls)
    patience: Patience = field(default_factory=Patience)
    _kvm_fault: str | None = field(default=None, repr=False)
    _connection: Connection = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._connection = Connection(self.host, self.uri, self._open, _is_libvirts, self.patience)

    # ── reads ────────────────────────────────────────────────────────────────────────────────────────────────

    def capabilities(self) -> str:
        """The host's capabilities XML: NUMA cells, CPUs, siblings, memory, huge pages."""
        with self._reading("read the host's capabilities") as connection:
            return str(connection.getCapabilities())

    def versions(self) -> Mapping[str, str]:
        """Versions of libvirt and of the hypervisor it drives."""
        with self._reading("read versions") as connection:
            return {"libvirt": _version(connection.getLibVersion()), "hypervisor": _version(connection.getVersion())}

    def size(self) -> tuple[int, int]:
        """Number of the host's logical CPUs, and its memory in MiB."""
        with self._reading("read the host's size") as connection:
            info = connection.getInfo()
            return int(info[2]), int(info[1])

    def machine(self) -> str:
        """The uuid of the machine itself, the same by whatever name or URI it is reached; empty where libvirt knows none."""
        return machine_in(self.capabilities())

    def lease(self) -> Lease | None:
        """Who holds the host."""
        with self._reading("read the lease") as connection:
            found = next((one for one in connection.listAllNetworks() if one.name() == LEASE_NAME), None)
            try:
                return None if found is None else parse_lease(found.XMLDesc())
            except libvirt.libvirtError as error:
                if _gone(
                    error
                ):  # given back between the listing and the look: who waits for it wants to know just that
                    return None
                raise

    def domains(self) -> tuple[DomainSeen, ...]:
        """All domains of the host, ours and others'. Their states come in one call; for XML libvirt has no bulk call."""
        with self._reading("list domains") as connection:
            states = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE)
            # Whoever tries out KVM just now, here or from another laptop, is no guest that holds anything.
            lasting = ((domain, state) for domain, state in states if not domain.name().startswith(PROBE))
            found = (_domain_seen(domain, state) for domain, state in lasting)
            return tuple(sorted(filter(None, found), key=lambda seen: seen.name))

    def states(self, domains: Iterable[str]) -> Mapping[str, DomainState]:
        """Whether those of these domains that there are run, start by themselves and are kept. In bulk."""
        with self._reading("read the domains' states") as connection:
            there = _names(connection.listAllDomains())
            active = _names(connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE))
            autostart = _names(connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART))
            lasting = _names(connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT))
            return {
                name: DomainState(name in active, autostart=name in autostart, persistent=name in lasting)
                for name in domains
                if name in there
            }

    def vcpu_times(self, domains: Iterable[str]) -> Mapping[str, DomainTimes]:
        """How long vCPUs of those of these domains that run were on a CPU and waited for one. In bulk, and of nobody else's guests: QEMU
        is asked too, which takes each some 2 ms of CPU time; one that is busy is not waited for.
        """
        wanted = set(domains)
        with self._reading("read how long vCPUs waited") as connection:
            active = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
            found = [domain for domain in active if domain.name() in wanted]
            what = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_VCPU
            flags = 0 if _records_only(connection) else libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
            stats = connection.domainListGetStats(found, what, flags) if found else ()
            return {domain.name(): times_in(told) for domain, told in stats}

    def affinities(self, domains: Iterable[str]) -> Mapping[str, Settings]:
        """The CPUs that iothreads of these running domains really have: libvirt's QEMU driver asks the kernel for them
        (qemuDomainGetIOThreadsLive). A call for each domain, for hosts whose kernel nobody else can ask.
        """
        with self._reading("read the affinity of iothreads") as connection:
            if _records_only(connection):
                return {}
            return {name: _affinities(connection, name) for name in domains}

    def attachments(self) -> Mapping[str, tuple[str, ...]]:
        """What hangs on domains beside their definition, by domain: snapshots, checkpoints, saved memory. In bulk."""
        with self._reading("list snapshots and saved memory") as connection:
            found: dict[str, tuple[str, ...]] = {}
            for what, flag in ATTACHED.items():
                for domain in connection.listAllDomains(flag):
                    found[domain.name()] = (*found.get(domain.name(), ()), what)
            return found

    def networks(self) -> tuple[NetworkSeen, ...]:
        """All networks of the host."""
        with self._reading("list networks") as connection:
            active = _names(connection.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE))
            autostart = _names(connection.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_AUTOSTART))
            networks = (one for one in connection.listAllNetworks() if one.name() != LEASE_NAME)
            found = (_network_seen(connection, one, active, autostart) for one in networks)
            return tuple(filter(None, found))

    def pools(self) -> tuple[PoolSeen, ...]:
        """All storage pools of the host."""
        with self._reading("list storage pools") as connection:
            active = _names(connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE))
            autostart = _names(connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_AUTOSTART))
            found = (_pool_seen(pool, active, autostart) for pool in connection.listAllStoragePools())
            return tuple(filter(None, found))

    def volumes(self, pool: str, *, sized: Callable[[str], bool] = bool) -> tuple[VolumeSeen, ...]:
        """The volumes of an active pool, as they are now; none when the pool is absent or not active.

        `sized`: by its name, whether a volume's size is wanted. libvirt has no bulk call for that.
        """
        with self._reading(f"list the volumes of pool {pool}") as connection:
            found = _pool(connection, pool)
            if found is None or not found.isActive():
                return ()
            _refresh(found)
            folder = parse_pool(found.XMLDesc(), active=True).path
            volumes = (_volume_seen(volume, folder, sized) for volume in found.listAllVolumes())
            return tuple(filter(None, volumes))

    def volume_names(self, pool: str) -> frozenset[str]:
        """The names of a pool's volumes, as they are now."""
        with self._reading(f"list the volumes of pool {pool}") as connection:
            found = connection.storagePoolLookupByName(pool)
            _refresh(found)
            return _names(found.listAllVolumes())

    def holders(self) -> tuple[Holder, ...]:
        """Who needs files of this host: every domain, and every volume that lies on another, of all pools. For all of them, a
        call for each: meant for the moment before something is deleted. Others' pools are not refreshed: libvirt stops one
        that it cannot read.
        """
        with self._reading("read what domains and volumes lie on") as connection:
            domains = (_domain_holder(domain) for domain in connection.listAllDomains())
            active = connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
            volumes = (parse_volume_holder(xml) for pool in active for xml in _volume_descriptions(pool))
            return tuple(one for one in (*domains, *volumes) if one is not None and one.paths)

    def sha256(self, pool: str, volume: str) -> str | None:
        """Reads a volume back and hashes it. None where there is nothing to read: libvirt's test driver keeps records only."""
        with self._reading(f"read {volume} back") as connection:
            if _records_only(connection):
                return None
            found, digest = connection.storagePoolLookupByName(pool).storageVolLookupByName(volume), hashlib.sha256()
            _receive(connection, found, 0, digest.update)
            return digest.hexdigest()

    def download(self, pool: str, volume: str, content: BinaryIO, on_bytes: OnBytes = _unheard) -> None:
        """Reads all of a volume into a file. libvirt's test driver keeps records only, no bytes: there it is a no-op."""
        with self._reading(f"download {volume}") as connection:
            if _records_only(connection):
                return

            def take(chunk: bytes) -> None:
                content.write(chunk)
                on_bytes(content.tell())

            found = connection.storagePoolLookupByName(pool).storageVolLookupByName(volume)
            _receive(connection, found, 0, take)

    def console(self, pool: str, volume: str, last_bytes: int = 16384) -> str:
        """The end of a guest's console log, "" when there is none (yet)."""
        with self._reading(f"read {volume}") as connection:
            found = _pool(connection, pool)
            if found is None:
                return ""
            try:
                found.refresh()
                log = found.storageVolLookupByName(volume)
            except libvirt.libvirtError:
                return ""
            size = _physical(connection, log)
            content = bytearray()
            _receive(connection, log, max(0, size - last_bytes), content.extend)
            return content.decode(errors="replace")

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────────

    def kvm_fault(self) -> str:
        """Why KVM does not start a guest here, "" when it does: then a throw-away domain lives, and rests (`kvm_probe`).

        The device node alone proves nothing. Tried once. Raises HypervisorError when libvirt could not be asked.
        """
        if self._kvm_fault is None:
            self._kvm_fault = self._try_kvm()
        return self._kvm_fault

    def _try_kvm(self) -> str:
        with self._reading("read the domain capabilities") as connection:
            try:
                offered = parse_kvm_offered(connection.getDomainCapabilities(None, "x86_64", None, "kvm", 0))
            except libvirt.libvirtError as error:
                if error.get_error_code() not in NO_KVM:
                    raise
                return last_words(str(error.get_error_message()))
        return self._survives_kvm() if offered else "libvirt does not offer it"

    def put_lease(self, lease: Lease) -> bool:
        """Takes or renews a lease; false when another has it. Not counted: it changes nothing that anybody has."""
        with self._translated("take the lease", changes=True, within_s=LEASE_S) as connection:
            try:
                connection.networkDefineXML(lease_xml(lease))
            except libvirt.libvirtError as error:
                if _named_alike(error):
                    return False
                raise
            return True

    def drop_lease(self, uuid: str) -> None:
        """Ends the lease of this uuid; that it is gone already is fine. Not counted, so that it goes through when changes are refused."""
        with self._translated("give the lease back", changes=True, within_s=LEASE_S) as connection:
            try:
                connection.networkLookupByUUIDString(uuid).undefine()
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_NETWORK:
                    raise

    def create_pool(self, xml: str) -> None:
        """Defines, builds (its folder), starts and marks for autostart: whatever of that is still to be done, so that
        a run that was ended in the middle is carried on.
        """
        with self._changing("create the storage pool") as connection:
            pool = _pool(connection, parse_pool(xml, active=False).name) or connection.storagePoolDefineXML(xml)
            if not pool.isActive():
                with suppress(libvirt.libvirtError):  # exists already: starting it says whether it is any good
                    pool.build()
                pool.create()
            pool.setAutostart(1)

    def start_pool(self, name: str) -> None:
        """Starts a pool that is defined. Its folder is not made: where one is gone, a disk may not be mounted."""
        with self._changing(f"start storage pool {name}") as connection:
            pool = connection.storagePoolLookupByName(name)
            if not pool.isActive():
                pool.create()

    def create_network(self, xml: str) -> None:
        """Defines, starts and marks for autostart.

        What was defined stays when it cannot be started: another run may have made it, and a plan says what it is.
        """
        with self._changing("create the network") as connection:
            network = connection.networkDefineXML(xml)
            _start(network)
            network.setAutostart(1)

    def start_network(self, name: str) -> None:
        """Starts a network that is defined."""
        with self._changing(f"start network {name}") as connection:
            _start(connection.networkLookupByName(name))

    def define_network(self, xml: str) -> None:
        """Redefines a network and marks it for autostart; one that is active stays as it is until it is started anew."""
        with self._changing("define the network") as connection:
            connection.networkDefineXML(xml).setAutostart(1)

    def autostart_pool(self, name: str) -> None:
        """Marks a pool for autostart."""
        with self._changing(f"mark storage pool {name} for autostart") as connection:
            connection.storagePoolLookupByName(name).setAutostart(1)

    def create_volume(self, pool: str, xml: str) -> None:
        """Creates a volume from its XML."""
        with self._changing("create a volume") as connection:
            connection.storagePoolLookupByName(pool).createXML(xml)

    def upload(self, pool: str, volume: str, content: BinaryIO, on_bytes: OnBytes = _unheard) -> None:
        """Sends a file's bytes into a volume, from its start. libvirt's test driver keeps records only, no bytes: there it is a no-op."""
        with self._changing(f"upload {volume}") as connection:
            if _records_only(connection):
                return
            target = connection.storagePoolLookupByName(pool).storageVolLookupByName(volume)
            _send(connection, target, content, on_bytes)

    def resize_volume(self, pool: str, volume: str, size_mib: int, *, allocate: bool) -> None:
        """Makes a volume larger that no running guest writes to, or a raw one at any time; `allocate` takes all its blocks at once.

        libvirt's test driver cannot: there it is a no-op.
        """
        with self._changing(f"resize {volume}") as connection:
            if _records_only(connection):
                return
            found = connection.storagePoolLookupByName(pool).storageVolLookupByName(volume)
            found.resize(size_mib * MIB, libvirt.VIR_STORAGE_VOL_RESIZE_ALLOCATE if allocate else 0)

    def resize_disk(self, domain: str, path: str, size_mib: int) -> None:
        """Has a running domain take a disk as this large, with the file below it if that is smaller. Twice is once."""
        with self._changing(f"resize a disk of {domain}") as connection:
            connection.lookupByName(domain).blockResize(path, size_mib * MIB, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)

    def delete_volume(self, pool: str, volume: str) -> None:
        """Deletes a volume; that it is gone already is fine."""
        with self._changing(f"delete {volume}") as connection:
            try:
                connection.storagePoolLookupByName(pool).storageVolLookupByName(volume).delete()
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_VOL:
                    raise

    def define_domain(self, xml: str, *, new: bool = False) -> None:
        """Defines or redefines a domain, checked against libvirt's schema: an unknown element is refused, not ignored.

        Raises ConflictError for a `new` one that somebody has defined already; libvirt itself refuses only another uuid.
        """
        with self._changing("define the domain") as connection:
            if new and _is_defined(connection, uuid := uuid_in(xml)):
                raise ConflictError(
                    f"{self.host}: somebody else has defined the domain {uuid} meanwhile", hint="run the command again"
                )
            connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE).setAutostart(1)

    def mark_domain(self, name: str, stamp: str) -> None:
        """Sets the stamp of a domain's definition (`stamp_text`), and nothing else of it; one that runs stays as it is."""
        config, element = libvirt.VIR_DOMAIN_AFFECT_CONFIG, libvirt.VIR_DOMAIN_METADATA_ELEMENT
        with self._changing(f"mark {name}") as connection:
            connection.lookupByName(name).setMetadata(element, stamp, "meshctl", STAMP_URI, config)

    def start_domain(self, name: str) -> None:
        """Starts a domain; that it runs already is fine."""
        with self._changing(f"start {name}") as connection:
            _start(connection.lookupByName(name))

    def pin_domain(self, name: str, vcpus: Iterable[int], emulator: Iterable[int], iothread: Iterable[int]) -> None:
        """Puts the threads of a running domain on their CPUs: a CPU per vCPU, those of the emulator and of iothread 1.

        Its definition stays as it is.
        """
        self.pin_threads(name, [(cpu,) for cpu in vcpus], emulator, iothread)

    def pin_threads(
        self, name: str, vcpus: Iterable[Iterable[int]], emulator: Iterable[int], iothread: Iterable[int]
    ) -> None:
        """The same with any number of CPUs for each vCPU."""
        live = libvirt.VIR_DOMAIN_AFFECT_LIVE
        with self._changing(f"pin {name}") as connection:
            domain = connection.lookupByName(name)
            for vcpu, cpus in enumerate(vcpus):
                domain.pinVcpu(vcpu, _cpu_map(cpus))
            domain.pinEmulator(_cpu_map(emulator), live)
            domain.pinIOThread(1, _cpu_map(iothread), live)

    def exchange_bundle(self, name: str, wanted: BundleDisk, *, within_s: float = RELEASE_S) -> None:
        """Gives a running domain another bundle's disk in the place of the one that it has; its definition stays as it is.

        Does what is left to do of it. Raises HypervisorError when the guest does not let the old one go.
        """
        found = self._bundle_of(name)
        if found is not None and found.path == wanted.path:
            return
        if found is not None:
            with self._changing(f"take the bundle's disk from {name}") as connection:
                connection.lookupByName(name).detachDeviceFlags(found.xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)
            self._released(name, within_s)
        with self._changing(f"give {name} the bundle's disk") as connection:
            connection.lookupByName(name).attachDeviceFlags(wanted.xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def _released(self, name: str, within_s: float) -> None:
        def look() -> Ready[None] | NotYet:
            return NotYet("the guest holds it") if self._bundle_of(name) else Ready(None)

        try:
            wait_until(look, what=f"{name}: its bundle's disk", within_s=within_s, every_s=0.5)
        except StageTimeout as error:
            raise HypervisorError(
                f"{self.host}: {name} does not let go of its bundle's disk, not within {within_s:.0f} s",
                hint="is /run/meshctl/bundle mounted in it? `umount` it there and run the command again; or restart the guest",
            ) from error

    def _bundle_of(self, name: str) -> BundleDisk | None:
        with self._reading(f"look at {name}") as connection:
            return parse_bundle_disk(connection.lookupByName(name).XMLDesc(0))

    def restamp(self, name: str, stamp: Stamp) -> None:
        """Gives a running domain another stamp of ours; its definition keeps the one that it has."""
        with self._changing(f"stamp {name}") as connection:
            connection.lookupByName(name).setMetadata(
                libvirt.VIR_DOMAIN_METADATA_ELEMENT,
                stamp_xml(stamp),
                STAMP_PREFIX,
                STAMP_URI,
                libvirt.VIR_DOMAIN_AFFECT_LIVE,
            )

    def shut_down(self, name: str) -> None:
        """Asks a domain to shut down: by its agent where that answers, else by ACPI. That it does not run is fine."""
        with self._changing(f"shut down {name}") as connection:
            domain = connection.lookupByName(name)
            if domain.isActive():
                domain.shutdown()

    def runs(self, name: str) -> bool:
        """Whether a domain runs."""
        with self._reading(f"look at {name}") as connection:
            return bool(connection.lookupByName(name).isActive())

    def stop_domain(self, name: str) -> None:
        """Ends a domain at once, as when the plug is pulled; that it is off is fine."""
        with self._changing(f"stop {name}") as connection:
            domain = connection.lookupByName(name)
            if domain.isActive():
                domain.destroy()

    def forget_past(self, name: str) -> None:
        """Deletes what would make a domain that is off go on where it was: saved memory, and what libvirt knows of its snapshots."""
        with self._changing(f"delete what is saved of {name}") as connection:
            domain = connection.lookupByName(name)
            if domain.hasManagedSaveImage():
                domain.managedSaveRemove()
            real = not _records_only(
                connection
            )  # which refuses flags it does not know, and has no data to keep them from
            for snapshot in domain.listAllSnapshots():
                snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY if real else 0)
            if real and connection.getLibVersion() >= SINCE_CHECKPOINTS:
                for checkpoint in domain.listAllCheckpoints():
                    checkpoint.delete(libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY)

    def remove_domain(self, name: str) -> None:
        """Ends a domain at once and undefines it, with NVRAM, saved memory, and what libvirt knows of its snapshots."""
        with self._changing(f"remove {name}") as connection:
            domain = connection.lookupByName(name)
            if domain.isActive():
                domain.destroy()
            if domain.isPersistent():
                domain.undefineFlags(_undefine_flags(connection))

    def remove_network(self, name: str) -> None:
        """Ends and undefines a network."""
        with self._changing(f"remove network {name}") as connection:
            network = connection.networkLookupByName(name)
            if network.isActive():
                network.destroy()
            network.undefine()

    def remove_pool(self, name: str) -> None:
        """Ends and undefines a pool, and deletes its folder when that is empty.

        Raises ConflictError when it holds volumes, as one may that was not active when it was looked at.
        """
        with self._changing(f"remove storage pool {name}") as connection:
            pool = connection.storagePoolLookupByName(name)
            if held := _held(pool):
                raise ConflictError(
                    f"{self.host}: pool {name} holds {held} volume(s)", hint="run destroy again: it is active now"
                )
            if pool.isActive():
                pool.destroy()
            with suppress(libvirt.libvirtError):  # not empty: somebody else's files stay
                pool.delete()
            pool.undefine()

    def close(self) -> None:
        """Closes the connection, if there is one, and if nobody still waits for it to open."""
        with suppress(libvirt.libvirtError):
            self._connection.close()

    # ── the door itself ──────────────────────────────────────────────────────────────────────────────────────

    def _reading(self, what: str) -> AbstractContextManager[Any]:
        self.calls.count(changes=False)
        return self._translated(what, changes=False)

    def _changing(self, what: str) -> AbstractContextManager[Any]:
        self.calls.count(changes=True)
        return self._translated(what, changes=True)

    @contextmanager
    def _translated(self, what: str, *, changes: bool, within_s: float | None = None) -> Iterator[Any]:
        try:
            yield self._connection.use(what, changes=changes, within_s=within_s)
        except libvirt.libvirtError as error:
            check()  # a Ctrl-C on a terminal goes to libvirt's ssh too, and takes the connection away
            hint = self._connection.loss or _hint(error)
            raise HypervisorError(f"{self.host}: cannot {what}: {_cause(error)}", hint=hint) from error

    def _open(self) -> Any:
        try:
            return _kept_alive(libvirt.open(unasking(self.uri)))
        except libvirt.libvirtError as error:
            said = _cause(error)
            raise HypervisorError(
                f"{self.host}: no connection to {self.uri}: {said}", hint=advice(self.uri, said)
            ) from error

    def _survives_kvm(self) -> str:
        # By lot: two laptops that probe one host at once must not take each other's domain for a refusal.
        name = f"{PROBE}{uuid.uuid4().hex[:12]}"
        with self._changing("start a throw-away domain") as connection:
            try:
                domain = connection.createXML(probe_xml(name), libvirt.VIR_DOMAIN_START_AUTODESTROY)
            except libvirt.libvirtError as error:
                if error.get_error_domain() in CONNECTION_LOST:
                    raise
                return last_words(str(error.get_error_message()))
            try:
                return _kvm_fault(domain)
            finally:
                with suppress(libvirt.libvirtError):
                    domain.destroy()


def last_words(said: str) -> str:
    """QEMU's last words in what libvirt says of a guest that did not start, without its clock: equal causes are equal texts. libvirt puts
    different ones before them, by whether QEMU ended before or after it answered on its monitor (qemu_monitor.c, qemu_process.c).
    """
    plain = " ".join(re.sub(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z ", "", said).split())
    _, program, words = plain.partition("qemu-system-")
    return program + words or plain


def _is_libvirts(value: Any) -> bool:
    return bool(type(value).__module__ == libvirt.__name__)


def _kept_alive(connection: Any) -> Any:
    _events()
    with suppress(libvirt.libvirtError):  # drivers within this process have nobody who could go away
        connection.setKeepAlive(ALIVE_S, ALIVE_COUNT)
    return connection


@cache
def _events() -> None:
    threading.Thread(target=_run_events, name="libvirt events", daemon=True).start()


def _run_events() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def _kvm_fault(domain: Any) -> str:
    pulse, started = Pulse(KVM_PROBE_S), time.monotonic()

    def check() -> Ready[str] | NotYet:
        said = pulse.judge(time.monotonic() - started, _cpu_s(domain))
        return NotYet("at work") if said is None else Ready(said)

    return wait_until(check, what="the throw-away domain", within_s=2 * GIVEN_UP_S, every_s=0.1)


def _cpu_s(domain: Any) -> float | None:
    """The CPU time of a domain in seconds, None when it ended."""
    try:
        state, _, _, _, nanoseconds = domain.info()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return None
    return float(nanoseconds) / 1e9 if state == libvirt.VIR_DOMAIN_RUNNING else None


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _records_only(connection: Any) -> bool:
    return bool(connection.getType() == "TEST")


def _named_alike(error: libvirt.libvirtError) -> bool:
    """Whether an object of this name and another uuid is in the way: libvirt has no code of its own for it (virnetworkobj.c)."""
    codes = (libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_ERR_NETWORK_EXIST)
    return error.get_error_code() in codes and "already exists with uuid" in error.get_error_message()


def _is_defined(connection: Any, uuid: str) -> bool:
    try:
        connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return False
        raise
    return True


def _undefine_flags(connection: Any) -> int:
    flags = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    if _records_only(connection):  # refuses flags it does not know (error 8); domains there have no NVRAM
        return int(flags)
    checkpoints = connection.getLibVersion() >= SINCE_CHECKPOINTS
    return int(
        flags
        | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
        | (libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA if checkpoints else 0)
    )


def _held(pool: Any) -> int:
    """How many volumes a pool holds; one that is not active is started for it, if it has a folder at all."""
    if not pool.isActive():
        try:
            pool.create()
        except libvirt.libvirtError:
            return 0
    pool.refresh()
    return len(pool.listAllVolumes())


def _cause(error: libvirt.libvirtError) -> str:
    return error.get_error_message() or f"libvirt says nothing but code {error.get_error_code()}"


def _hint(error: libvirt.libvirtError) -> str:
    hints = {
        libvirt.VIR_ERR_AUTH_FAILED: "the user may not manage libvirt: root, or the group libvirt",
        libvirt.VIR_ERR_NO_SUPPORT: "this libvirt driver cannot do that",
        libvirt.VIR_ERR_NO_STORAGE_POOL: "`meshctl plan` shows what is missing",
    }
    return hints.get(error.get_error_code(), "")


def _names(objects: Iterable[Any]) -> frozenset[str]:
    return frozenset(one.name() for one in objects)


def _start(startable: Any) -> None:
    """Starts a domain or a network; one that runs, or that another run started just now, is fine."""
    if startable.isActive():
        return
    try:
        startable.create()
    except libvirt.libvirtError:
        if not startable.isActive():
            raise


def _gone(error: libvirt.libvirtError) -> bool:
    """Whether an object vanished between the listing and the look: others work on the host too."""
    return error.get_error_code() in (
        libvirt.VIR_ERR_NO_DOMAIN,
        libvirt.VIR_ERR_NO_NETWORK,
        libvirt.VIR_ERR_NO_STORAGE_POOL,
        libvirt.VIR_ERR_NO_STORAGE_VOL,
    )


def _domain_seen(domain: Any, stats: Mapping[str, int]) -> DomainSeen | None:
    active = domain.ID() != -1
    try:
        halt, end = _condition(domain, stats)
        seen = replace(parse_domain(domain.XMLDesc(), active=active), halted=halt, ended=end)
        if seen.stamp is None or not active:
            return seen
        definition = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    except libvirt.libvirtError as error:
        if _gone(error):
            return None
        raise
    return replace(seen, next_start=parse_domain(definition, active=False))


def _condition(domain: Any, stats: Mapping[str, int]) -> tuple[str, str]:
    """Why it does not run though it is active, and why it is off."""
    state, reason = stats.get("state.state", 0), stats.get("state.reason", 0)
    failed = (state, reason) == (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR)
    disk_errors = domain.diskErrors() if failed else {}
    return halted(domain.name(), state, reason, disk_errors), ended(state, reason)


def _affinities(connection: Any, name: str) -> Settings:
    """Those of one domain's iothreads; none when it does not run any longer."""
    try:
        return iothreads_in(connection.lookupByName(name).ioThreadInfo(libvirt.VIR_DOMAIN_AFFECT_LIVE))
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID):
            return {}
        raise


def _cpu_map(cpus: Iterable[int]) -> tuple[bool, ...]:
    """CPUs as libvirt's binding takes them: a truth value for each, up to the last one that is meant."""
    meant = set(cpus)
    return tuple(cpu in meant for cpu in range(max(meant) + 1))


def _network_seen(
    connection: Any, network: Any, active: frozenset[str], autostart: frozenset[str]
) -> NetworkSeen | None:
    # The test driver knows one description of a network only.
    inactive = 0 if _records_only(connection) else libvirt.VIR_NETWORK_XML_INACTIVE
    name = network.name()
    try:
        now = network.XMLDesc()
        definition = network.XMLDesc(inactive) if name in active else now
    except libvirt.libvirtError as error:
        if _gone(error):
            return None
        raise
    return parse_network(now, active=name in active, autostart=name in autostart, definition=definition)


def _pool(connection: Any, name: str) -> Any | None:
    try:
        return connection.storagePoolLookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_POOL:
            return None
        raise


def _pool_seen(pool: Any, active: frozenset[str], autostart: frozenset[str]) -> PoolSeen | None:
    name = pool.name()
    try:
        return parse_pool(pool.XMLDesc(), active=name in active, autostart=name in autostart)
    except libvirt.libvirtError as error:
        if _gone(error):
            return None
        raise


def _refresh(pool: Any) -> None:
    """Looks at a pool anew, unless it is busy with a long job of somebody's: then it is taken as libvirt knows it."""
    try:
        pool.refresh()
    except libvirt.libvirtError as error:
        if "asynchronous jobs" not in error.get_error_message():
            raise


def _volume_descriptions(pool: Any) -> Iterator[str]:
    """The XML of every volume of a pool, but of those that vanish while they are looked at."""
    for volume in pool.listAllVolumes():
        try:
            xml = volume.XMLDesc()
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_VOL:
                raise
            continue
        yield str(xml)


def _domain_holder(domain: Any) -> Holder | None:
    try:
        return parse_domain_holder(domain.XMLDesc(), domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def _volume_seen(volume: Any, folder: str, sized: Callable[[str], bool]) -> VolumeSeen | None:
    try:
        name = str(volume.name())
    except UnicodeDecodeError:  # a file of somebody's, in another encoding: it is there, and it is not ours
        return VolumeSeen("(a name that is not UTF-8)", folder, 0)
    try:
        return parse_volume(volume.XMLDesc()) if sized(name) else VolumeSeen(name, f"{folder}/{name}", 0)
    except libvirt.libvirtError as error:
        if _gone(error):
            return None
        raise


def _physical(connection: Any, volume: Any) -> int:
    if _records_only(connection):
        return int(volume.info()[1])
    return int(volume.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2])


def _send(connection: Any, volume: Any, content: BinaryIO, on_bytes: OnBytes) -> None:
    # Chunk by chunk, so that the deadline of a call is that of one chunk, and an interruption ends the whole.
    stream = connection.newStream(0)
    volume.upload(stream, 0, 0, 0)
    sent = 0
    try:
        while chunk := content.read(CHUNK):
            check()
            stream.send(chunk)
            sent += len(chunk)
            on_bytes(sent)
        stream.finish()
    except BaseException:
        with suppress(libvirt.libvirtError):
            stream.abort()
        raise


def _receive(connection: Any, volume: Any, offset: int, take: Callable[[bytes], object]) -> None:
    stream = connection.newStream(0)
    volume.download(stream, offset, 0, 0)
    while chunk := stream.recv(CHUNK):  # each has its own deadline, as in `_send`
        check()
        take(chunk)
    stream.finish()
