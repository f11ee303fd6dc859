"""Guests from the inside: their first boot, their host keys, and SSH, the only door to them.

To live here a line is about one guest's operating system; Kubernetes on it is `kubernetes`. `ssh` is the one file of the
house that imports paramiko.
"""

from provision.guests.boot import Boot, observe_boot
from provision.guests.hostkey import new_host_key
from provision.guests.seed import seed_digest
from provision.guests.sessions import Sessions, proxy, public_key, target
from provision.guests.ssh import HostKeyMismatch, Ssh, Target

__all__ = [
    "Boot",
    "HostKeyMismatch",
    "Sessions",
    "Ssh",
    "Target",
    "new_host_key",
    "observe_boot",
    "proxy",
    "public_key",
    "seed_digest",
    "target",
]
