"""Storage: the filesystem below the pool, its disks, LVM's thin pools, and who may pass the folders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from provision.doctor.facts import Disk, Folder, StorageFacts, ThinPool

THIN_POOL = "t"
"""The first letter of lv_attr of a thin pool (man lvs)."""


def read_storage(sections: Mapping[str, str]) -> StorageFacts:
    """The pool's filesystem and what it lies on."""
    # Source and target may hold spaces; the five between them do not.
    words = (sections.get("df", "").splitlines() or [""])[-1].split()
    numbers = [_int(word) for word in words[2:6]] if len(words) >= 7 else [None, None, None, None]
    device = words[0] if words else ""
    return StorageFacts(
        device=device,
        filesystem=words[1] if len(words) >= 7 else "",
        size=numbers[0],
        available=numbers[1],
        inodes=numbers[2] or 0,
        inodes_free=numbers[3] or 0,
        options=frozenset(sections.get("pool_options", "").split(",")) - {""},
        parents=tuple(_parents(sections.get("parents", ""))),
        disks=tuple(_disks(sections.get("lsblk", ""), _cells(sections.get("disk_cells", "")))),
        thin_pools=tuple(_thin_pools(sections.get("lvs", ""))),
        fstrim_enabled={"enabled": True, "disabled": False, "static": False}.get(sections.get("fstrim", "").strip()),
        selinux_enforcing=sections.get("selinux", "").strip() == "1",
        label=sections.get("pool_label", "").strip(),
    )


def _int(word: str) -> int | None:
    return int(word) if word.isdigit() else None


def _parents(text: str) -> Iterator[Folder]:
    for line in text.splitlines():
        mode, uid, gid, path = line.split(" ", 3)
        yield Folder(path, int(mode, 8), int(uid), int(gid))


def _disks(text: str, cells: Mapping[str, int]) -> Iterator[Disk]:
    """The disks at the top of lsblk's trees: what is built on a disk hangs under it."""
    for root in json.loads(text)["blockdevices"] if text else ():
        name = str(root.get("kname") or root["name"])
        yield Disk(
            name=name,
            rotational=bool(root.get("rota")),
            scheduler=str(root.get("sched") or ""),
            discard_max=int(root.get("disc-max") or 0),
            cell=cells.get(name),
        )


_CELL = re.compile(r"/sys/block/([^/]+)/device/(?:device/)?numa_node:([0-9]+)")


def _cells(text: str) -> dict[str, int]:
    """NUMA nodes by disk, of those that know one (-1 stands for none)."""
    return {match[1]: int(match[2]) for line in text.splitlines() if (match := _CELL.fullmatch(line))}


def _thin_pools(text: str) -> Iterator[ThinPool]:
    for report in json.loads(text)["report"] if text else ():
        for lv in report.get("lv", ()):
            if str(lv["lv_attr"]).startswith(THIN_POOL):
                name = f"{lv['vg_name']}/{lv['lv_name']}"
                yield ThinPool(name, float(lv["data_percent"] or 0), float(lv["metadata_percent"] or 0))
