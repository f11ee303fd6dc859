"""Bridge, addresses, routes, firewall against the planned network. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import netaddr

from provision.doctor.facts import Link
from provision.doctor.finding import Finding, found
from provision.doctor.patient import Patient
from provision.libvirt_xml import NetworkSeen

CANDIDATES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""Private networks (RFC 1918), in which a free one is looked for."""


def judge_network(patient: Patient) -> Iterator[Finding]:
    """MC141 to MC149, and MC154."""
    yield from _routes(patient)
    yield from _networks(patient)
    if patient.cluster.network.mode == "bridge" and patient.real and patient.facts.network.links:
        yield from _bridge(patient)
    yield from _mtu(patient)
    yield from _ways(patient)
    if patient.facts.network.bridge_nf and len(patient.cluster.nodes) > 1:
        yield found("MC147", patient.name, "net.bridge.bridge-nf-call-iptables = 1")
    yield from _forwarding(patient)
    yield from _firewall(patient)
    if patient.seen.virtualization == "kvm" and patient.nodes and patient.real and not patient.facts.cpu.dev_vhost_net:
        yield found("MC154", patient.name, "there is no /dev/vhost-net")


def _ours(patient: Patient) -> NetworkSeen | None:
    """Our network, when it is there already."""
    cluster = patient.cluster
    named = (network for network in patient.seen.networks if network.name == cluster.network.name)
    return next((n for n in named if n.stamp is not None and n.stamp.cluster == cluster.cluster), None)


def _bridge_name(patient: Patient) -> str | None:
    ours = _ours(patient)
    return ours.bridge if ours is not None and ours.bridge else patient.cluster.network.bridge


def overlap(one: str, other: str) -> bool:
    """Whether two networks have addresses in common."""
    mine, theirs = netaddr.IPNetwork(one), netaddr.IPNetwork(other)
    return bool(mine.version == theirs.version and (mine in theirs or theirs in mine))


def free_network(taken: Iterable[str], prefix_length: int) -> str:
    """A private network of that size that none of the others overlaps with."""
    taken = tuple(taken)
    for candidate in CANDIDATES:
        whole = netaddr.IPNetwork(candidate)
        for subnet in whole.subnet(max(prefix_length, whole.prefixlen)):
            clash = next((other for other in taken if overlap(str(subnet), other)), None)
            if clash is None:
                return str(subnet)
    return "another one"


def _routes(patient: Patient) -> Iterator[Finding]:
    cluster, bridge = patient.cluster, _bridge_name(patient)
    routes = [r for r in patient.facts.network.routes if r.destination != "0.0.0.0/0" and r.device != bridge]
    taken = [*(route.destination for route in routes), *_own_networks(patient)]
    for route in routes:
        seen = f"{route.destination} leads to {route.device}"
        if overlap(cluster.network.cidr, route.destination):
            free = free_network(taken, cluster.network.prefix_length)
            said = f"{seen}; the network is {cluster.network.cidr}"
            yield found("MC141", patient.name, said, free=free, route=route.destination, device=route.device)
        for field in ("pod_cidr", "service_cidr"):
            mine: str = getattr(cluster.kubernetes, field)
            if overlap(mine, route.destination):
                free = free_network(taken, netaddr.IPNetwork(mine).prefixlen)
                yield found("MC142", patient.name, f"{seen}; {field} is {mine}", field=field, free=free)


def _own_networks(patient: Patient) -> tuple[str, ...]:
    cluster = patient.cluster
    return cluster.network.cidr, cluster.kubernetes.pod_cidr, cluster.kubernetes.service_cidr


def _networks(patient: Patient) -> Iterator[Finding]:
    cluster = patient.cluster
    routes = [r.destination for r in patient.facts.network.routes if r.destination != "0.0.0.0/0"]
    ours = _ours(patient)
    for other in patient.seen.networks if cluster.network.mode == "nat" else ():
        if other == ours or other.name == cluster.network.name:
            continue
        networks = [str(netaddr.IPNetwork(address).cidr) for address in other.addresses]
        clash = next((network for network in networks if overlap(network, cluster.network.cidr)), "")
        same_bridge = bool(other.bridge) and other.bridge == cluster.network.bridge
        if clash or same_bridge:
            free = free_network([*routes, *networks, *_own_networks(patient)], cluster.network.prefix_length)
            seen = f"network {other.name} has {clash or f'bridge {other.bridge}'}; ours is to be {cluster.network.cidr}"
            yield found("MC143", patient.name, seen, free=free, uri=patient.host.uri, network=other.name)


