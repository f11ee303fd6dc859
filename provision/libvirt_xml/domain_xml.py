"""Specs to libvirt's XML. A codec: it takes no decision.

What placement decides is written by `hardware_xml`; the rest follows the low-latency guides of libvirt, Red Hat and Nova.
"""

from __future__ import annotations

from typing import Any

from lxml import etree

from provision.base.units import MIB
from provision.libvirt_xml.definition import Settings, domain_settings
from provision.libvirt_xml.hardware_xml import cpu, cputune, features, memory_elements, numatune
from provision.libvirt_xml.hardware_xml import element as _element
from provision.specs import (
    DiskSpec,
    GuestSpec,
    NetworkSpec,
    Owner,
    PoolSpec,
    Stamp,
    Upkeep,
    VolumeSpec,
    digest,
    stamp_element,
    with_pins,
)

BUNDLE_TARGET = "vdc"
"""Where guests have the bundle's disk."""


def _text(root: Any) -> str:
    return str(etree.tostring(root, encoding="unicode", pretty_print=True))


def pool_xml(pool: PoolSpec) -> str:
    """A storage pool."""
    return _text(
        _element(
            "pool", None,
            _element("name", pool.name),
            _element("uuid", pool.uuid),
            _element("target", None, _element("path", pool.path)),
            type=pool.type,
        )
    )  # fmt: skip


def network_xml(network: NetworkSpec, owner: Owner, upkeep: Upkeep | None = None) -> str:
    """A network with our stamp: NAT made by libvirt, or the host's own bridge. No DHCP: addresses come with the seed."""
    root = _element("network", None, _element("name", network.name), _element("uuid", network.uuid))
    stamp = Stamp(network.cluster, "", digest(network), owner=owner.id, upkeep=upkeep or Upkeep())
    root.append(_element("metadata", None, stamp_element(stamp)))
    root.append(_element("forward", mode=network.mode))
    if network.bridge:
        bridge = _element("bridge", name=network.bridge)
        root.append(bridge)
        if network.mode == "nat":
            bridge.set("stp", "off")
            bridge.set("delay", "0")
    if network.mode == "nat":
        root.append(_element("mtu", size=str(network.mtu)))
        root.append(_element("ip", address=network.address, prefix=str(network.prefix_length)))
    return _text(root)


def volume_xml(volume: VolumeSpec) -> str:
    """A file of a pool. A root volume is an overlay on the base image: made in milliseconds, whatever the image's size.

    A data volume has all its blocks from the start (no `allocation`: libvirt takes the capacity): its space is really there. A state volume
    has none: it is as sparse as the root volume beside it.
    """
    form = "qcow2" if volume.base_path else "raw"
    root = _element(
        "volume", None,
        _element("name", volume.name),
        _element("capacity", str(volume.size_mib), unit="MiB"),
        *([_element("allocation", "0")] if volume.sparse and not volume.base_path else []),
        _target(form, "0600", *([_element("compat", "1.1")] if volume.base_path else [])),
    )  # fmt: skip
    if volume.base_path:
        backing = (_element("path", volume.base_path), _element("format", type="qcow2"))
        root.append(_element("backingStore", None, *backing))
    return _text(root)


def _target(form: str, mode: str, *more: Any) -> Any:
    return _element(
        "target", None, _element("format", type=form), *more, _element("permissions", None, _element("mode", mode))
    )


def upload_volume_xml(name: str, *, private: bool) -> str:
    """An empty raw volume that grows as bytes are sent."""
    return _text(
        _element(
            "volume", None,
            _element("name", name),
            _element("capacity", "0"),
            _target("raw", "0600" if private else "0644"),
        )
    )  # fmt: skip


def domain_xml(guest: GuestSpec, stamp: Stamp) -> str:
    """The guest as a libvirt domain."""
    return _text(_domain(guest, stamp))


def guest_settings(guest: GuestSpec) -> Settings:
    """The settings of a guest as it should be: read from what would be given to libvirt, as what libvirt gives is."""
    return domain_settings(_domain(guest, Stamp(guest.cluster, guest.node, "")))


def _domain(guest: GuestSpec, stamp: Stamp) -> Any:
    root = _element("domain", type=guest.virtualization)
    root.extend(
        [
            _element("name", guest.domain),
            _element("uuid", guest.uuid),
            _element("title", f"meshctl {guest.cluster}/{guest.node}"),
            _element("metadata", None, stamp_element(with_pins(stamp, guest))),
            _element("memory", str(guest.memory_mib), unit="MiB"),
            _element("currentMemory", str(guest.memory_mib), unit="MiB"),
            *memory_elements(guest),
            _element("vcpu", str(guest.vcpus), placement="static"),
            _element("iothreads", "1"),
            cputune(guest),
            *numatune(guest),
            _element("os", None, _element("type", "hvm", arch="x86_64", machine="q35"), _element("boot", dev="hd")),
            features(guest),
            cpu(guest),
            _clock(),
            _element("on_poweroff", "destroy"),
            _element("on_reboot", "restart"),
            _element("on_crash", "restart"),
            _devices(guest),
        ]
    )
    return root


