"""What libvirt says of domains, networks, pools and volumes: its XML, read into data. A codec: it takes no decision."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from provision.libvirt_xml.definition import Settings, domain_settings, network_settings
from provision.libvirt_xml.documents import parsed
from provision.libvirt_xml.domain_states import PASSES
from provision.libvirt_xml.memory_parts import MemoryPart, memory_parts, total_mib
from provision.libvirt_xml.values import cpus_or_none, ip_network, scaled_bytes, whole
from provision.specs import Stamp, read_stamp

BALLOON_MODELS = ("virtio", "virtio-transitional", "virtio-non-transitional", "xen")


@dataclass(frozen=True)
class DomainSeen:
    """A domain as libvirt describes it now. `vcpu_cpus` is one CPU set per vCPU, in libvirt's notation.

    `not_ours` says why a stamp that names our cluster was taken off it (`whose`); that stamp is `pretended` then. `macs` are those of
    its interfaces.

    `memory_nodes` are the NUMA nodes that its memory is bound to, `hugepage_kib` is the size of its (first) huge pages, 0 for none;
    `memory_parts` says both for each part of it.
    `settings` are its elements for a comparison; `next_start` is what a running domain of ours will be then. `halted`: why an
    active one does not run, and the next step; `ended`: what is worth knowing of why another is off; `garbage`: what of a
    stamp that looks like ours cannot be read, so that it counts as none. `copying` are
    the disks that a block job copies or merges. `backing` are the files that its disks lie over: known while it runs.
    """

    name: str
    uuid: str
    active: bool
    stamp: Stamp | None
    type: str
    memory_mib: int
    vcpus: int
    vcpu_cpus: tuple[str, ...]
    emulator_cpus: str
    iothread_cpus: tuple[str, ...]
    balloon: bool
    disks: tuple[str, ...]
    memory_nodes: str = ""
    hugepage_kib: int = 0
    memory_parts: tuple[MemoryPart, ...] = ()
    settings: Settings = field(default_factory=dict)
    next_start: DomainSeen | None = None
    macs: tuple[str, ...] = ()
    not_ours: str = ""
    pretended: Stamp | None = None
    halted: str = ""
    ended: str = ""
    garbage: str = ""
    copying: tuple[str, ...] = ()
    backing: tuple[str, ...] = ()

    @property
    def definition(self) -> DomainSeen:
        """What it will be at its next start: itself where nothing else is known."""
        return self.next_start or self

    @property
    def passing(self) -> bool:
        """Whether it stands still for as long as something takes that ends by itself: its start, a snapshot, a migration."""
        return self.halted.endswith(PASSES)


@dataclass(frozen=True)
class VolumeSeen:
    """A volume of a pool; `physical` is the size in bytes of the file or device itself, `capacity` that of the disk in it; 0 where
    nobody asked for them.

    `modified` is when it was last written to, by the host's clock in seconds of the epoch: None where libvirt does not say.
    """

    name: str
    path: str
    physical: int
    modified: float | None = None
    capacity: int = 0


@dataclass(frozen=True)
class Holder:
    """A domain or a volume (`what`, by its `name`) that needs files or devices: its disks, and what lies below them."""

    what: str
    name: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class NetworkSeen:
    """A network as libvirt describes it; `settings` for a comparison, `next_start` are those of its definition.

    `garbage` and `not_ours` as for a domain.
    """

    name: str
    uuid: str
    active: bool
    stamp: Stamp | None
    bridge: str
    addresses: tuple[str, ...]
    autostart: bool = True
    settings: Settings = field(default_factory=dict)
    next_start: Settings = field(default_factory=dict)
    not_ours: str = ""
    garbage: str = ""


@dataclass(frozen=True)
class PoolSeen:
    """A storage pool as libvirt describes it. `available` are the bytes free below it: None where libvirt does not say."""

    name: str
    uuid: str
    active: bool
    type: str
    path: str
    autostart: bool = True
    available: int | None = None


def parse_domain(xml: str, *, active: bool) -> DomainSeen:
    """What libvirt says of a domain. Somebody else's may be odd in any way: what cannot be read is as if it were not there."""
    root = parsed(xml)
    vcpu = root.find("vcpu")
    vcpus = whole(None if vcpu is None else vcpu.text, 1)
    floating = "" if vcpu is None else cpus_or_none(vcpu.get("cpuset"))
    pins = {pin.get("vcpu"): cpus_or_none(pin.get("cpuset")) for pin in root.findall("cputune/vcpupin")}
    emulator = root.find("cputune/emulatorpin")
    iothreads = sorted(root.findall("cputune/iothreadpin"), key=lambda pin: whole(pin.get("iothread"), 0))
    stamp, garbage = read_stamp(root)
    parts = memory_parts(root)
    return DomainSeen(
        name=root.findtext("name", ""),
        uuid=root.findtext("uuid", ""),
        active=active,
        stamp=stamp,
        type=root.get("type", ""),
        memory_mib=total_mib(root),
        vcpus=vcpus,
        vcpu_cpus=tuple(pins.get(str(number), floating) for number in range(vcpus)),
        emulator_cpus="" if emulator is None else cpus_or_none(emulator.get("cpuset")),
        iothread_cpus=tuple(cpus_or_none(pin.get("cpuset")) for pin in iothreads),
        balloon=any(balloon.get("model") in BALLOON_MODELS for balloon in root.findall("devices/memballoon")),
        disks=tuple(source.get("file") or source.get("dev") or "" for source in root.findall("devices/disk/source")),
        memory_nodes=",".join(
            filter(None, (cpus_or_none(one.get("nodeset")) for one in root.findall("numatune/memory")))
        ),
        hugepage_kib=next((part.page_kib for part in parts if part.page_kib), 0),
        memory_parts=parts,
        settings=domain_settings(root),
        macs=tuple(mac.get("address", "") for mac in root.findall("devices/interface/mac")),
        garbage=garbage,
        copying=tuple(
            "?" if (target := disk.find("target")) is None else target.get("dev", "?")
            for disk in root.findall("devices/disk")
            if disk.find("mirror") is not None
        ),
        backing=tuple(source.get("file") or "" for source in root.findall("devices/disk/backingStore/source")),
    )


