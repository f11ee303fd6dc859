"""Whether the devices below a pool are what the inventory requires, and why not. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from provision.storage.devices import Device, chain, physical
from provision.storage.wanted import Require


def fault(device: Device, require: Require) -> str:
    """Why a physical device is not what is required, "" when it is."""
    if require == "any":
        return ""
    if device.type == "loop":
        return "a loop device: a file that plays a disk"
    if device.type not in ("disk", "mpath"):
        return f"of type {device.type or 'unknown'}, not a disk"
    if device.rotational:
        return f"{_kind(device)}, rotational"
    if require == "nvme" and not _nvme(device):
        return f"{_kind(device)}, not an NVMe"
    return ""


def _nvme(device: Device) -> bool:
    # A namespace of a multipath controller has no transport of its own in lsblk; its kernel name tells.
    return device.transport == "nvme" or (not device.transport and device.name.startswith("nvme"))


def _kind(device: Device) -> str:
    names = {"sata": "a SATA disk", "sas": "a SAS disk", "usb": "a USB disk", "nvme": "an NVMe", "ata": "an ATA disk"}
    if device.transport:
        return names.get(device.transport, f"a {device.transport} disk")
    return "a virtio disk" if device.name.startswith("vd") else "a disk of unknown transport"


def faults(devices: Mapping[str, Device], name: str, require: Require) -> tuple[str, ...]:
    """What is wrong below a device, one text for each physical device that is not what is required.

    All members of an md or a volume group are judged: one slow member makes all of it slow.
    """
    below = [(device, fault(device, require)) for device in physical(devices, name)]
    return tuple(f"{_way(devices, name, device)}, {why}" for device, why in below if why)


def _way(devices: Mapping[str, Device], name: str, device: Device) -> str:
    return device.path if device.name == name else f"{device.path}, below {chain(devices, name)}"
