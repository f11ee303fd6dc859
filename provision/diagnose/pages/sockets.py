"""A guest's kernel: ports, queues, tables, names."""

from __future__ import annotations

from provision.diagnose.pages.model import reason

SOCKETS = (
    reason(
        "MD411",
        "ports for outgoing connections run out",
        symptoms=("MD403", "MD456", "MD457"),
        happens="Connections to one address and port, most of them in TIME_WAIT, fill 80 % or more of net.ipv4.ip_local_port_range.",
        slows="The kernel searches long for a free port, then `connect` fails and is tried again; a port that the other side still has in TIME_WAIT costs a second SYN after 1 s. top shows nothing.",
        reckoned="1 s, Linux's first SYN timeout, as the range fills up from half.",
        fix="`sysctl: {{net.ipv4.tcp_tw_reuse: 1, net.ipv4.ip_local_port_range: 1024 65000}}` in the inventory, then `meshctl provision`; and keep connections open (`hostConnectionPool`, keep-alive) instead of one for each request. At once: `sysctl -w net.ipv4.tcp_tw_reuse=1 net.ipv4.ip_local_port_range='1024 65000'` on {node}",
        near_miss="As many connections in TIME_WAIT to many addresses: each has the whole range for itself.",
        source="seed article, «Debugging the Ghost Latency»; kernel.org: networking/ip-sysctl",
    ),
    reason(
        "MD412",
        "a listener's queue overflows",
        symptoms=("MD403", "MD456", "MD457"),
        happens="Connections were dropped because the queue of those that wait to be accepted was full (ListenOverflows).",
        slows="The kernel drops the first packet, and the client sends it again after 1 s, then 3 s.",
        reckoned="1 s, as far as one new connection of a hundred is dropped.",
        fix="{way}",
        fixes="where the backlog is somaxconn: `sysctl: {{net.core.somaxconn: 4096}}` in the inventory (in a pod: its own securityContext.sysctls); where it is less, the program asked for so few: raise its backlog (nginx `listen … backlog=`, Java's `ServerSocket(port, backlog)`, JDK's default is 50)",
        near_miss="Connections wait in the queue, and none was dropped.",
        source="listen(2); kernel.org: networking/snmp_counter, TcpExtListenOverflows",
    ),
    reason(
        "MD413",
        "the connection table is full",
        symptoms=("MD401", "MD403", "MD412"),
        happens="nf_conntrack_count is at 90 % of nf_conntrack_max or more, or packets were dropped for it.",
        slows="The first packet of a new connection is dropped without a word: 1 s until it is sent again.",
        reckoned="1 s where packets were dropped; half as much while the table only fills.",
        fix="`sysctl: {{net.netfilter.nf_conntrack_max: {wanted}}}` in the inventory; `conntrack -S` and `conntrack -L | awk '{{print $4}}' | sort | uniq -c` on {node} show of what it is full",
        near_miss="A table that is half full.",
        source="kernel.org: networking/nf_conntrack-sysctl",
    ),
    reason(
        "MD414",
        "packets are dropped before the kernel looks at them",
        symptoms=("MD403", "MD401"),
        happens="/proc/net/softnet_stat counts drops: a CPU's backlog of packets was full.",
        slows="As any loss: 200 ms or 1 s for the request that it hits.",
        reckoned="200 ms, as far as one request of a hundred meets it.",
        fix="`sysctl: {{net.core.netdev_max_backlog: 5000, net.core.netdev_budget: 600}}` in the inventory; more queues: `ethtool -l eth0` on {node}",
        near_miss="Squeezes alone: the kernel came back for the rest at once.",
        source="kernel.org: networking/scaling; net/core/net-procfs.c",
    ),
    reason(
        "MD415",
        "the neighbour table is full",
        symptoms=("MD401", "MD403"),
        happens="The ARP table has 90 % or more of gc_thresh3's entries.",
        slows="A packet to an address that has no place waits for an ARP question each time, or is dropped: 1 s.",
        reckoned="1 s, from 90 % on.",
        fix="`sysctl: {{net.ipv4.neigh.default.gc_thresh3: {wanted}, net.ipv4.neigh.default.gc_thresh2: {half}}}` in the inventory",
        near_miss="More entries than gc_thresh1: they are kept longer.",
        source="arp(7)",
    ),
    reason(
        "MD416",
        "DNS answers slowly",
        happens="Half of the questions to the DNS server took 100 ms or more, or one of a hundred 1 s, or one of twenty got no answer.",
        slows="A name is asked for before each new connection; a pod asks for up to six names for one (search list, ndots:5), and waits 5 s for an answer that is lost.",
        reckoned="p99 of the questions; 5 s where one of twenty is lost.",
        fix='`kubectl -n kube-system logs -l k8s-app=kube-dns` and its CPU limit first; then names with a dot at their end, `dnsConfig: {{options: [{{name: ndots, value: "1"}}]}}` in pods, and nearer forwarders. {server} was asked from {node}',
        near_miss="A first question that is slow, and the next ones from the cache.",
        source="resolv.conf(5): timeout, ndots; kubernetes: dns-pod-service",
    ),
)
