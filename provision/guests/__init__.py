"""Guests from the inside: their first boot, their host keys, and SSH, the only door to them.

To live here a line is about one guest's operating system; Kubernetes on it is `kubernetes`. `ssh` is the one file of the
house that imports paramiko.
"""

from provision.guests.boot import Boot, first_boot_over, observe_boot
from provision.guests.cloning import READY, forget_guest, leave
from provision.guests.disks import Behind, disk_sizes, grow_filesystem
from provision.guests.hostkey import new_host_key
from provision.guests.keys import Ask, Identity, identity, nobody, public_key
from provision.guests.logins import Login, add_login, finish_logins, remove_login
from provision.guests.seed import seed_digest
from provision.guests.sessions import THROUGH_JUMP, OldLogin, Sessions, proxy, target
from provision.guests.settings import set_sysctl
from provision.guests.ssh import REFUSED, HostKeyMismatch, KeyRefused, Ssh, Target

__all__ = [
    "READY",
    "REFUSED",
    "THROUGH_JUMP",
    "Ask",
    "Behind",
    "Boot",
    "HostKeyMismatch",
    "Identity",
    "KeyRefused",
    "Login",
    "OldLogin",
    "Sessions",
    "Ssh",
    "Target",
    "add_login",
    "disk_sizes",
    "finish_logins",
    "first_boot_over",
    "forget_guest",
    "grow_filesystem",
    "identity",
    "leave",
    "new_host_key",
    "nobody",
    "observe_boot",
    "proxy",
    "public_key",
    "remove_login",
    "seed_digest",
    "set_sysctl",
    "target",
]
