"""Pools, data volumes and what their devices must be: what an inventory may say of storage."""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from provision.base.scalars import Name, Size
from provision.base.strict import FieldFault, Strict
from provision.base.units import MIB
from provision.storage.folders import check_mount, check_pool_folder

Require = Literal["nvme", "ssd", "any"]
DevicePath = Annotated[str, Field(pattern=r"^/dev/[A-Za-z0-9_.:+@/-]+$")]
VolumeGroup = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+][A-Za-z0-9_+.-]{0,62}$")]
"""LVM's own rule for names (lvm(8), VALID NAMES); half of device-mapper's 127 characters is left to the volume."""

SMALLEST_VOLUME = 64 * MIB
"""A data volume below that is a slip of the unit: ext4's own structures would be a good part of it."""

LONGEST_NAME = 15
"""virtio's serial numbers have 20 bytes (virtio specification, 5.2.6: VIRTIO_BLK_T_GET_ID); `data-` takes five."""


NO_DISKS = tuple(
    f"/dev/{name}" for name in ("console", "full", "kmsg", "mem", "null", "ptmx", "random", "tty", "urandom", "zero")
)
"""Character devices that every Linux has (Documentation/admin-guide/devices.txt)."""


class Pool(Strict):
    """Where a host keeps its guests' disks.

    Base images, seeds and the bundle are files in the folder `path` whatever the type; root and data volumes are files
    there too (`dir`), logical volumes (`logical`), or whole block devices (`block`).
    """

    name: Name = Field(
        "meshctl", description="the pool's name in libvirt; created when absent, used when type and path are the same"
    )
    type: Literal["dir", "logical", "block"] = Field(
        "dir",
        description="dir: files on an NVMe's filesystem; logical: LVM volumes; block: whole devices, one per volume",
    )
    path: str = Field("/var/lib/libvirt/meshctl", description="the folder, an absolute path on the host")
    volume_group: VolumeGroup | None = Field(
        None, description="logical only: the LVM volume group; made of `devices` when it does not exist"
    )
    thin: bool = Field(False, description="logical only: thin volumes, which take space when it is written to")
    devices: tuple[DevicePath, ...] = Field(
        (),
        strict=False,
        description="block: partitions or namespaces to hand out, in this order; logical: what to make the volume group of",
    )
    numa_node: Annotated[int, Field(ge=0, le=1023)] | None = Field(
        None, description="the NUMA node of the pool's device; placement prefers it; default: unknown"
    )

    @field_validator("path")
    @classmethod
    def _absolute(cls, value: str) -> str:
        check_pool_folder(value)
        return value

    @field_validator("devices")
    @classmethod
    def _devices(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for index, device in enumerate(value):
            if posixpath.normpath(device) != device or device in NO_DISKS:
                raise FieldFault(f"{device} is not a block device\nlsblk --paths lists them", index)
        twice = [index for index, device in enumerate(value) if device in value[:index]]
        if twice:
            raise FieldFault(f"{value[twice[0]]} stands there twice\nkeep one of the two", twice[0])
        return value

    @model_validator(mode="after")
    def _fields_of_type(self) -> Self:
        faults = {**self._missing(), **self._misplaced()}
        if faults:
            field = next((field for field in faults if field in self.model_fields_set), "type")
            raise FieldFault("; ".join(faults.values()) + "\nsee docs/storage.md for the three types", field)
        return self

    def _missing(self) -> dict[str, str]:
        if self.type == "logical" and self.volume_group is None:
            return {"type": "type logical needs `volume_group`"}
        return {"type": "type block needs `devices`"} if self.type == "block" and not self.devices else {}

    def _misplaced(self) -> dict[str, str]:
        given = {
            "volume_group": self.volume_group is not None and self.type != "logical",
            "thin": self.thin and self.type != "logical",
            "devices": bool(self.devices) and self.type == "dir",
        }
        return {field: f"`{field}` means nothing for type {self.type}" for field, wrong in given.items() if wrong}


class Storage(Strict):
    """What the devices below the pools must be, and which of them may lose what they hold."""

    require: Require = Field(
        "nvme", description="nvme: every device below a pool is an NVMe; ssd: none of them rotates; any: not judged"
    )
    io: Literal["native", "io_uring"] = Field(
        "native", description="how QEMU writes: native (Linux AIO), or io_uring (libvirt 6.3 and QEMU 5.0 or newer)"
    )
    wipe: tuple[str, ...] = Field(
        (),
        strict=False,
        description="serial numbers of devices that may be wiped when the command also says `--wipe`",
    )

    @field_validator("wipe")
    @classmethod
    def _serials(cls, wipe: tuple[str, ...]) -> tuple[str, ...]:
        for serial in wipe:
            if not serial.strip() or re.search(r"[/*?]", serial):
                raise ValueError(
                    f"{serial!r} is no serial number\n`lsblk --nodeps -o NAME,SERIAL` shows them; each by itself"
                )
        return wipe


class Volume(Strict):
    """A data volume of a node: a disk of its own, formatted once, mounted at every boot."""

    name: Name = Field(
        description="the volume's name, at most 15 characters: part of the disk's serial number in the guest"
    )
    size: Size = Field(description="its size; a larger one is grown live, a smaller one refused")
    mount: str = Field(description="where the guest mounts it, an absolute path")
    filesystem: Literal["ext4"] = Field("ext4", description="made when the volume is blank, never over another")

    @field_validator("name")
    @classmethod
    def _short(cls, value: str) -> str:
        if len(value) > LONGEST_NAME:
            raise ValueError(
                f"{value} has {len(value)} characters\na disk's serial number takes {LONGEST_NAME} of them"
            )
        return value

    @field_validator("size")
    @classmethod
    def _whole(cls, value: int) -> int:
        if value < SMALLEST_VOLUME or value % MIB:
            raise ValueError(f"{value // MIB} MiB is too small, or not whole MiB\n64MiB at the least")
        return value

    @field_validator("mount")
    @classmethod
    def _mountable(cls, value: str) -> str:
        check_mount(value)
        if re.fullmatch(r"[A-Za-z0-9_./-]+", value) is None:
            raise ValueError(f"{value!r} is not a place to mount at\nletters, digits and _ . - between the slashes")
        return value
