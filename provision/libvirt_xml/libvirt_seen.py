"""What libvirt says of domains, networks, pools and volumes: its XML, read into data. A codec: it takes no decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from provision.base.units import KIB, MIB
from provision.libvirt_xml.definition import Settings, domain_settings, network_settings, scaled_bytes
from provision.specs import Stamp, stamp_of

BALLOON_MODELS = ("virtio", "virtio-transitional", "virtio-non-transitional", "xen")


@dataclass(frozen=True)
class DomainSeen:
    """A domain as libvirt describes it now. `vcpu_cpus` is one CPU set per vCPU, in libvirt's notation.

    `not_ours` says why a stamp that names our cluster was taken off it (`whose`); that stamp is `pretended` then. `macs` are those of
    its interfaces.

    `memory_nodes` are the NUMA nodes that its memory is bound to, `hugepage_kib` is the size of its huge pages, 0 for none.
    `settings` are its elements for a comparison; `next_start` is what a running domain of ours will be then.
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
    settings: Settings = field(default_factory=dict)
    next_start: DomainSeen | None = None
    macs: tuple[str, ...] = ()
    not_ours: str = ""
    pretended: Stamp | None = None

    @property
    def definition(self) -> DomainSeen:
        """What it will be at its next start: itself where nothing else is known."""
        return self.next_start or self


@dataclass(frozen=True)
class VolumeSeen:
    """A volume of a pool; `physical` is the size in bytes of the file or device itself."""

    name: str
    path: str
    physical: int


@dataclass(frozen=True)
class NetworkSeen:
    """A network as libvirt describes it; `settings` for a comparison, `next_start` are those of its definition; `not_ours` as for
    `DomainSeen`.
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


@dataclass(frozen=True)
class PoolSeen:
    """A storage pool as libvirt describes it; `available` in bytes."""

    name: str
    uuid: str
    active: bool
    type: str
    path: str
    available: int
    autostart: bool = True


def parse_domain(xml: str, *, active: bool) -> DomainSeen:
    """What libvirt says of a domain."""
    root = etree.fromstring(xml)
    vcpu = root.find("vcpu")
    vcpus = 1 if vcpu is None else int(vcpu.text or "1")
    floating = "" if vcpu is None else vcpu.get("cpuset", "")
    pins = {pin.get("vcpu"): pin.get("cpuset", "") for pin in root.findall("cputune/vcpupin")}
    emulator = root.find("cputune/emulatorpin")
    iothreads = sorted(root.findall("cputune/iothreadpin"), key=lambda pin: int(pin.get("iothread", "0")))
    return DomainSeen(
        name=root.findtext("name", ""),
        uuid=root.findtext("uuid", ""),
        active=active,
        stamp=stamp_of(root),
        type=root.get("type", ""),
        memory_mib=_memory_mib(root.find("memory")),
        vcpus=vcpus,
        vcpu_cpus=tuple(pins.get(str(number), floating) for number in range(vcpus)),
        emulator_cpus="" if emulator is None else emulator.get("cpuset", ""),
        iothread_cpus=tuple(pin.get("cpuset", "") for pin in iothreads),
        balloon=any(balloon.get("model") in BALLOON_MODELS for balloon in root.findall("devices/memballoon")),
        disks=tuple(source.get("file") or source.get("dev") or "" for source in root.findall("devices/disk/source")),
        memory_nodes=",".join(part.get("nodeset", "") for part in root.findall("numatune/memory")),
        hugepage_kib=_hugepage_kib(root.find("memoryBacking/hugepages")),
        settings=domain_settings(root),
        macs=tuple(mac.get("address", "") for mac in root.findall("devices/interface/mac")),
    )


def _hugepage_kib(hugepages: Any) -> int:
    """The size of the (first) huge page; where the domain names none, 2 MiB, the default of every x86 kernel."""
    if hugepages is None:
        return 0
    page = hugepages.find("page")
    return 2048 if page is None else scaled_bytes(page.get("size"), page.get("unit")) // KIB


def _memory_mib(memory: Any) -> int:
    return 0 if memory is None else scaled_bytes(memory.text, memory.get("unit")) // MIB


def parse_network(xml: str, *, active: bool, autostart: bool = True, definition: str = "") -> NetworkSeen:
    """What libvirt says of a network; `definition` is the XML that it will be started with, where that is another."""
    root = etree.fromstring(xml)
    bridge = root.find("bridge")
    return NetworkSeen(
        name=root.findtext("name", ""),
        uuid=root.findtext("uuid", ""),
        active=active,
        stamp=stamp_of(root),
        bridge="" if bridge is None else bridge.get("name", ""),
        addresses=tuple(f"{ip.get('address')}/{ip.get('prefix') or ip.get('netmask')}" for ip in root.findall("ip")),
        autostart=autostart,
        settings=network_settings(root),
        next_start=network_settings(etree.fromstring(definition or xml)),
    )


def parse_pool(xml: str, *, active: bool, available: int, autostart: bool = True) -> PoolSeen:
    """What libvirt says of a storage pool."""
    root = etree.fromstring(xml)
    return PoolSeen(
        name=root.findtext("name", ""),
        uuid=root.findtext("uuid", ""),
        active=active,
        type=root.get("type", ""),
        path=root.findtext("target/path", ""),
        available=available,
        autostart=autostart,
    )


def machine_in(capabilities: str) -> str:
    """The uuid of the host, from libvirt's capabilities; empty where they have none."""
    return etree.fromstring(capabilities).findtext("host/uuid", "")


def uuid_in(xml: str) -> str:
    """The uuid of a domain, network or pool, from its XML."""
    return etree.fromstring(xml).findtext("uuid", "")


def parse_kvm_offered(domain_capabilities: str) -> bool:
    """Whether libvirt's domain capabilities offer KVM at all; only a started domain proves that it works."""
    return etree.fromstring(domain_capabilities).findtext("domain", "") == "kvm"
