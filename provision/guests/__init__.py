"""Guests from the inside: their first boot, their host keys, and SSH, the only door to them.

To live here a line is about one guest's operating system; Kubernetes on it is `kubernetes`. `ssh` is the one file of the
house that imports paramiko.
"""

from provision.guests.boot import Boot, first_boot_over, observe_boot
from provision.guests.hostkey import new_host_key
from provision.guests.keys import Ask, Identity, identity, nobody, public_key
from provision.guests.seed import seed_digest
from provision.guests.sessions import THROUGH_JUMP, Sessions, proxy, target
from provision.guests.settings import set_sysctl
from provision.guests.ssh import HostKeyMismatch, KeyRefused, Ssh, Target

__all__ = [
    "THROUGH_JUMP",
    "Ask",
    "Boot",
    "HostKeyMismatch",
    "Identity",
    "KeyRefused",
    "Sessions",
    "Ssh",
    "Target",
    "first_boot_over",
    "identity",
    "new_host_key",
    "nobody",
    "observe_boot",
    "proxy",
    "public_key",
    "seed_digest",
    "set_sysctl",
    "target",
]
