"""What a domain or a network is made of, as settings: one short text for each, in one notation.

libvirt normalises what it is given (units, defaults, order), so that XML is never compared as text: what we write and
what libvirt reports go through the same reader, and are compared setting by setting. Elements that libvirt or QEMU fill
in by themselves (addresses, aliases, controllers, machine type, CPU features) are not settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision.base.cpu_lists import cpu_list
from provision.base.units import KIB, MIB
from provision.libvirt_xml.values import cpus_or_none, ip_network, scaled_bytes, whole

Settings = Mapping[str, str]
"""Texts by the setting's name."""

EMULATOR_PIN = "emulator pin"
VCPUS = "vCPUs"
ANY, DEFAULT, NONE = "any", "default", "none"

DRIVER = ("cache", "io", "discard", "detect_zeroes", "iothread", "queues", "queue_size")
"""What of a disk's `<driver>` decides about its speed and its data, beside its format."""


def vcpu_pin(vcpu: int) -> str:
    """The setting's name for a vCPU's pin."""
    return f"vCPU {vcpu} pin"


def iothread_pin(iothread: int) -> str:
    """The setting's name for an iothread's pin; libvirt counts iothreads from 1."""
    return f"iothread {iothread} pin"


def is_pin(name: str) -> bool:
    """Whether a setting is a pin: libvirt changes those on a running domain."""
    return name.endswith(" pin")


@dataclass(frozen=True)
class DomainState:
    """What libvirt says of a domain beside its XML."""

    active: bool = False
    autostart: bool = True
    persistent: bool = True


def iothreads_in(iothreads: Iterable[tuple[int, Sequence[bool]]]) -> Settings:
    """Pins of iothreads, by their ids, from libvirt's maps: a truth value per CPU."""
    return {iothread_pin(number): _mapped(cpus) for number, cpus in iothreads}


def _mapped(cpus: Sequence[bool]) -> str:
    return cpu_list(number for number, may in enumerate(cpus) if may)


def domain_settings(root: Any) -> Settings:
    """The settings of a `<domain>`."""
    return {
        **_pins(root),
        **dict(_memory(root)),
        **dict(_cpu(root)),
        **{name: value for disk in root.findall("devices/disk") for name, value in _disk(disk)},
        **{name: value for card in root.findall("devices/interface") for name, value in _interface(card)},
    }


def network_settings(root: Any) -> Settings:
    """The settings of a `<network>`."""
    bridge, addresses = root.find("bridge"), root.findall("ip")
    return {
        "mode": _attribute(root.find("forward"), "mode", NONE),
        "bridge": _attribute(bridge, "name", DEFAULT),
        "MTU": _attribute(root.find("mtu"), "size", DEFAULT),
        "address": " ".join(filter(None, map(ip_network, addresses))) or NONE,
    }


def _attribute(element: Any, name: str, otherwise: str) -> str:
    return otherwise if element is None else str(element.get(name, otherwise))


def _list(text: str | None) -> str:
    """A CPU list in one notation; `any` for none."""
    return cpus_or_none(text) or ANY


def _pins(root: Any) -> dict[str, str]:
    """All pins; of iothreads those that there are. A vCPU without one has the domain's common set."""
    vcpu = root.find("vcpu")
    most = whole(None if vcpu is None else vcpu.text, 1)
    own = {pin.get("vcpu"): pin.get("cpuset") for pin in root.findall("cputune/vcpupin")}
    common = None if vcpu is None else vcpu.get("cpuset")
    iothreads = {pin.get("iothread"): pin.get("cpuset") for pin in root.findall("cputune/iothreadpin")}
    count = whole(root.findtext("iothreads"), 0)
    return {
        VCPUS: str(most)
        if vcpu is None or vcpu.get("current") in (None, str(most))
        else f"{vcpu.get('current')} of {most}",
        **{vcpu_pin(number): _list(own.get(str(number), common)) for number in range(most)},
        EMULATOR_PIN: _list(_attribute(root.find("cputune/emulatorpin"), "cpuset", "")),
        "iothreads": str(count),
        **{iothread_pin(number): _list(iothreads.get(str(number))) for number in range(1, count + 1)},
    }


def _mib(element: Any, attribute: str | None = None) -> str:
    """A size in MiB, in KiB where it is no whole number of them."""
    number = element.text if attribute is None else element.get(attribute)
    size = scaled_bytes(number, element.get("unit"))
    return f"{size // KIB} KiB" if size % MIB else f"{size // MIB} MiB"


