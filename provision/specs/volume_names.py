"""Names of volumes. They end in a mark, eight hex digits of a uuid5 over whose and what the volume is: volumes carry no metadata, so
the mark in the name is their stamp.
"""

from __future__ import annotations

import re

from provision.specs.objects import object_uuid
from provision.specs.owner import Owner

STAMPED = re.compile(r"[^.]+\.[^.]+\.[^.]+\.[0-9a-f]{8}")
SUFFIX = re.compile(r"[^.]+|log\.[0-9]+")
"""Of a file of a pool: its format, or that of a console log that virtlogd has put aside (virtlogd.conf, max_backups)."""


def mark(owner: Owner, node: str, kind: str) -> str:
    """The stamp in a volume's name."""
    return object_uuid(owner.key, "volume", kind, node)[:8]


def stem(owner: Owner, node: str, kind: str) -> str:
    """`lab.cp1.root.1a2b3c4d`; `kind` may carry more behind a hyphen (seed-0123456789ab, data-tracing)."""
    return f"{owner.cluster}.{node}.{kind}.{mark(owner, node, kind.partition('-')[0])}"


def volume_name(owner: Owner, node: str, kind: str, suffix: str) -> str:
    """`lab.cp1.root.1a2b3c4d.qcow2`: the stem as a file of a pool."""
    return f"{stem(owner, node, kind)}.{suffix}"


def owned_volume(owner: Owner, name: str) -> tuple[str, str] | None:
    """Node and kind of a file that carries this owner's stamp, None for any other."""
    found = _stem_of_file(name)
    return None if found is None else owned_stem(owner, found)


def owned_stem(owner: Owner, name: str) -> tuple[str, str] | None:
    """The same for a logical volume or a device's claim, whose names have no suffix."""
    if not stamped_stem(name):
        return None
    cluster, node, kind, found = name.split(".")
    kind = kind.partition("-")[0]
    return (node, kind) if cluster == owner.cluster and found == mark(owner, node, kind) else None


def stamped_stem(name: str) -> bool:
    """Whether something is named as the volumes of some cluster are. Whose mark it is can be told by its owner only."""
    return STAMPED.fullmatch(name) is not None


def _stem_of_file(name: str) -> str | None:
    parts = name.split(".", 4)
    found = ".".join(parts[:4])
    return found if len(parts) == 5 and SUFFIX.fullmatch(parts[4]) and stamped_stem(found) else None
