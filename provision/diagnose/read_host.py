"""The answer of the script on a hypervisor, as facts, with what is planned there. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from provision.diagnose.facts import Fact, Host, HostCpu, Other, Vcpu
from provision.diagnose.numbers import Files, grown, rows, table, whole
from provision.diagnose.read_machine import cpu_shares, files, read_disks, read_pressure

DEEP_US = 20
"""As for doctor's MC112: C1E wakes within some 10 µs, C6 within 80 to 130 and more (drivers/idle/intel_idle.c)."""

LEAST_SHARE = 0.01
"""Whoever had less of a CPU than that kept nobody waiting for long."""

_VCPU = re.compile(r"CPU (\d+)/(?:KVM|TCG)")


class Planned(Fact):
    """A guest as it is planned: its domain, the CPU of each vCPU as a list, and whether nobody else is to run there."""

    guest: str
    domain: str
    pins: tuple[str, ...]
    own: bool = True


def read_host(name: str, raw: Mapping[str, Any], planned: tuple[Planned, ...]) -> Host:
    """All facts."""
    before, after = files(raw)
    first, last = (table(one.get("/proc/vmstat", "")) for one in (before, after))
    scans, pages = (whole(after, f"/sys/kernel/mm/ksm/{one}") or 0 for one in ("full_scans", "pages_sharing"))
    chosen = re.search(r"\[(\w+)\]", after.get("/sys/kernel/mm/transparent_hugepage/enabled", ""))
    pressure = read_pressure(raw)
    return Host(
        name=name,
        vcpus=tuple(_vcpus(raw, planned)),
        others=tuple(_others(raw)),
        cpus=tuple(_cpus(raw)),
        pressure=pressure,
        numa_misses_per_s=round((_numa_misses(after) - _numa_misses(before)) / raw["seconds"], 1),
        ksm_scans=scans - (whole(before, "/sys/kernel/mm/ksm/full_scans") or 0),
        ksm_pages=pages,
        thp=chosen[1] if chosen else "",
        compact_stalls_per_s=round(grown(first, last, "compact_stall") / raw["seconds"], 3),
        disks=read_disks(raw),
        unread=tuple(_unread(raw, planned, pressure.cpu is None)),
    )


def _unread(raw: Mapping[str, Any], planned: tuple[Planned, ...], no_pressure: bool) -> Iterator[str]:
    after = files(raw)[1]
    lost = [one.guest for one in planned if one.domain not in raw["domains"]]
    if lost:
        yield f"the process of {', '.join(lost)}"
    if not raw["schedstat"]:
        yield "run-queue waits (no schedstat)"
    if no_pressure:
        yield "pressure (no PSI)"
    if not any("/cpufreq/" in path for path in after):
        yield "CPU frequency (no cpufreq)"


def _vcpus(raw: Mapping[str, Any], planned: tuple[Planned, ...]) -> Iterator[Vcpu]:
    threads = _threads(raw)
    for guest in planned:
        for name, (cpus, ran, waited, slices) in threads[raw["domains"].get(guest.domain, "")].items():
            match = _VCPU.fullmatch(name)
            if match and int(match[1]) < len(guest.pins):
                yield Vcpu(
                    guest=guest.guest,
                    vcpu=int(match[1]),
                    planned=guest.pins[int(match[1])],
                    live=cpus,
                    own=guest.own,
                    ran=round(ran / 1e9 / raw["seconds"], 4),
                    waited=round(waited / 1e9 / raw["seconds"], 4),
                    wait_ms=round(waited / 1e6 / slices, 4) if slices else 0.0,
                )


def _threads(raw: Mapping[str, Any]) -> dict[str, dict[str, tuple[str, int, int, int]]]:
    """By process and name of the thread."""
    found: dict[str, dict[str, tuple[str, int, int, int]]] = defaultdict(dict)
    for process, name, cpus, _, ran, waited, slices in raw["tasks"]:
        found[process][name] = (cpus, ran, waited, slices)
    return found


def _others(raw: Mapping[str, Any]) -> Iterator[Other]:
    """Whoever is no process of ours. One that moved is counted where it was last."""
    ours, shares = set(raw["domains"].values()), Counter[tuple[int, str]]()
    for process, name, _, cpu, ran, _, _ in raw["tasks"]:
        if process not in ours:
            shares[cpu, name] += ran
    for (cpu, who), ran in shares.most_common():
        share = round(ran / 1e9 / raw["seconds"], 4)
        if share >= LEAST_SHARE:
            yield Other(cpu=cpu, who=who, share=share)


def _cpus(raw: Mapping[str, Any]) -> Iterator[HostCpu]:
    before, after = files(raw)
    shares, interrupts = cpu_shares(raw), (_interrupts(before), _interrupts(after))
    for name, spent in shares.items():
        if name != "cpu":
            cpu = int(name.removeprefix("cpu"))
            folder = f"/sys/devices/system/cpu/cpu{cpu}/cpufreq"
            mhz, most = (whole(after, f"{folder}/{one}") for one in ("scaling_cur_freq", "cpuinfo_max_freq"))
            deep, deep_us = _deep(before, after, cpu, raw["seconds"])
            yield HostCpu(
                cpu=cpu,
                mhz=None if mhz is None else mhz / 1000,
                max_mhz=None if most is None else most / 1000,
                deep=deep,
                deep_us=deep_us,
                irqs_per_s=round((interrupts[1][cpu] - interrupts[0][cpu]) / raw["seconds"], 1),
                softirq=spent["softirq"],
            )


def _deep(before: Files, after: Files, cpu: int, seconds: float) -> tuple[float | None, int]:
    """The share of time in deep idle states, and the longest wake-up of one that was used (µs)."""
    folders = [
        path.rpartition("/")[0] for path in after if re.fullmatch(rf"/sys/.*/cpu{cpu}/cpuidle/state\d+/time", path)
    ]
    if not folders:
        return None, 0
    us = {one: (whole(after, f"{one}/time") or 0) - (whole(before, f"{one}/time") or 0) for one in folders}
    wakes = {one: whole(after, f"{one}/latency") or 0 for one in folders}
    deep = [one for one in folders if wakes[one] > DEEP_US and us[one] > 0]
    return round(sum(us[one] for one in deep) / 1e6 / seconds, 4), max((wakes[one] for one in deep), default=0)


def _interrupts(seen: Files) -> Counter[int]:
    """Interrupts of devices by CPU: the numbered ones; those of the kernel itself (timer, IPIs) have letters."""
    found = Counter[int]()
    head, *lines = list(rows(seen.get("/proc/interrupts", ""))) or [[]]
    for line in lines:
        if re.fullmatch(r"\d+:", line[0]):
            found.update({int(cpu[3:]): int(count) for cpu, count in zip(head, line[1:], strict=False)})
    return found


def _numa_misses(seen: Files) -> int:
    texts = (text for path, text in seen.items() if path.endswith("/numastat"))
    return sum(table(text).get("numa_miss", 0) for text in texts)
