"""How long vCPUs ran and waited for a CPU of the host, as libvirt says it of all domains at once. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_RAN = re.compile(r"vcpu\.(\d+)\.time")


@dataclass(frozen=True)
class VcpuTimes:
    """Since the start of the vCPU's thread: seconds on a CPU, and seconds that it was ready and waited for one; None where the host does
    not say (its kernel has no schedstat, or libvirt is older than 7.2).
    """

    ran_s: float
    waited_s: float | None


@dataclass(frozen=True)
class DomainTimes:
    """A domain that runs: its vCPUs by number. libvirt's test driver knows of none."""

    vcpus: Mapping[int, VcpuTimes]


def times_in(stats: Mapping[str, int]) -> DomainTimes:
    """What libvirt's statistics of a domain say (virConnectGetAllDomainStats; `delay` is the second field of the thread's schedstat)."""
    numbers = (int(match[1]) for key in stats if (match := _RAN.fullmatch(key)))
    vcpus = {n: VcpuTimes(stats[f"vcpu.{n}.time"] / 1e9, _seconds(stats.get(f"vcpu.{n}.delay"))) for n in numbers}
    return DomainTimes(vcpus)


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e9
