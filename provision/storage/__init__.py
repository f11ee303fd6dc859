"""Where guests' disks live: pools and volumes as an inventory says them, and the block devices below, traced and judged. Pure.

To live here a line decides something about disks from facts that somebody else has read; what touches a disk is `hosts`.
"""

from provision.storage.allot import Allotment, Device, Wish, allot, claims, file_faults
from provision.storage.check import Fault, needs_look, pool_faults
from provision.storage.claims import OWN_TAG, READY_TAG, THIN_POOL, Claim, claim_of_tags, claim_text
from provision.storage.devices import physical
from provision.storage.guard import Obstacle, Wiping
from provision.storage.seen import StorageSeen
from provision.storage.state_volume import BOUND, KEPT, STATE_KIND, STATE_MOUNT, STATE_UNITS, STATE_VOLUME_SIZE
from provision.storage.wanted import Pool, Storage, Volume

__all__ = [
    "BOUND",
    "KEPT",
    "OWN_TAG",
    "READY_TAG",
    "STATE_KIND",
    "STATE_MOUNT",
    "STATE_UNITS",
    "STATE_VOLUME_SIZE",
    "THIN_POOL",
    "Allotment",
    "Claim",
    "Device",
    "Fault",
    "Obstacle",
    "Pool",
    "Storage",
    "StorageSeen",
    "Volume",
    "Wiping",
    "Wish",
    "allot",
    "claim_of_tags",
    "claim_text",
    "claims",
    "file_faults",
    "needs_look",
    "physical",
    "pool_faults",
]
