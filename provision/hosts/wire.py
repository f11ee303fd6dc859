"""Which addresses are somebody's already, by a host's own neighbour table and routes. Reads only; needs the host's shell."""

from __future__ import annotations

import json
from collections.abc import Iterable

from provision.base.shell import Shell

ASK = r"""
bridge=$1; shift
ip link show dev "$bridge" > /dev/null 2>&1 || exit 0
for address; do
    case $(ip -o route get "$address" 2> /dev/null) in
        *"dev $bridge "*) echo -n x > "/dev/udp/$address/9" ;;
    esac
done
for _ in 1 2 3 4 5 6 7 8 9 10; do
    told=$(ip neigh show dev "$bridge")
    case $told in *INCOMPLETE*) sleep 0.1 ;; *) break ;; esac
done
echo "$told"
"""
"""A datagram to the discard port (RFC 863) makes the kernel ask by ARP, which a machine answers that drops pings too; only where the way
to the address leads over the bridge itself. Bash's own /dev/udp, since not every host has ping. Who is there answers within milliseconds:
after a second without an answer nobody is.
"""

ANSWERED = ("REACHABLE", "STALE", "DELAY", "PROBE", "PERMANENT", "NOARP")
"""States of a neighbour that has a hardware address (ip-neighbour(8)); FAILED and INCOMPLETE have none."""


def in_use(shell: Shell, bridge: str, addresses: Iterable[str]) -> dict[str, str]:
    """By address, the hardware address that answered for it: only those of `addresses` that somebody has. Raises ShellError."""
    asked = tuple(addresses)
    if not asked:
        return {}
    told = shell.read(["bash", "-c", ASK, "meshctl", bridge, *asked], within_s=15.0).stdout
    return {address: mac for address, mac in _neighbours(told) if address in asked}


def _neighbours(told: str) -> Iterable[tuple[str, str]]:
    """`10.77.0.11 lladdr 52:54:00:12:34:56 REACHABLE` as address and hardware address."""
    for line in told.splitlines():
        words = line.split()
        if "lladdr" in words and words[-1] in ANSWERED:
            yield words[0], words[words.index("lladdr") + 1]


def routed(shell: Shell) -> tuple[str, ...]:
    """The ranges that a host has a way to, its default route apart. Raises ShellError."""
    told = shell.read(["ip", "-j", "-4", "route", "show"], within_s=15.0).stdout
    found = [str(route.get("dst", "default")) for route in json.loads(told or "[]")]
    return tuple(one for one in found if one != "default")
