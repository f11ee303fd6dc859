"""Where guests' disks live: pools and volumes as an inventory says them, and the block devices below, traced and judged. Pure."""

from provision.storage.wanted import Pool, Storage, Volume

__all__ = ["Pool", "Storage", "Volume"]
