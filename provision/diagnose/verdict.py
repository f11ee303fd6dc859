"""All causes of one recording, ranked; what was looked at, what was not, and what of p99 nobody explains. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from provision.diagnose.cause import Cause
from provision.diagnose.estimate import observed_ms
from provision.diagnose.facts import Recording
from provision.diagnose.judge_cpu import judge_cpu
from provision.diagnose.judge_kernel import judge_kernel
from provision.diagnose.judge_mesh import judge_mesh
from provision.diagnose.judge_paths import judge_paths
from provision.diagnose.judge_sockets import judge_sockets
from provision.diagnose.judge_storage import judge_storage
from provision.diagnose.pages import BY_ID
from provision.diagnose.split import Split, splits

JUDGES = (judge_paths, judge_sockets, judge_kernel, judge_cpu, judge_storage, judge_mesh)

LEAST_MS, LEAST_SHARE = 0.3, 0.05
"""What only may explain something, and less of p99 than that, is not worth a line."""


@dataclass(frozen=True)
class Verdict:
    """`causes` with the heaviest first. `p99_ms` is what was to be explained, None where nobody sent requests."""

    cluster: str
    service: str
    seconds: float
    p99_ms: float | None
    causes: tuple[Cause, ...]
    looked_at: tuple[str, ...]
    unseen: tuple[tuple[str, str], ...]
    splits: tuple[Split, ...]

    @property
    def unexplained_ms(self) -> float | None:
        """What no cause explains: of p99, less what all of them explain, and less what a request takes anyway (its median)."""
        if self.p99_ms is None:
            return None
        usual = max((one.p50_ms or 0.0 for one in self.splits), default=0.0)
        return max(self.p99_ms - usual - sum(one.explains_ms for one in self.causes), 0.0)

    def as_data(self) -> dict[str, Any]:
        """For --json."""
        return {
            "cluster": self.cluster,
            "service": self.service,
            "seconds": self.seconds,
            "p99_ms": self.p99_ms,
            "unexplained_ms": self.unexplained_ms,
            "causes": [one.as_data() for one in self.causes],
            "looked_at": list(self.looked_at),
            "unseen": [list(one) for one in self.unseen],
            "services": [one.as_data() for one in self.splits],
        }


def judge(recording: Recording) -> Verdict:
    """The verdict."""
    p99_ms = observed_ms(recording)
    found = [one for each in JUDGES for one in each(recording)]
    told = [one for one in _causes_only(found) if _worth(one, p99_ms)]
    ranked = sorted(told, key=lambda one: (-one.weight, one.id, one.where))
    return Verdict(
        recording.cluster,
        recording.service,
        recording.seconds,
        p99_ms,
        tuple(_capped(one, p99_ms) for one in ranked),
        tuple(looked_at(recording)),
        tuple(_unseen(recording)),
        splits(recording),
    )


def _worth(one: Cause, p99_ms: float | None) -> bool:
    return one.sure == "certain" or one.explains_ms >= max(LEAST_MS, LEAST_SHARE * (p99_ms or 0.0))


def _capped(one: Cause, p99_ms: float | None) -> Cause:
    return one if p99_ms is None else replace(one, explains_ms=min(one.explains_ms, p99_ms))


def _causes_only(found: Sequence[Cause]) -> Iterator[Cause]:
    """Without what follows from another cause at the same machine, unless it is so much more that it must have one of its own."""
    for one in found:
        if not any(_brings_about(other, one) for other in found):
            yield one


def _brings_about(other: Cause, one: Cause) -> bool:
    follows = one.id in BY_ID[other.id].symptoms and bool(one.touches & other.touches)
    return follows and other.explains_ms > 0 and other.explains_ms >= one.explains_ms / 4


def looked_at(recording: Recording) -> Iterator[str]:
    """What the verdict rests on, in words: it says "nothing found" of these and no others."""
    if hosts := recording.hosts:
        vcpus = sum(len(one.vcpus) for one in hosts)
        yield f"{len(hosts)} host(s): run queues and pins of {vcpus} vCPUs, who else ran, clocks, idle states, interrupts, memory, disks"
    if guests := recording.guests:
        spaces = sum(len(one.spaces) for one in guests)
        yield f"{len(guests)} guest(s): steal, pressure, disks, filesystems, connection tracking, neighbours, DNS, CPU limits of pods"
        yield f"{spaces} network namespaces: ports, backlogs, what TCP sent again"
    if paths := recording.paths:
        yield f"{len(paths)} ways between machines: {sum(one.sent for one in paths)} probes, packets of {recording.mtu} bytes, clocks"
    if routers := [one for one in recording.routers if not one.fault]:
        yield f"{len(routers)} linkerd(s): {sum(one.requests for one in routers)} requests, balancers, pools, caches, collections"
    if recording.endpoints:
        yield f"{len(recording.endpoints)} endpoints of services, by their connections"


def _unseen(recording: Recording) -> Iterator[tuple[str, str]]:
    yield from recording.unseen
    yield from (
        (one.name, what) for machine in (recording.hosts, recording.guests) for one in machine for what in one.unread
    )
    silent = [one for one in recording.paths if one.kind != "guest" and one.sent and one.lost == one.sent]
    yield from (
        (f"{one.start} to {one.end} ({one.kind}s)", "no probe came back: ICMP may be filtered") for one in silent
    )
    yield from ((f"linkerd on {one.node}", one.fault) for one in recording.routers if one.fault)
