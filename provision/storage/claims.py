"""How devices and logical volumes say whose they are: a text in the device's last MiB, a tag on the volume. Pure.

The name of a volume (`lab.w1.root.0a1b2c3d`) ends in a mark that only its cluster and node give, so it is the stamp. A device
also has to hold that name somewhere: in its last whole MiB, which the guest never sees (`usable_mib`). Both say too
whether the volume is ready: one that was being filled when somebody pulled the plug must not pass for a root volume.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from provision.base.units import MIB

READY_TAG = "meshctl.ready"
"""LVM tag of a logical volume that holds all it should."""

OWN_TAG = "meshctl"
"""LVM tag of a volume group or a thin pool that meshctl made."""

THIN_POOL = "meshctl-thin"
"""The thin pool of a volume group."""

_HEAD = "meshctl 1"


@dataclass(frozen=True)
class Claim:
    """Whose a device or a logical volume is: the volume's name; `ready`: it holds all it should."""

    name: str
    ready: bool


def claim_text(claim: Claim) -> str:
    """What is written into a device."""
    return f"{_HEAD} {'ready' if claim.ready else 'filling'} {claim.name}"


def parse_claim(text: str) -> Claim | None:
    """The claim in a device's last MiB, None when there is something else."""
    head, _, rest = text.rpartition(" ")
    if head not in (f"{_HEAD} ready", f"{_HEAD} filling") or not rest:
        return None
    return Claim(rest, head.endswith("ready"))


def claim_of_tags(name: str, tags: Iterable[str]) -> Claim:
    """The claim of a logical volume."""
    return Claim(name, READY_TAG in tags)


def usable_mib(size_bytes: int) -> int:
    """What a guest gets of a device, in MiB: all but the last whole MiB, which holds the claim."""
    return max(0, size_bytes // MIB - 1)
