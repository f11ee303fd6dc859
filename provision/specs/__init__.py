"""What should exist on a host, as frozen values with a digest, and how it is marked as ours. Pure.

To live here a line is part of a specification (a guest, a volume, a network) or of its stamp; it neither reads an
inventory nor looks at a host.
"""

from provision.specs.artifact_names import (
    complete_copy,
    copy_name,
    incomplete_copies,
    is_artifact,
    is_bundle,
    is_copy,
    mark_name,
    marked_copy,
    upload_of,
)
from provision.specs.objects import (
    Artifact,
    CpuSpec,
    Desired,
    DiskSpec,
    GroupSpec,
    GuestSpec,
    HostTraits,
    Member,
    MemorySpec,
    NetworkSpec,
    PoolSpec,
    SeedSpec,
    VolumeSpec,
    base_image,
    bundle_disk,
    digest,
    domain_name,
)
from provision.specs.owner import OLD, Owner, new_id
from provision.specs.stamp import STAMP_URI, Stamp, Upkeep, read_stamp, stamp_element, stamp_text, with_pins
from provision.specs.volume_names import (
    owned_stem,
    owned_volume,
    stamped_stem,
    stem,
    volume_name,
)

__all__ = [
    "OLD",
    "STAMP_URI",
    "Artifact",
    "CpuSpec",
    "Desired",
    "DiskSpec",
    "GroupSpec",
    "GuestSpec",
    "HostTraits",
    "Member",
    "MemorySpec",
    "NetworkSpec",
    "Owner",
    "PoolSpec",
    "SeedSpec",
    "Stamp",
    "Upkeep",
    "VolumeSpec",
    "base_image",
    "bundle_disk",
    "complete_copy",
    "copy_name",
    "digest",
    "domain_name",
    "incomplete_copies",
    "is_artifact",
    "is_bundle",
    "is_copy",
    "mark_name",
    "marked_copy",
    "new_id",
    "owned_stem",
    "owned_volume",
    "read_stamp",
    "stamp_element",
    "stamp_text",
    "stamped_stem",
    "stem",
    "upload_of",
    "volume_name",
    "with_pins",
]
