"""Block devices as `lsblk --json` tells of them, and the physical ones below a device, a folder or a volume group.

lsblk nests what lies on a device below it: partitions, dm-crypt, LVM and md on their members (lsblk(8)). A device with
several parents stands below each of them, so a tree is a graph: all parents are followed, none is trusted to be alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

COLUMNS = "NAME,KNAME,PATH,TYPE,TRAN,ROTA,SERIAL,WWN,MODEL,SIZE,FSTYPE,UUID,LABEL,MOUNTPOINTS,MAJ:MIN"
"""What is asked of lsblk of util-linux 2.37 or later, which has MOUNTPOINTS."""


@dataclass(frozen=True)
class Device:
    """A block device. `name` is the kernel's; `parents` are the names of those it lies on; `size` is in bytes.

    `transport` is lsblk's TRAN (nvme, sata, sas, usb, …), "" where the kernel says none: virtio disks have none. `uuid` and `label`
    are those of its filesystem: all members of one have the same, and ZFS's label is the pool's name. `fabric` is how an NVMe's
    controller is reached (pcie, tcp, rdma, fc, loop), "" where the kernel does not say.
    """

    name: str
    path: str
    type: str
    transport: str
    rotational: bool
    serial: str
    size: int
    number: str
    filesystem: str = ""
    mounts: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    uuid: str = ""
    label: str = ""
    model: str = ""
    fabric: str = ""


def parse_lsblk(text: str) -> dict[str, Device]:
    """Every device of `lsblk --json --bytes --output COLUMNS`, by kernel name."""
    devices: dict[str, Device] = {}
    for entry in json.loads(text).get("blockdevices", ()):
        _gather(entry, (), devices)
    return devices


def _gather(entry: Mapping[str, Any], parents: tuple[str, ...], devices: dict[str, Device]) -> None:
    device = _device(entry)
    known = devices.get(device.name, device)
    devices[device.name] = replace(known, parents=tuple(dict.fromkeys((*known.parents, *parents))))
    for child in entry.get("children", ()):
        _gather(child, (device.name,), devices)


def _device(entry: Mapping[str, Any]) -> Device:
    name = str(entry.get("kname") or entry["name"])
    return Device(
        name=name,
        path=str(entry.get("path") or f"/dev/{name}"),
        type=str(entry.get("type") or ""),
        transport=str(entry.get("tran") or ""),
        rotational=entry.get("rota") in (True, "1"),
        serial=str(entry.get("serial") or entry.get("wwn") or "").strip(),
        size=int(entry.get("size") or 0),
        number=str(entry.get("maj:min") or "").strip(),
        filesystem=str(entry.get("fstype") or ""),
        mounts=tuple(filter(None, entry.get("mountpoints") or [entry.get("mountpoint")])),
        uuid=str(entry.get("uuid") or ""),
        label=str(entry.get("label") or ""),
        model=str(entry.get("model") or "").strip(),
    )


def with_fabrics(devices: Mapping[str, Device], said: str) -> dict[str, Device]:
    """The devices, NVMe namespaces with how their controllers are reached.

    `said` has lines `/sys/block/NAME/device/transport:tcp`, behind a shared namespace one `…/device/nvmeN/transport` for each path.
    """
    fabrics: dict[str, set[str]] = {}
    for line in said.splitlines():
        path, _, transport = line.partition(":")
        fabrics.setdefault(path.split("/")[3] if path.startswith("/sys/block/") else "", set()).add(transport.strip())
    return {
        name: replace(device, fabric=" and ".join(sorted(fabrics[name] - {"pcie"})) or "pcie")
        if name in fabrics
        else device
        for name, device in devices.items()
    }


def physical(devices: Mapping[str, Device], name: str) -> tuple[Device, ...]:
    """The devices at the bottom below `name`, itself when it lies on nothing; by name, each once."""
    parents = devices[name].parents
    if not parents:
        return (devices[name],)
    found = {device.name: device for parent in parents for device in physical(devices, parent)}
    return tuple(found[key] for key in sorted(found))


def above(devices: Mapping[str, Device], name: str) -> Iterator[Device]:
    """Everything that lies on a device: its partitions, what is on these, and so on."""
    for device in devices.values():
        if name in device.parents:
            yield device
            yield from above(devices, device.name)


def chain(devices: Mapping[str, Device], name: str) -> str:
    """`/dev/mapper/vg-root (lvm) on /dev/nvme0n1p2 (part) on /dev/nvme0n1 (disk)`; several members in brackets."""
    device = devices[name]
    here = f"{device.path} ({device.type or 'device'})"
    below = [chain(devices, parent) for parent in device.parents]
    if not below:
        return here
    return f"{here} on {below[0]}" if len(below) == 1 else f"{here} on [{'; '.join(below)}]"
