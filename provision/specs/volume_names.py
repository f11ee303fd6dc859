"""Names of volumes. They end in a mark, eight hex digits of a uuid5 over what the volume is: volumes carry no metadata, so the
mark in the name is their stamp.
"""

from __future__ import annotations

import re

from provision.specs.objects import object_uuid


def mark(cluster: str, node: str, kind: str) -> str:
    """The stamp in a volume's name."""
    return object_uuid(cluster, "volume", kind, node)[:8]


def stem(cluster: str, node: str, kind: str) -> str:
    """`lab.cp1.root.1a2b3c4d`; `kind` may carry more behind a hyphen (seed-0123456789ab, data-tracing)."""
    return f"{cluster}.{node}.{kind}.{mark(cluster, node, kind.partition('-')[0])}"


def volume_name(cluster: str, node: str, kind: str, suffix: str) -> str:
    """`lab.cp1.root.1a2b3c4d.qcow2`: the stem as a file of a pool."""
    return f"{stem(cluster, node, kind)}.{suffix}"


def volume_owner(name: str) -> tuple[str, str, str] | None:
    """Cluster, node and kind of a file that carries our stamp, None for any other. Logs that were turned over do, too."""
    return stem_owner(re.sub(r"\.log\.\d+$", ".log", name).rpartition(".")[0])


def stem_owner(name: str) -> tuple[str, str, str] | None:
    """The same for a logical volume or a device's claim, whose names have no suffix."""
    parts = name.split(".")
    if len(parts) != 4:
        return None
    cluster, node, kind, found = parts
    kind = kind.partition("-")[0]
    return (cluster, node, kind) if found == mark(cluster, node, kind) else None


def artifact_volume(name: str) -> bool:
    """Whether a volume is a base image or a bundle that meshctl put there."""
    parts = name.split(".")
    return len(parts) >= 4 and parts[0] == "meshctl" and len(parts[-2]) == 12
