"""The door to libvirt: the only module that imports it. Translates libvirtError once and counts every call.

Reads are bulk calls per host, not one per guest and poll. A `Hypervisor` is one concrete class; what it talks to
is decided by the URI (qemu+ssh://, qemu:///system, the lab's socket, test:///…/node.xml).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import libvirt

from provision.base.calls import Calls
from provision.base.errors import ConflictError, HypervisorError, StageTimeout
from provision.base.waiting import NotYet, Ready, wait_until
from provision.hosts.refusal import advice, unasking
from provision.libvirt_xml import (
    LEASE_NAME,
    DomainSeen,
    DomainState,
    Lease,
    NetworkSeen,
    PoolSeen,
    VolumeSeen,
    iothreads_in,
    lease_xml,
    machine_in,
    parse_domain,
    parse_kvm_offered,
    parse_lease,
    parse_network,
    parse_pool,
    pins_in,
    probe_xml,
    uuid_in,
)

CHUNK = 256 * 1024
"""Bytes per stream message: libvirt's own limit is 4 MiB, its tools send 256 KiB or less."""

KVM_PROBE_S = 2.0
"""A guest that KVM cannot run ends within the first instructions of its BIOS; one that runs after this, runs."""

CLOSE_S = 1.0
"""A daemon that takes a connection and says nothing is not waited for at the end."""

OnBytes = Callable[[int], None]


def _silence(_context: object, _error: object) -> None:
    """Libvirt prints each error to stderr unless told otherwise; ours are raised."""


libvirt.registerErrorHandler(_silence, None)


def _unheard(_sent: int) -> None:
    """For uploads that nobody watches."""


