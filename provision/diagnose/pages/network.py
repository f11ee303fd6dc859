"""The way between machines: loss, delay, packet size, clocks."""

from __future__ import annotations

from provision.diagnose.pages.model import reason

NETWORK = (
    reason(
        "MD401",
        "packets are lost between two machines",
        symptoms=("MD403", "MD456", "MD457", "MD451"),
        happens="Of the small probes between two guests (or hosts) at least three, and 0.2 % of them, did not come back.",
        slows="TCP waits 200 ms or more before it sends a lost packet again, and 1 s for the first packet of a connection: a few requests wait that long while all others are quick, and nobody's CPU is busy.",
        reckoned="200 ms, Linux's shortest retransmission timeout, as soon as one request of a hundred meets a loss; a request takes two rounds of packets. Another such timeout, twice as long, where one of a hundred meets two.",
        fix="{way}",
        fixes="where hosts lose too: look at the wire, `ethtool -S LINK | grep -iE 'err|drop|crc'` on both hosts, cable, switch port, duplex; where only guests lose: `tc -s qdisc show` and `ip -s link` on the bridge's ports and in the guests",
        near_miss="One or two probes of hundreds: a guest was off its CPU for a moment.",
        source="kernel.org: net/tcp.h, TCP_RTO_MIN and TCP_TIMEOUT_INIT; RFC 6298",
    ),
    reason(
        "MD402",
        "the way between two machines is slow",
        symptoms=("MD451",),
        happens="Rounds between two machines take far longer, or vary far more, than between the others; or all of them take 15 ms or more.",
        slows="Each request pays a round for each hop, two for a new connection: machines in different data centers, a path over a slow link, or a queue that is full.",
        reckoned="p99 of the rounds, less that of the other ways.",
        fix="{way}",
        fixes="where hosts are slow too: `mtr -n ADDRESS` from one host to the other, and move the hosts to one site; where only guests are: `tc -s qdisc show` on the bridge's ports, and in the guests",
        near_miss="All rounds take 1 to 5 ms: emulated guests (without KVM) are no quicker.",
        source="seed article: «packet loss between budget VPS nodes located in different data centers»",
    ),
    reason(
        "MD403",
        "TCP sends much again, though probes are not lost",
        happens="A guest sent 1 % of its segments again, and no probe was lost on its ways.",
        slows="Each costs 200 ms or more. Where small probes pass, it is full queues, policers or a receiver that is too slow.",
        reckoned="200 ms, as far as one request of a hundred meets it.",
        fix="`nstat -az | grep -iE 'retrans|loss'` and `ss -tin state established '( sport = :4140 or dport = :4140 )'` on {node} show which connections; `tc -s qdisc show dev eth0` whether a queue drops",
        near_miss="A few segments while a node restarts.",
        source="kernel.org: networking/snmp_counter",
    ),
    reason(
        "MD404",
        "packets of full size do not arrive",
        symptoms=("MD403", "MD456", "MD457"),
        happens="Small packets pass between two machines, those of the network's MTU that must not be cut do not.",
        slows="Small requests are quick, and each large answer stalls until TCP finds the size out by itself, if at all.",
        reckoned="1 s: some retransmission timeouts, each twice as long as the one before.",
        fix="one MTU all along the way: `ping -M do -s {size} {address}` on {node} tries it; `network: {{mtu: …}}` in the inventory says what guests get, and `ip link set dev LINK mtu {mtu}` on hosts what they carry",
        near_miss="Neither size arrives: that is MD401.",
        source="RFC 4821; meshctl explain MC145 and MC150",
    ),
    reason(
        "MD405",
        "clocks differ",
        happens="A guest's clock is 1 s or more away from the others', by ICMP timestamps.",
        slows="linkerd sends deadlines as absolute times (`l5d-ctx-deadline`): a hop whose clock is ahead gives up requests that have time left, and they are sent again. Traces and logs are in the wrong order.",
        reckoned="None: it is told last.",
        fix="`systemctl restart systemd-timesyncd` on {node}, `timedatectl timesync-status` says which server it asks; a firewall that lets no NTP out keeps all clocks from agreeing",
        near_miss="Half a second between guests that never met a time server: the hardware's clock counts whole seconds.",
        source="linkerd: router/http, DeadlineFilter; RFC 792",
    ),
)
