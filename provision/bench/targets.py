"""Where a request of each way begins. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from provision.bench.cells import DIRECT, ONE_HOP, PAIRED

OWN_ROUTER = "127.0.0.1"

NO_PAIR = "the mesh has none (mesh.topology: outgoing): a router sends to pods, and one that was made to ask another would do so for ever"
"""A dtab of one's own in a header (l5d-dtab) goes on with the request, to the router that it leads to."""

UNCLEAR = "mesh.config_file has no single router for what other nodes send"


@dataclass(frozen=True)
class Ways:
    """By way, address and port; of each way that there is none of, why."""

    to: Mapping[str, tuple[str, int]]
    left_out: Mapping[str, str]


def ways(pod: tuple[str, int], node: str, port: int, incoming: Collection[int], incoming_port: int) -> Ways:
    """The ways to a pod on another node, whose address is `node`. `port` is the asking node's own router; `incoming` are the ports of
    routers that know their own node's pods only, of which `incoming_port` is the one of `port`.

    Without such routers the own one sends to a pod on any node: one proxy. With them it sends to the router of the pod's node, so that
    one proxy alone is that one, asked from outside.
    """
    own, direct = (OWN_ROUTER, port), {DIRECT: pod}
    if not incoming:
        return Ways({**direct, ONE_HOP: own}, {PAIRED: NO_PAIR})
    if incoming_port not in incoming and len(incoming) > 1:
        return Ways({**direct, PAIRED: own}, {ONE_HOP: UNCLEAR})
    first = incoming_port if incoming_port in incoming else next(iter(incoming))
    return Ways({**direct, ONE_HOP: (node, first), PAIRED: own}, {})
