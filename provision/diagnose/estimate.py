"""How milliseconds of p99 are reckoned. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from provision.diagnose.facts import Recording

RTO_MS = 200.0
"""Linux's shortest retransmission timeout (TCP_RTO_MIN, net/tcp.h)."""

SYN_RETRY_MS = 1000.0
"""Linux's first timeout of a SYN (TCP_TIMEOUT_INIT, net/tcp.h; RFC 6298)."""

DNS_TIMEOUT_MS = 5000.0
"""The resolver's (resolv.conf(5))."""

TAIL = math.log(100)
"""p99 of waits that end as likely at any moment, in means: 4.6."""


def at_p99(cost_ms: float, share: float) -> float:
    """What a cost adds to p99 that hits this share of requests: all of it from one of a hundred on, and less before."""
    return cost_ms * min(1.0, share / 0.01)


def part(count: float, of: float) -> float:
    """A share; 0 of nothing."""
    return count / of if of > 0 else 0.0


def observed_ms(recording: Recording) -> float | None:
    """The p99 that is to be explained: of the service that was asked about, else of all requests, at the worst router. None without any."""
    asked = recording.service
    services = (one for router in recording.routers for one in router.services)
    if asked:
        return _worst(one.p99_ms for one in services if one.name == asked and one.requests)
    return _worst(router.p99_ms for router in recording.routers if router.requests)


def _worst(values: Iterable[float | None]) -> float | None:
    return max((one for one in values if one is not None), default=None)


def share_of_p99(recording: Recording, share: float, otherwise_ms: float) -> float:
    """A share of the observed p99; of another value where nobody sent requests."""
    observed = observed_ms(recording)
    return share * (otherwise_ms if observed is None else observed)
