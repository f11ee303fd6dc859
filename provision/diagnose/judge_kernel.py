"""Tables of a guest's kernel, and its DNS. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provision.diagnose.cause import Cause, cause
from provision.diagnose.estimate import DNS_TIMEOUT_MS, RTO_MS, SYN_RETRY_MS, at_p99, part
from provision.diagnose.facts import Dns, Guest, Recording

FULL, FILLING = 0.9, 0.5
"""The kernel counts among a table's drops also packets that its helpers refuse: one of them was seen on an emulated cluster with 1 % of the
entries in use. Only a table that may have been full between two looks is one."""

DNS_MEDIAN_MS, DNS_P99_MS, DNS_LOSS, LEAST_LOST = 100.0, 1000.0, 0.05, 2
"""A busy kube-dns answers within some 10 ms, on an emulated CPU within some 50; of 20 questions p99 is the slowest."""

LEAST_ANSWERS = 3

OWN_NAME = "localhost"
"""What a node's own server is asked for: one that never answers may be none, and is not told of."""


def judge_kernel(recording: Recording) -> Iterator[Cause]:
    """MD413 to MD416."""
    for guest in recording.guests:
        yield from _conntrack(guest)
        yield from _softnet(guest)
        yield from _neighbours(guest)
    yield from _dns(recording)


def _conntrack(guest: Guest) -> Iterator[Cause]:
    used = part(guest.conntrack, guest.conntrack_max)
    if used >= FULL or (guest.conntrack_drops > 0 and used >= FILLING):
        dropped = guest.conntrack_drops > 0
        seen = f"{guest.conntrack} of {guest.conntrack_max} entries ({used:.0%}), {guest.conntrack_drops} packets dropped for it"
        explains, sure = (SYN_RETRY_MS, "certain") if dropped else (SYN_RETRY_MS / 2, "likely")
        wanted = max(2 * guest.conntrack_max, 262144)
        yield cause("MD413", guest.name, seen, explains, sure, {guest.name}, node=guest.name, wanted=wanted)


def _softnet(guest: Guest) -> Iterator[Cause]:
    share = part(guest.softnet_drops, guest.packets)
    if guest.softnet_drops and share >= 0.0001:
        seen = f"{guest.softnet_drops} of {guest.packets} packets dropped, {guest.softnet_squeezes} times squeezed"
        yield cause("MD414", guest.name, seen, at_p99(RTO_MS, share), "certain", {guest.name}, node=guest.name)


def _neighbours(guest: Guest) -> Iterator[Cause]:
    if guest.neighbours_max and guest.neighbours >= FULL * guest.neighbours_max:
        seen = f"{guest.neighbours} entries, gc_thresh3 is {guest.neighbours_max}"
        wanted = 4 * guest.neighbours_max
        yield cause("MD415", guest.name, seen, SYN_RETRY_MS, "likely", {guest.name}, wanted=wanted, half=wanted // 2)


def _dns(recording: Recording) -> Iterator[Cause]:
    """One cause for each server, told of the node for which it is worst: it is the same server for all."""
    slow: dict[str, list[tuple[float, Guest, Dns]]] = {}
    for guest in recording.guests:
        for one in guest.dns:
            if cost := _slow(one):
                slow.setdefault(one.server, []).append((cost, guest, one))
    for server, found in slow.items():
        cost, guest, one = max(found, key=lambda each: each[0])
        took = "no answers" if one.median_ms is None else f"median {one.median_ms:.0f} ms, p99 {one.p99_ms or 0:.0f} ms"
        pods = f"; a pod asks for up to {one.searches} names for one" if one.searches > 1 else ""
        seen = f"{one.name} asked {one.sent} times: {took}, {one.lost} lost; seen from {len(found)} node(s){pods}"
        touched = {each[1].name for each in found}
        yield cause("MD416", f"DNS server {server}", seen, cost, "likely", touched, node=guest.name, server=server)


def _slow(one: Dns) -> float:
    """What it costs, in ms; 0 for a server that is quick."""
    if one.sent < LEAST_ANSWERS or (one.name == OWN_NAME and one.median_ms is None):
        return 0.0
    if one.lost >= LEAST_LOST and one.lost / one.sent >= DNS_LOSS:
        return DNS_TIMEOUT_MS
    slow = (one.median_ms or 0) >= DNS_MEDIAN_MS or (one.p99_ms or 0) >= DNS_P99_MS
    return one.p99_ms or 0.0 if slow else 0.0