def _size(element: Any) -> str:
    return NONE if element is None else _mib(element)


def _memory(root: Any) -> Iterator[tuple[str, str]]:
    yield "memory", _size(root.find("memory"))
    # Without the element the guest has all of it; with a balloon somebody may have taken some back.
    yield (
        "current memory",
        _size(root.find("memory") if root.find("currentMemory") is None else root.find("currentMemory")),
    )
    yield "memory limit", _size(root.find("memtune/hard_limit"))
    yield "huge pages", _huge_pages(root.find("memoryBacking/hugepages"))
    yield "locked memory", "no" if root.find("memoryBacking/locked") is None else "yes"
    yield "page sharing", "allowed" if root.find("memoryBacking/nosharepages") is None else "no"
    yield "allocation", _allocation(root.find("memoryBacking/allocation"))
    yield "memory binding", _binding(root.find("numatune"))
    # libvirt adds a balloon to every domain that does not say otherwise.
    yield "balloon", _attribute(root.find("devices/memballoon"), "model", DEFAULT)


def _huge_pages(hugepages: Any) -> str:
    if hugepages is None:
        return NONE
    pages = hugepages.findall("page")
    shown = (f"{_mib(page, 'size')}{_of_cells(page)}" for page in pages)
    return "; ".join(shown) or "the host's default"


def _of_cells(page: Any) -> str:
    return f" for guest cells {_list(page.get('nodeset'))}" if page.get("nodeset") else ""


def _allocation(allocation: Any) -> str:
    threads = _attribute(allocation, "threads", "")
    return _attribute(allocation, "mode", "on demand") + (f", {threads} threads" if threads else "")


def _binding(numatune: Any) -> str:
    if numatune is None:
        return NONE
    whole = (f"{part.get('mode')} {_list(part.get('nodeset'))}" for part in numatune.findall("memory"))
    cells = (
        f"guest cell {part.get('cellid')} {part.get('mode')} {_list(part.get('nodeset'))}"
        for part in numatune.findall("memnode")
    )
    return "; ".join((*whole, *cells)) or NONE


def _cpu(root: Any) -> Iterator[tuple[str, str]]:
    cpu = root.find("cpu")
    yield "CPU mode", _attribute(cpu, "mode", DEFAULT)
    yield "CPU topology", _topology(None if cpu is None else cpu.find("topology"))
    cells = [] if cpu is None else cpu.findall("numa/cell")
    shown = (f"{cell.get('id')}: vCPUs {_list(cell.get('cpus'))}, {_mib(cell, 'memory')}" for cell in cells)
    yield "guest cells", "; ".join(shown) or NONE
    hints = sorted(hint.tag for hint in root.findall("features/kvm/*") if hint.get("state") == "on")
    yield "KVM hints", ", ".join(hints) or NONE


def _topology(topology: Any) -> str:
    if topology is None:
        return DEFAULT
    return " × ".join(f"{topology.get(part, '1')} {part}" for part in ("sockets", "dies", "cores", "threads"))


def _disk(disk: Any) -> Iterator[tuple[str, str]]:
    name, source, driver = (
        f"disk {_attribute(disk.find('target'), 'dev', '?')}",
        disk.find("source"),
        disk.find("driver"),
    )
    yield name, NONE if source is None else source.get("file") or source.get("dev") or source.get("volume") or DEFAULT
    yield f"{name} format", _attribute(driver, "type", DEFAULT)
    for option in DRIVER:
        yield f"{name} {option}", _attribute(driver, option, DEFAULT)
    yield f"{name} serial", disk.findtext("serial", DEFAULT)
    yield f"{name} writable", "yes" if disk.find("readonly") is None else "no"


def _interface(interface: Any) -> Iterator[tuple[str, str]]:
    name, source = f"interface {_attribute(interface.find('mac'), 'address', '?')}", interface.find("source")
    yield name, NONE if source is None else source.get("network") or source.get("bridge") or DEFAULT
    yield f"{name} model", _attribute(interface.find("model"), "type", DEFAULT)
    yield f"{name} queues", _attribute(interface.find("driver"), "queues", DEFAULT)
    yield f"{name} MTU", _attribute(interface.find("mtu"), "size", DEFAULT)