@dataclass
class Hypervisor:
    """The libvirt of one host. Opened at the first call, safe to use from several threads."""

    host: str
    uri: str
    calls: Calls = field(default_factory=Calls)
    _connection: Any = field(default=None, repr=False)
    _kvm: bool | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

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
            return None if found is None else parse_lease(found.XMLDesc())

    def domains(self) -> tuple[DomainSeen, ...]:
        """All domains of the host, ours and others'."""
        with self._reading("list domains") as connection:
            active = _names(connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE))
            found = (_domain_seen(domain, domain.name() in active) for domain in connection.listAllDomains())
            return tuple(sorted(filter(None, found), key=lambda seen: seen.name))

    def states(self, domains: Iterable[str]) -> Mapping[str, DomainState]:
        """The pins that apply now, autostart and permanence of those of these domains that there are."""
        with self._reading("read pins") as connection:
            there = {domain.name(): domain for domain in connection.listAllDomains()}
            active = _names(connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE))
            autostart = _names(connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART))
            lasting = _names(connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT))
            return {
                name: replace(
                    _live_state(there[name]) if name in active else DomainState(),
                    autostart=name in autostart,
                    persistent=name in lasting,
                )
                for name in domains
                if name in there
            }

    def networks(self) -> tuple[NetworkSeen, ...]:
        """All networks of the host."""
        with self._reading("list networks") as connection:
            networks = (one for one in connection.listAllNetworks() if one.name() != LEASE_NAME)
            return tuple(_network_seen(connection, network) for network in networks)

    def pools(self) -> tuple[PoolSeen, ...]:
        """All storage pools of the host."""
        with self._reading("list storage pools") as connection:
            return tuple(_pool_seen(pool) for pool in connection.listAllStoragePools())

    def volumes(self, pool: str) -> tuple[VolumeSeen, ...]:
        """The volumes of an active pool, as they are now; none when the pool is absent or not active."""
        with self._reading(f"list the volumes of pool {pool}") as connection:
            found = _pool(connection, pool)
            if found is None or not found.isActive():
                return ()
            found.refresh()
            return tuple(_volume_seen(connection, volume) for volume in found.listAllVolumes())

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
            return _download(connection, log, max(0, size - last_bytes)).decode(errors="replace")

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────────

    def kvm_works(self) -> bool:
        """Whether KVM really starts a guest here: a throw-away domain is still running after two seconds.

        The device node alone proves nothing. False where the driver cannot say (libvirt's test driver). Tried once.
        """
        if self._kvm is None:
            self._kvm = self._try_kvm()
        return self._kvm

    def _try_kvm(self) -> bool:
        with self._reading("read the domain capabilities") as connection:
            try:
                offered = parse_kvm_offered(connection.getDomainCapabilities(None, "x86_64", None, "kvm", 0))
            except libvirt.libvirtError:
                return False
        return offered and self._survives_kvm()

    def put_lease(self, lease: Lease) -> bool:
        """Takes or renews a lease; false when another has it. Not counted: it changes nothing that anybody has."""
        with self._translated("take the lease"):
            connection = self._connected()
            try:
                connection.networkDefineXML(lease_xml(lease))
            except libvirt.libvirtError as error:
                if _named_alike(error):
                    return False
                raise
            return True

    def drop_lease(self, uuid: str) -> None:
        """Ends the lease of this uuid; that it is gone already is fine. Not counted, so that it goes through when changes are refused."""
        with self._translated("give the lease back"):
            connection = self._connected()
            try:
                connection.networkLookupByUUIDString(uuid).undefine()
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_NETWORK:
                    raise

    def create_pool(self, xml: str) -> None:
        """Defines, builds (its folder), starts and marks for autostart."""
        with self._changing("create the storage pool") as connection:
            pool = connection.storagePoolDefineXML(xml)
            with suppress(libvirt.libvirtError):  # exists already: starting it says whether it is any good
                pool.build()
            pool.create()
            pool.setAutostart(1)

    def start_pool(self, name: str) -> None:
        """Starts a pool that is defined."""
        with self._changing(f"start storage pool {name}") as connection:
            connection.storagePoolLookupByName(name).create()

    def create_network(self, xml: str) -> None:
        """Defines, starts and marks for autostart."""
        with self._changing("create the network") as connection:
            network = connection.networkDefineXML(xml)
            try:
                network.create()
            except libvirt.libvirtError:
                network.undefine()
                raise
            network.setAutostart(1)

    def start_network(self, name: str) -> None:
        """Starts a network that is defined."""
        with self._changing(f"start network {name}") as connection:
            connection.networkLookupByName(name).create()

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

    def start_domain(self, name: str) -> None:
        """Starts a domain; that it runs already is fine."""
        with self._changing(f"start {name}") as connection:
            domain = connection.lookupByName(name)
            if not domain.isActive():
                domain.create()

    def pin_domain(self, name: str, vcpus: Iterable[int], emulator: Iterable[int], iothread: Iterable[int]) -> None:
        """Puts the threads of a running domain on their CPUs: a CPU per vCPU, those of the emulator and of iothread 1.

        Its definition stays as it is.
        """
        live = libvirt.VIR_DOMAIN_AFFECT_LIVE
        with self._changing(f"pin {name}") as connection:
            domain = connection.lookupByName(name)
            for vcpu, cpu in enumerate(vcpus):
                domain.pinVcpu(vcpu, _cpu_map([cpu]))
            domain.pinEmulator(_cpu_map(emulator), live)
            domain.pinIOThread(1, _cpu_map(iothread), live)

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

    def remove_domain(self, name: str) -> None:
        """Ends a domain at once and undefines it, with NVRAM and saved state."""
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
        """Ends and undefines a pool, and deletes its folder when that is empty."""
        with self._changing(f"remove storage pool {name}") as connection:
            pool = connection.storagePoolLookupByName(name)
            if pool.isActive():
                pool.destroy()
            with suppress(libvirt.libvirtError):  # not empty: somebody else's files stay
                pool.delete()
            pool.undefine()

    def close(self) -> None:
        """Closes the connection, if there is one, and if nobody still waits for it to open."""
        if not self._lock.acquire(timeout=CLOSE_S):
            return
        with suppress(libvirt.libvirtError):
            if self._connection is not None:
                self._connection.close()
        self._connection = None
        self._lock.release()

    # ── the door itself ──────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _reading(self, what: str) -> Iterator[Any]:
        self.calls.count(changes=False)
        with self._translated(what):
            yield self._connected()

    @contextmanager
    def _changing(self, what: str) -> Iterator[Any]:
        self.calls.count(changes=True)
        with self._translated(what):
            yield self._connected()

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except libvirt.libvirtError as error:
            raise HypervisorError(
                f"{self.host}: cannot {what}: {error.get_error_message()}", hint=_hint(error)
            ) from error

    def _connected(self) -> Any:
        with self._lock:
            if self._connection is None:
                self._connection = self._open()
            return self._connection

    def _open(self) -> Any:
        try:
            return libvirt.open(unasking(self.uri))
        except libvirt.libvirtError as error:
            said = error.get_error_message()
            raise HypervisorError(
                f"{self.host}: no connection to {self.uri}: {said}", hint=advice(self.uri, said)
            ) from error

    def _survives_kvm(self) -> bool:
        name = f"meshctl-probe-{threading.get_native_id()}"
        with self._changing("start a throw-away domain") as connection:
            try:
                domain = connection.createXML(probe_xml(name), libvirt.VIR_DOMAIN_START_AUTODESTROY)
            except libvirt.libvirtError:
                return False
            try:
                return _stays_up(domain)
            finally:
                with suppress(libvirt.libvirtError):
                    domain.destroy()


