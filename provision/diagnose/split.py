"""Where the time of a service's requests goes: proxy, network, service. Pure.

What linkerd's outgoing server sees, less what its client sees, is its own. Of the rest the service has what its slowest endpoint takes for
an answer (p99, of the mean), and the network what is left: rounds, new connections, what was sent again. Where no endpoint was seen, the
network has its rounds and the service the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from provision.diagnose.estimate import TAIL
from provision.diagnose.facts import Endpoint, Recording, Router
from provision.diagnose.judge_mesh import answers_ms
from provision.diagnose.numbers import percentile


@dataclass(frozen=True)
class EndpointTime:
    """An endpoint of a service, and how long an answer takes it."""

    address: str
    pod: str
    node: str
    answer_ms: float


@dataclass(frozen=True)
class Split:
    """A service at p99, in ms: the whole, and its parts. None: nobody says so."""

    service: str
    requests: int
    p50_ms: float | None
    p99_ms: float | None
    proxy_ms: float | None
    network_ms: float
    service_ms: float | None
    endpoints: tuple[EndpointTime, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def splits(recording: Recording) -> tuple[Split, ...]:
    """Every service that had requests, at the router where it was slowest; the slowest first."""
    answers = {service: _ends(of_one) for service, of_one in answers_ms(recording).items()}
    rounds_ms = _rounds_ms(recording)
    found: dict[str, Split] = {}
    for router in recording.routers:
        for one in _of(router, recording.service, answers, rounds_ms):
            known = found.get(one.service)
            if known is None or (one.p99_ms or 0) > (known.p99_ms or 0):
                found[one.service] = one
    return tuple(sorted(found.values(), key=lambda one: -(one.p99_ms or 0)))


def _ends(answers: Mapping[Endpoint, float]) -> tuple[EndpointTime, ...]:
    ranked = sorted(answers.items(), key=lambda pair: -pair[1])
    return tuple(EndpointTime(end.address, end.pod, end.node, round(ms, 2)) for end, ms in ranked)


def _of(
    router: Router, asked: str, answers: Mapping[str, tuple[EndpointTime, ...]], rounds_ms: float
) -> Iterator[Split]:
    for one in router.services:
        if one.requests and asked in ("", one.name):
            whole, behind, ends = router.p99_ms, one.p99_ms, answers.get(one.name, ())
            proxy = None if whole is None or behind is None else max(whole - behind, 0.0)
            service = None if behind is None else _service_ms(behind, ends, rounds_ms)
            network = rounds_ms if behind is None or service is None else behind - service
            p99 = behind if proxy is None else whole
            yield Split(one.name, one.requests, one.p50_ms or router.p50_ms, p99, proxy, network, service, ends)


def _service_ms(behind_ms: float, ends: tuple[EndpointTime, ...], rounds_ms: float) -> float:
    taken = TAIL * ends[0].answer_ms if ends else behind_ms - rounds_ms
    return min(max(taken, 0.0), behind_ms)


def _rounds_ms(recording: Recording) -> float:
    """The worst p99 of rounds between guests, but for a tenth of the ways: requests go over all of them."""
    rounds = [one.p99_ms for one in recording.paths if one.kind == "guest" and one.p99_ms is not None]
    return percentile(rounds, 0.9) or 0.0
