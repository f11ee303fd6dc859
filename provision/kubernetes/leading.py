"""Ports of a node led to another node's while what listens on them is replaced: rules in chains of our own in the nat table (ADR 0037).

Only new connections are led (`--syn`: also where the kernel had not followed them before): one that is there stays with whom it was made
to, and one that was led stays led when the rules are gone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from provision.base.shell import Shell

CHAIN, SOURCES = "MESHCTL-AWAY", "MESHCTL-AWAY-SRC"
"""What leads, and what gives led connections this node's address: the neighbour answers to it, and it turns the answer round."""

PROBE_SOURCE = "127.41.40.1"
"""Who asks from this address is not led: so the node's own router is proven while all others are led. Any of 127/8 that nobody uses."""

COMMAND_S = 60.0
"""iptables takes a tenth of a second, and waits for its lock while kube-proxy writes thousands of rules."""

# lead|free [NEIGHBOUR PORT…]: either may be asked for as often as one likes, and after any half of itself. All rules of a chain come at
# once (iptables-restore), the jumps last, so that nothing is led half. What comes over the loopback leaves under this node's address:
# the kernel lets it out, and the answers in, where route_localnet is set, as kube-proxy sets it for its node ports.
_LEAD = f"""
set -eu
what=$1
shift
t() {{ iptables -w 30 -t nat "$@"; }}
jump() {{ t -C "$@" 2>/dev/null || t -I "$@"; }}
unjump() {{ while t -D "$@" 2>/dev/null; do :; done; }}
if [ "$what" = lead ]; then
    to=$1
    shift
    {{
        echo '*nat'
        echo ':{CHAIN} - [0:0]'
        echo ':{SOURCES} - [0:0]'
        echo '-A {CHAIN} -s {PROBE_SOURCE}/32 -j RETURN'
        for port in "$@"; do
            echo "-A {CHAIN} -p tcp -m tcp --dport $port --syn -j DNAT --to-destination $to:$port"
            echo "-A {SOURCES} -d $to/32 -p tcp -m tcp --dport $port -m conntrack --ctstate DNAT -j MASQUERADE"
        done
        echo COMMIT
    }} | iptables-restore -w 30 --noflush
    if [ "$(cat /proc/sys/net/ipv4/conf/all/route_localnet)" = 0 ]; then
        echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
    fi
    jump POSTROUTING -p tcp -j {SOURCES}
    jump PREROUTING -p tcp -m addrtype --dst-type LOCAL -j {CHAIN}
    jump OUTPUT -p tcp -m addrtype --dst-type LOCAL -j {CHAIN}
else
    unjump OUTPUT -p tcp -m addrtype --dst-type LOCAL -j {CHAIN}
    unjump PREROUTING -p tcp -m addrtype --dst-type LOCAL -j {CHAIN}
    unjump POSTROUTING -p tcp -j {SOURCES}
    for chain in {CHAIN} {SOURCES}; do
        if t -S "$chain" >/dev/null 2>&1; then
            t -F "$chain"
            t -X "$chain"
        fi
    done
fi
"""

# PORT…: how many connections are established to any of these ports of this node.
_OPEN = """
count=0
for port in "$@"; do
    count=$((count + $(ss -Htn state established "( sport = :$port )" | wc -l)))
done
echo "$count"
"""

# PORT…: who listens on these ports of this node, `PORT<tab>PROCESS` a line.
_LISTENERS = """
for port in "$@"; do
    ss -Hltnp "( sport = :$port )" | sed -n 's/.*users:((//p' | sed "s/^\\"\\([^\\"]*\\)\\".*/$port\\t\\1/"
done
"""

_LED = re.compile(r"--to-destination (\S+):[0-9]+")


def lead(shell: Shell, neighbour: str, ports: Sequence[int]) -> None:
    """Leads new connections to these ports of a node to those of a neighbour, by its address. May be done again, to another too."""
    words = ("lead", neighbour, *map(str, ports))
    shell.run(["sh", "-c", _LEAD, "lead", *words], within_s=COMMAND_S)


def free(shell: Shell) -> None:
    """Takes that away, if it is there."""
    shell.run(["sh", "-c", _LEAD, "lead", "free"], within_s=COMMAND_S)


def led_to(shell: Shell) -> str:
    """The address that a node's ports are led to, "" for none."""
    rules = shell.read(["iptables", "-w", "30", "-t", "nat", "-S", CHAIN], within_s=COMMAND_S, check=False)
    return read_led(rules.stdout)


def read_led(rules: str) -> str:
    """The same of what iptables printed. Pure."""
    found = _LED.search(rules)
    return found[1] if found else ""


def connections(shell: Shell, ports: Sequence[int]) -> int:
    """How many connections are open to these ports of a node."""
    return int(shell.read(["sh", "-c", _OPEN, "open", *map(str, ports)], within_s=COMMAND_S).stdout)


def listeners(shell: Shell, ports: Sequence[int]) -> dict[int, str]:
    """Which processes listen on these ports of a node."""
    said = shell.read(["sh", "-c", _LISTENERS, "listeners", *map(str, ports)], within_s=COMMAND_S).stdout
    rows = (line.split("\t") for line in said.splitlines() if "\t" in line)
    return {int(row[0]): row[1] for row in rows}