def _bridge(patient: Patient) -> Iterator[Finding]:
    bridge = patient.cluster.network.bridge
    link = patient.facts.network.link(bridge)
    if link is None or link.kind != "bridge":
        what = "is not there" if link is None else f"is no bridge but {link.kind or 'a network card'}"
        yield found("MC144", patient.name, f"{bridge} {what}", bridge=bridge)
        return
    uplinks = [port for port in _ports(patient, link) if port.kind != "tun"]
    if len(patient.cluster.hosts) > 1 and not (link.up and any(port.up and port.carrier for port in uplinks)):
        state = "up" if link.up else "down"
        ports = ", ".join(f"{p.name} ({'carrier' if p.carrier else 'no carrier'})" for p in uplinks) or "none"
        yield found("MC146", patient.name, f"{bridge} is {state}; ports besides guests: {ports}", bridge=bridge)


def _ports(patient: Patient, bridge: Link) -> list[Link]:
    return [link for link in patient.facts.network.links if link.master == bridge.name]


def _mtu(patient: Patient) -> Iterator[Finding]:
    wanted = patient.cluster.network.mtu
    bridge = patient.facts.network.link(_bridge_name(patient))
    if bridge is None or bridge.kind != "bridge":
        return
    for link in (bridge, *_ports(patient, bridge)):
        if link.mtu < wanted:
            seen = f"{link.name} has MTU {link.mtu}, the network {wanted}"
            yield found("MC145", patient.name, seen, link=link.name, mtu=wanted, seen=link.mtu)


def _ways(patient: Patient) -> Iterator[Finding]:
    mtu, bridge = patient.cluster.network.mtu, patient.cluster.network.bridge
    for way in patient.facts.network.ways:
        if way.small and not way.whole:
            seen = f"{mtu} bytes to {way.to} ({way.address}) are lost, 84 bytes arrive"
            yield found("MC150", patient.name, seen, address=way.address, size=mtu - 28, mtu=mtu, bridge=bridge)


def _forwarding(patient: Patient) -> Iterator[Finding]:
    ours = _ours(patient)
    runs = ours is not None and ours.active and patient.cluster.network.mode == "nat"
    if runs and patient.facts.network.forwarding is False:
        yield found("MC148", patient.name, "net.ipv4.ip_forward = 0")


def _firewall(patient: Patient) -> Iterator[Finding]:
    bridge, rules = _bridge_name(patient), patient.facts.network.rules
    if bridge is None or any(bridge in rule.split() and "ACCEPT" in rule for rule in rules):
        return
    yield from _bridged(patient, bridge) if patient.cluster.network.mode == "bridge" else _routed(patient, bridge)


def _bridged(patient: Patient, bridge: str) -> Iterator[Finding]:
    network = patient.facts.network
    drops = ["iptables FORWARD"] if _closed(network.rules, "FORWARD") else []
    drops += [f"nftables {chain}" for chain in network.nft_drops if chain.startswith("forward ")]
    hit = [drop for drop in drops if network.bridge_nf or " in bridge " in drop]
    if hit:
        accept = f"`iptables -I FORWARD -i {bridge} -o {bridge} -j ACCEPT`"
        remedy = f"{accept} on {patient.name}, or `sysctl -w net.bridge.bridge-nf-call-iptables=0`"
        yield found(
            "MC149", patient.name, f"dropped at the end: {', '.join(hit)}; no rule accepts {bridge}", remedy=remedy
        )


def _closed(rules: Sequence[str], chain: str) -> bool:
    """Whether iptables lets through only what a rule accepts: by policy, or by a rule for all packets."""
    ends = (["-A", chain, "-j", "DROP"], ["-A", chain, "-j", "REJECT"])
    return f"-P {chain} DROP" in rules or any(rule.split()[:4] in ends for rule in rules)


def _routed(patient: Patient, bridge: str) -> Iterator[Finding]:
    """Somebody has written iptables anew after libvirt put its rules there."""
    ours = _ours(patient)
    drops = [chain for chain in ("INPUT", "FORWARD") if _closed(patient.facts.network.rules, chain)]
    if ours is not None and ours.active and drops:
        remedy = f"`systemctl reload libvirtd` (or virtnetworkd) on {patient.name}: libvirt writes its rules again"
        seen = f"dropped at the end: iptables {' and '.join(drops)}; no rule accepts {bridge}"
        yield found("MC149", patient.name, seen, remedy=remedy)