def _clock() -> Any:
    # Nova's timers: a guest that lost ticks catches up, no HPET to emulate.
    return _element(
        "clock", None,
        _element("timer", name="rtc", tickpolicy="catchup"),
        _element("timer", name="pit", tickpolicy="delay"),
        _element("timer", name="hpet", present="no"),
        offset="utc",
    )  # fmt: skip


def _devices(guest: GuestSpec) -> Any:
    root, *data = guest.disks
    return _element(
        "devices", None,
        _disk(root, "vda", guest),
        _readonly_disk(guest.seed_path, "vdb"),
        bundle_disk_element(guest.bundle_path),
        *(_disk(disk, _target_name(number), guest) for number, disk in enumerate(data, 3)),
        _interface(guest),
        _element("serial", None, _element("log", file=guest.console_path, append="on"), type="pty"),
        _element("console", None, type="pty"),
        _element("channel", None, _element("target", type="virtio", name="org.qemu.guest_agent.0"), type="unix"),
        _element("rng", None, _element("backend", "/dev/urandom", model="random"), model="virtio"),
        _element("controller", type="usb", model="none"),
        _element("memballoon", model="none"),
    )  # fmt: skip


def bundle_disk_element(path: str) -> Any:
    """The bundle's disk, which all guests of a host share."""
    return _readonly_disk(path, BUNDLE_TARGET, shared=True)


def _target_name(number: int) -> str:
    """Vdd of 3, vdaa of 26: as the kernel counts."""
    letters = ""
    while number >= 0:
        number, letter = divmod(number, 26)
        letters = chr(ord("a") + letter) + letters
        number -= 1
    return f"vd{letters}"


def _disk(disk: DiskSpec, target: str, guest: GuestSpec) -> Any:
    """A disk that the guest writes to.

    io=native needs O_DIRECT, so cache=none; discard=unmap gives freed blocks back to the NVMe; the guest's one iothread does
    the work; under KVM a queue per vCPU [formatdomain, Nova]. Of a device the guest sees the part before our claim.
    """
    queues = {"queues": str(guest.vcpus)} if guest.virtualization == "kvm" else {}
    driver = _element(
        "driver", name="qemu", type=disk.format, cache="none", io=disk.io, discard="unmap", iothread="1", **queues
    )
    source = _element("source", **{"dev" if disk.block else "file": disk.path})
    if disk.size_mib:
        piece = _element("slice", type="storage", offset="0", size=str(disk.size_mib * MIB))
        source.append(_element("slices", None, piece))
    return _element(
        "disk", None,
        driver,
        source,
        _element("target", dev=target, bus="virtio"),
        _element("serial", disk.serial),
        type="block" if disk.block else "file", device="disk",
    )  # fmt: skip


def _readonly_disk(path: str, device: str, *, shared: bool = False) -> Any:
    # virtio, not a SATA CD-ROM: Debian's cloud kernel has no AHCI driver and would never see the seed.
    disk = _element(
        "disk", None,
        _element("driver", name="qemu", type="raw"),
        _element("source", file=path),
        _element("target", dev=device, bus="virtio"),
        _element("readonly"),
        type="file", device="disk",
    )  # fmt: skip
    if shared:
        disk.append(_element("shareable"))
    return disk


def _interface(guest: GuestSpec) -> Any:
    # No name: libvirt takes vhost-net then where the kernel has it (MC154), and refuses to start the guest where only a name asks for it.
    driver = [_element("driver", queues=str(guest.vcpus))] if guest.virtualization == "kvm" else []
    return _element(
        "interface", None,
        _element("mac", address=guest.mac),
        _element("source", network=guest.network),
        _element("model", type="virtio"),
        *driver,
        _element("mtu", size=str(guest.mtu)),
        type="network",
    )  # fmt: skip


def probe_xml(name: str) -> str:
    """A throw-away domain without disks: whether it runs is the only honest answer to «does KVM work here?»."""
    return _text(
        _element(
            "domain", None,
            _element("name", name),
            _element("memory", "64", unit="MiB"),
            _element("vcpu", "1"),
            _element("os", None, _element("type", "hvm", arch="x86_64", machine="q35")),
            _element("features", None, _element("acpi")),
            _element("cpu", mode="host-passthrough", migratable="off"),
            _element("devices", None, _element("controller", type="usb", model="none"), _element("memballoon", model="none")),
            type="kvm",
        )
    )  # fmt: skip
