"""Lines of the script that stays on a guest, as samples; and two of them as the facts that the judges take. Pure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provision.diagnose.facts import Guest, Router
from provision.diagnose.numbers import Files
from provision.diagnose.read_guest import Pods, read_guest
from provision.diagnose.read_router import read_router

UNSEEN = (
    "ways between machines, DNS, ports of connections, answers by endpoint, and of hosts all but the waits of vCPUs "
    "(MD401, MD402, MD404, MD405, MD411, MD416, MD421, MD422, MD426 to MD428, MD432 to MD434, MD442, MD451)"
)
"""What the ticks do not read, and with it what is never found in them: that takes more than one may take all the time."""


@dataclass(frozen=True)
class Metrics:
    """What a linkerd said of itself, and when by the guest's own clock; `fault`: why it said nothing."""

    at_s: float
    values: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True)
class Sample:
    """A guest at one tick. Times are of its own monotonic clock; `cost_s` is the CPU time that watching has cost there so far, `next_s`
    when it will tick again. `spaces` are files by pod (its cgroup's word for it, "" for the node) and path.
    """

    at_s: float
    files: Files = field(default_factory=dict)
    spaces: Files = field(default_factory=dict)
    cgroups: Files = field(default_factory=dict)
    filesystems: tuple[tuple[str, str, float, float], ...] = ()
    metrics: Metrics | None = None
    cost_s: float = 0.0
    next_s: float = 0.0


@dataclass(frozen=True)
class Seen:
    """The last two samples of a guest, and the last two words of its linkerd, which is asked less often."""

    last: Sample
    before: Sample | None = None
    metrics_before: Metrics | None = field(default=None, repr=False)

    @property
    def seconds(self) -> float | None:
        """Between the two samples; None for a first one."""
        return None if self.before is None else self.last.at_s - self.before.at_s

    @property
    def cost(self) -> float | None:
        """The share of a CPU that watching took there between the two samples."""
        return None if self.before is None else (self.last.cost_s - self.before.cost_s) / (self.seconds or 1.0)


def merged(seen: Seen | None, line: str) -> Seen:
    """What is known of a guest after one more line: it says what is no longer as in the line before. Raises ValueError for what is none."""
    try:
        told = json.loads(line)
        last = _sample(seen.last if seen else Sample(0.0), told)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a line of the script that stays: {error}") from error
    if seen is None or last.at_s <= seen.last.at_s:
        return Seen(last)
    anew = last.metrics is not None and seen.last.metrics is not None and last.metrics.at_s > seen.last.metrics.at_s
    return Seen(last, seen.last, seen.last.metrics if anew else seen.metrics_before)


def _sample(before: Sample, told: Mapping[str, Any]) -> Sample:
    asked_at_s = told["asked_at_s"]
    metrics = before.metrics
    if asked_at_s is not None:
        values = _changed(metrics.values if metrics else {}, told["metrics"])
        metrics = Metrics(float(asked_at_s), values, str(told["fault"]))
    return Sample(
        float(told["at_s"]),
        _changed(before.files, told["files"]),
        _changed(before.spaces, told["spaces"]),
        _changed(before.cgroups, told["cgroups"]),
        tuple(
            (str(point), str(device), float(full), float(inodes)) for point, device, full, inodes in told["filesystems"]
        ),
        metrics,
        float(told["cost_s"]),
        float(told["next_s"]),
    )


def _changed(before: Mapping[str, Any], changes: Mapping[str, Any]) -> Mapping[str, Any]:
    together = {**before, **changes}
    return {name: value for name, value in together.items() if value is not None}


# ── as facts ─────────────────────────────────────────────────────────────────────────────────────────────────────


def guest_between(name: str, host: str, seen: Seen, pods: Pods) -> Guest | None:
    """What lies between the two samples, as `diagnose` has it of a guest, with nothing in what ticks do not read; None for a first one."""
    if seen.before is None or not seen.seconds:
        return None
    return read_guest(name, host, _raw(seen.before, seen.last, seen.seconds), pods, ())


def router_between(name: str, seen: Seen, label: str) -> Router | None:
    """What lies between the last two words of a guest's linkerd; `label` is the router that applications ask. None for a first one."""
    first, last = seen.metrics_before, seen.last.metrics
    if last is None:
        return None
    if last.fault:
        return Router(node=name, fault=last.fault)
    if first is None or first.fault:
        return None
    return read_router(name, first.values, last.values, label, last.at_s - first.at_s)


def _raw(first: Sample, last: Sample, seconds: float) -> dict[str, Any]:
    """As the script of a whole look says it (on_machine.look), with nothing in what ticks do not read."""
    return {
        "before": _state(first),
        "after": _state(last),
        "seconds": seconds,
        "filesystems": last.filesystems,
        "probes": (),
        "dns": (),
        "resolvers": (),
        "connections": {},
        "looks": 0,
        "sockets": True,
    }


def _state(sample: Sample) -> dict[str, Any]:
    spaces: dict[str, dict[str, str]] = defaultdict(dict)
    for key, text in sample.spaces.items():
        pod, _, path = key.rpartition(" ")
        spaces[pod][path] = text
    sysctl = {path: text for path, text in sample.files.items() if path.startswith("/proc/sys/net/core/")}
    own = {"": sysctl}
    return {
        "files": sample.files,
        "cgroups": sample.cgroups,
        "spaces": {
            pod: {"files": {**own.get(pod, {}), **told}, "listeners": (), "busy": {}} for pod, told in spaces.items()
        },
    }
