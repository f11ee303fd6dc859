"""Whether the devices below a pool are what the inventory requires, and why not. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from provision.storage.devices import Device, chain, physical
from provision.storage.wanted import Require


def fault(device: Device, require: Require) -> str:
    """Why a physical device is not what is required, "" when it is."""
    if require == "any":
        return ""
    if device.type == "loop":
        return "a loop device: a file that plays a disk"
    if no_disk := next((what for name, what in _NO_DISKS if re.fullmatch(name, device.name)), ""):
        return no_disk
    if device.type not in ("disk", "mpath"):
        return f"of type {device.type or 'unknown'}, not a disk"
    if remote := _remote(device):
        return remote
    if device.rotational:
        return f"{_kind(device)}, rotational"
    if require == "nvme" and not _nvme(device):
        return f"{_kind(device)}, not an NVMe"
    return ""


_NO_DISKS = (
    (r"zd\d+", "a ZFS volume (zvol), through which its pool's disks are not seen"),
    (r"zram\d+", "compressed memory (zram), which is gone at a reboot"),
    (r"ram\d+", "memory (a RAM disk), which is gone at a reboot"),
    (r"nullb\d+", "a null device, which keeps nothing"),
    (r"nbd\d+", "a network block device (NBD)"),
    (r"rbd\d+", "a Ceph block device (RBD), over a network"),
    (r"drbd\d+", "a replicated device (DRBD), which writes over a network"),
    (r"etherd.+", "a disk over Ethernet (AoE), a network"),
    (r"ublkb\d+", "a device that a program serves (ublk)"),
)
"""Names that the kernel's drivers give (Documentation/admin-guide/devices.txt): lsblk calls all of them disks that do not rotate."""

_NETWORKS = {"iscsi": "iSCSI", "fc": "Fibre Channel", "fcoe": "Fibre Channel over Ethernet"}

_CLOUD_VOLUMES = ("Amazon Elastic Block Store", "nvme_card-pd", "MSFT NVMe Accelerator")
"""Models of NVMe namespaces that are a cloud's network volumes: AWS's, Google's, Azure's. Their local disks have other models."""


def _remote(device: Device) -> str:
    """What a disk is that is reached over a network, "" for a local one."""
    if device.transport in _NETWORKS:
        return f"a disk over {_NETWORKS[device.transport]}, a network"
    if device.fabric not in ("", "pcie"):
        return f"an NVMe over {device.fabric}, {'a loop' if device.fabric == 'loop' else 'a network'}"
    if device.model.startswith(_CLOUD_VOLUMES):
        return f"a cloud's network volume ({device.model}) that looks like an NVMe"
    return ""


def _nvme(device: Device) -> bool:
    # A namespace of a multipath controller has no transport of its own in lsblk; its kernel name tells.
    return device.transport == "nvme" or (not device.transport and device.name.startswith("nvme"))


_TRANSPORTS = {"sata": "a SATA disk", "sas": "a SAS disk", "usb": "a USB disk", "nvme": "an NVMe", "ata": "an ATA disk"}
_DRIVERS = (
    ("vd", "a virtio disk"),
    ("xvd", "a Xen disk"),
    ("pmem", "persistent memory"),
    ("mmcblk", "an SD card or eMMC"),
    ("dasd", "a DASD"),
)


def _kind(device: Device) -> str:
    by_driver = next((what for name, what in _DRIVERS if device.name.startswith(name)), "")
    if by_driver or not device.transport:
        return by_driver or "a disk of unknown transport"
    return _TRANSPORTS.get(device.transport, f"a {device.transport} disk")


def faults(devices: Mapping[str, Device], name: str, require: Require) -> tuple[str, ...]:
    """What is wrong below a device, one text for each physical device that is not what is required.

    All members of an md or a volume group are judged: one slow member makes all of it slow.
    """
    below = [(device, fault(device, require)) for device in physical(devices, name)]
    return tuple(f"{_way(devices, name, device)}, {why}" for device, why in below if why)


def _way(devices: Mapping[str, Device], name: str, device: Device) -> str:
    return device.path if device.name == name else f"{device.path}, below {chain(devices, name)}"