def _stays_up(domain: Any) -> bool:
    def check() -> Ready[bool] | NotYet:
        try:
            state, _ = domain.state()
        except libvirt.libvirtError:
            return Ready(False)
        return NotYet("running") if state == libvirt.VIR_DOMAIN_RUNNING else Ready(False)

    try:
        return wait_until(check, what="the throw-away domain", within_s=KVM_PROBE_S, every_s=0.1)
    except StageTimeout:
        return True


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
    # The test driver refuses flags it does not know (error 8); domains there have neither NVRAM nor saved state.
    return (
        0 if _records_only(connection) else libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    )


def _hint(error: libvirt.libvirtError) -> str:
    hints = {
        libvirt.VIR_ERR_AUTH_FAILED: "the user may not manage libvirt: root, or the group libvirt",
        libvirt.VIR_ERR_NO_SUPPORT: "this libvirt driver cannot do that",
        libvirt.VIR_ERR_NO_STORAGE_POOL: "`meshctl plan` shows what is missing",
    }
    return hints.get(error.get_error_code(), "")


def _names(objects: Iterable[Any]) -> frozenset[str]:
    return frozenset(one.name() for one in objects)


def _domain_seen(domain: Any, active: bool) -> DomainSeen | None:
    """None for a domain that vanished between the listing and the look: others work on the host too."""
    try:
        seen = parse_domain(domain.XMLDesc(), active=active)
        if seen.stamp is None or not active:
            return seen
        definition = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise
    return replace(seen, next_start=parse_domain(definition, active=False))


def _live_state(domain: Any) -> DomainState:
    """Pins of a running domain; none when it does not run any longer."""
    live = libvirt.VIR_DOMAIN_AFFECT_LIVE
    try:
        pins = pins_in(domain.vcpuPinInfo(live), domain.emulatorPinInfo(live))
        return DomainState(pins, iothreads_in(domain.ioThreadInfo(live)))
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID):
            return DomainState()
        raise


def _cpu_map(cpus: Iterable[int]) -> tuple[bool, ...]:
    """CPUs as libvirt's binding takes them: a truth value for each, up to the last one that is meant."""
    meant = set(cpus)
    return tuple(cpu in meant for cpu in range(max(meant) + 1))


def _network_seen(connection: Any, network: Any) -> NetworkSeen:
    # The test driver knows one description of a network only.
    inactive = 0 if _records_only(connection) else libvirt.VIR_NETWORK_XML_INACTIVE
    return parse_network(
        network.XMLDesc(),
        active=bool(network.isActive()),
        autostart=bool(network.autostart()),
        definition=network.XMLDesc(inactive),
    )


def _pool(connection: Any, name: str) -> Any | None:
    try:
        return connection.storagePoolLookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_POOL:
            return None
        raise


def _pool_seen(pool: Any) -> PoolSeen:
    return parse_pool(
        pool.XMLDesc(), active=bool(pool.isActive()), available=pool.info()[3], autostart=bool(pool.autostart())
    )


def _volume_seen(connection: Any, volume: Any) -> VolumeSeen:
    return VolumeSeen(volume.name(), volume.path(), _physical(connection, volume))


def _physical(connection: Any, volume: Any) -> int:
    if _records_only(connection):
        return int(volume.info()[1])
    return int(volume.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2])


def _send(connection: Any, volume: Any, content: BinaryIO, on_bytes: OnBytes) -> None:
    stream = connection.newStream(0)
    volume.upload(stream, 0, 0, 0)
    sent = 0

    def read(_stream: Any, size: int, _opaque: object) -> bytes:
        nonlocal sent
        chunk = content.read(min(size, CHUNK))
        sent += len(chunk)
        on_bytes(sent)
        return chunk

    try:
        stream.sendAll(read, None)
        stream.finish()
    except BaseException:
        with suppress(libvirt.libvirtError):
            stream.abort()
        raise


def _download(connection: Any, volume: Any, offset: int) -> bytes:
    stream = connection.newStream(0)
    volume.download(stream, offset, 0, 0)
    content = bytearray()
    stream.recvAll(lambda _stream, chunk, _opaque: content.extend(chunk), None)
    stream.finish()
    return bytes(content)