def parse_network(xml: str, *, active: bool, autostart: bool = True, definition: str = "") -> NetworkSeen:
    """What libvirt says of a network; `definition` is the XML that it will be started with, where that is another."""
    root = parsed(xml)
    bridge = root.find("bridge")
    stamp, garbage = read_stamp(root)
    later, _ = read_stamp(parsed(definition)) if definition and stamp else (stamp, "")
    if stamp and later and stamp != later:  # libvirt 9.6 and older can set the metadata of the definition only
        stamp = replace(stamp, upkeep=later.upkeep)
    return NetworkSeen(
        name=root.findtext("name", ""),
        uuid=root.findtext("uuid", ""),
        active=active,
        stamp=stamp,
        bridge="" if bridge is None else bridge.get("name", ""),
        addresses=tuple(filter(None, map(ip_network, root.findall("ip")))),
        autostart=autostart,
        settings=network_settings(root),
        next_start=network_settings(parsed(definition or xml)),
        garbage=garbage,
    )


def parse_pool(xml: str, *, active: bool, autostart: bool = True) -> PoolSeen:
    """What libvirt says of a storage pool."""
    root = parsed(xml)
    return PoolSeen(
        name=root.findtext("name", ""),
        uuid=root.findtext("uuid", ""),
        active=active,
        type=root.get("type", ""),
        path=root.findtext("target/path", ""),
        autostart=autostart,
        available=_bytes(root.find("available")) if active else None,
    )


def parse_volume(xml: str) -> VolumeSeen:
    """What libvirt says of a volume. Its test driver knows no physical size: there it is the capacity."""
    root = parsed(xml)
    size = root.find("physical")
    size = root.find("capacity") if size is None else size
    modified = root.findtext("target/timestamps/mtime")
    return VolumeSeen(
        name=root.findtext("name", ""),
        path=root.findtext("target/path", ""),
        physical=_bytes(size) or 0,
        modified=None if modified is None else float(modified),
        capacity=_bytes(root.find("capacity")) or 0,
    )


def _bytes(size: Any) -> int | None:
    """An element with a number and its unit, in bytes; None where there is none."""
    return None if size is None else scaled_bytes(size.text or "0", size.get("unit") or "bytes")


def parse_volume_holder(xml: str) -> Holder:
    """What a volume lies on."""
    root = parsed(xml)
    below = root.findtext("backingStore/path")
    return Holder("volume", root.findtext("target/path", ""), (below,) if below else ())


def parse_domain_holder(*descriptions: str) -> Holder:
    """What a domain needs, by each of its descriptions: as it runs, and as it will be started."""
    roots = [parsed(xml) for xml in descriptions]
    sources = [source for root in roots for disk in root.findall("devices/disk") for source in disk.iter("source")]
    paths = {path for source in sources for key in ("file", "dev", "volume") if (path := source.get(key))}
    return Holder("domain", roots[0].findtext("name", ""), tuple(sorted(paths)))


def machine_in(capabilities: str) -> str:
    """The uuid of the host, from libvirt's capabilities; empty where they have none."""
    return str(parsed(capabilities).findtext("host/uuid", ""))


def uuid_in(xml: str) -> str:
    """The uuid of a domain, network or pool, from its XML."""
    return str(parsed(xml).findtext("uuid", ""))


def parse_kvm_offered(domain_capabilities: str) -> bool:
    """Whether libvirt's domain capabilities offer KVM at all; only a started domain proves that it works."""
    return str(parsed(domain_capabilities).findtext("domain", "")) == "kvm"
