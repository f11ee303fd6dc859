"""The firewall of a node: one table of nftables that is ours, and the unit that loads it at each boot (ADR 0038). Pure.

It only closes: what it does not name goes on to whoever has rules of his own, Docker and kube-proxy in the first place. On emulated
guests it also has those wait who would come to the API server all at once (ADR 0044).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import netaddr

from provision.guests.ports import API, Port, Who, numbers

RULES = "/etc/meshctl/firewall.nft"
RECORD = "/run/meshctl-firewall"
"""What the kernel made of the rules, and the file that they came from, each as sha256sum prints it: shows a rule changed by hand."""

UNIT_NAME = "meshctl-firewall.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT_NAME}"
PROGRAM = "/usr/sbin/nft"
TABLE = "inet meshctl"

LOOK = f"{{ {PROGRAM} list table {TABLE} 2>/dev/null | sha256sum; sha256sum {RULES} 2>/dev/null; }}"
"""A shell's words for what stands in RECORD, as it is now. A table that is not there is an empty one."""

UNIT = f"""\
[Unit]
Description=meshctl: ports of this node closed to strangers
ConditionPathExists={RULES}
ConditionPathExists={PROGRAM}
DefaultDependencies=no
After=local-fs.target
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c '{PROGRAM} --file {RULES} && {LOOK} > {RECORD}'

[Install]
WantedBy=multi-user.target
"""
"""Before the network is up, as Debian's own nftables.service. It has no ExecStop: who stops it by mistake opens nothing."""

NEW_PER_S, NEW_AT_ONCE = 1, 10
"""How many connections a second an emulated API server is asked for, and how many when none came for a while. It answers about five a
second, and the 75 clients of three nodes begin anew every ten while it starts. One is enough for each program: it takes all its requests.
"""

_GONE = f"table {TABLE}\ndelete table {TABLE}\n"
"""Takes the table away, whether it is there or not (nft(8): a table may be added twice)."""


# Silence and no refusal: the kernel asks again by itself, after one second, three, seven. The API server itself comes from ::1.
_PACE = (
    "\tchain apiserver {",
    "\t\ttype filter hook input priority filter; policy accept;",
    f"\t\tip daddr != 127.0.0.0/8 tcp dport {API.numbers[0]} tcp flags & (syn | ack) == syn"
    f" limit rate over {NEW_PER_S}/second burst {NEW_AT_ONCE} packets drop",
    "\t}",
)


@dataclass(frozen=True)
class Firewall:
    """Who is who: addresses of nodes, and networks. `ports` are all that is closed, SSH among them or not; `paced`: who comes to the API
    server faster than an emulated one can take it waits.
    """

    nodes: tuple[str, ...]
    pods: str
    services: str
    admins: tuple[str, ...]
    ports: tuple[Port, ...]
    paced: bool = False

    def lets_in(self, address: netaddr.IPAddress) -> bool:
        """Whether who comes from there reaches SSH."""
        return any(address in netaddr.IPNetwork(network) for network in self.admins)

    def rules(self) -> str:
        """The file for nft, which exchanges all rules at once.

        Closed is at the mangle step of prerouting: behind connection tracking, and before any address is rewritten, so that a port which is
        led to another node, or a Service's address, is no way round it.
        """
        closed = _listed(numbers(self.ports, Who.INSIDE))
        ssh = numbers(self.ports, Who.ADMINS)
        return _GONE + "\n".join(
            [
                f"table {TABLE} {{",
                *_set("nodes", self.nodes),
                *_set("admins", self.admins),
                *_set("inside", [*self.nodes, self.pods, *self.admins]),
                "\tchain strangers {",
                "\t\ttype filter hook prerouting priority mangle; policy accept;",
                '\t\tiif "lo" accept',
                "\t\tct state established,related accept",
                "\t\tfib daddr type local jump ports",
                f"\t\tip saddr != @inside ip daddr {{ {_joined([self.pods, self.services])} }} drop",
                "\t}",
                "\tchain ports {",
                *([f"\t\tip saddr != @admins tcp dport {_listed(ssh)} drop"] if ssh else []),
                f"\t\tip saddr != @inside tcp dport {closed} drop",
                f"\t\tmeta nfproto ipv6 tcp dport {_listed((*ssh, *numbers(self.ports, Who.INSIDE)))} drop",
                "\t\tip saddr != @nodes ip protocol vrrp drop",
                "\t}",
                *(_PACE if self.paced else ()),
                "}",
                "",
            ]
        )


def opened() -> str:
    """The file for nft that leaves nothing of ours."""
    return _GONE


def _set(name: str, elements: Sequence[str]) -> list[str]:
    return [
        f"\tset {name} {{",
        "\t\ttype ipv4_addr",
        "\t\tflags interval",
        "\t\tauto-merge",
        f"\t\telements = {{ {_joined(elements)} }}",
        "\t}",
    ]


def _joined(elements: Sequence[str]) -> str:
    return ", ".join(sorted(set(elements)))


def _listed(ports: Sequence[int]) -> str:
    return f"{{ {', '.join(map(str, sorted(ports)))} }}"
