"""What should exist on a host, as frozen values with a digest, and how it is marked as ours. Pure.

To live here a line is part of a specification (a guest, a volume, a network) or of its stamp; it neither reads an
inventory nor looks at a host.
"""

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
from provision.specs.stamp import Stamp, read_stamp, stamp_element, stamp_of, with_pins
from provision.specs.volume_names import artifact_volume, stem, stem_owner, volume_name, volume_owner

__all__ = [
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
    "PoolSpec",
    "SeedSpec",
    "Stamp",
    "VolumeSpec",
    "artifact_volume",
    "base_image",
    "bundle_disk",
    "digest",
    "domain_name",
    "read_stamp",
    "stamp_element",
    "stamp_of",
    "stem",
    "stem_owner",
    "volume_name",
    "volume_owner",
    "with_pins",
]
