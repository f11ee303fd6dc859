"""What host and guest have in common, of the answer of the script: pressure, disks, CPU time, probes. Pure."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from provision.diagnose.facts import Disk, Path, Pressure
from provision.diagnose.numbers import Files, percentile, rows, said, stalled

_WHOLE_DISK = re.compile(r"(?:sd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme\d+n\d+)")

CPU_TIMES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""The columns of /proc/stat (proc_stat(5))."""


def files(raw: Mapping[str, Any]) -> tuple[Files, Files]:
    """The files before and after."""
    return said(raw, "before", "files"), said(raw, "after", "files")


def read_pressure(raw: Mapping[str, Any]) -> Pressure:
    """PSI, where the kernel has it switched on."""
    before, after = files(raw)
    cpu, memory, io = (stalled(before, after, what, raw["seconds"]) for what in ("cpu", "memory", "io"))
    return Pressure(cpu=cpu, memory=memory, io=io)


def read_disks(raw: Mapping[str, Any]) -> tuple[Disk, ...]:
    """Whole disks that had work."""
    before, after = (_disks(one.get("/proc/diskstats", "")) for one in files(raw))
    found = (_disk(name, before.get(name, now), now, raw["seconds"]) for name, now in after.items())
    return tuple(one for one in found if one.ios_per_s > 0)


def _disks(text: str) -> dict[str, list[int]]:
    lines = (line for line in rows(text) if _WHOLE_DISK.fullmatch(line[2]))
    return {line[2]: [int(word) for word in line[3:14]] for line in lines}


def _disk(name: str, first: list[int], last: list[int], seconds: float) -> Disk:
    """Columns as in iostats.rst: reads, …, ms reading, writes, …, ms writing, in flight, ms busy, ms weighted."""
    reads, _, _, reading, writes, _, _, writing, _, busy, weighted = (b - a for a, b in zip(first, last, strict=True))
    done = reads + writes
    return Disk(
        name=name,
        ios_per_s=round(done / seconds, 2),
        await_ms=round((reading + writing) / done, 3) if done else 0.0,
        queue=round(weighted / 1000 / seconds, 3),
        busy=round(busy / 1000 / seconds, 4),
    )


def cpu_shares(raw: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """By `cpu`, `cpu0` …: the share of its time that went where."""
    first, last = (_times(one.get("/proc/stat", "")) for one in files(raw))
    return {name: _shares(first.get(name, times), times) for name, times in last.items()}


def _times(text: str) -> dict[str, list[int]]:
    lines = (line for line in rows(text) if re.fullmatch(r"cpu\d*", line[0]))
    return {line[0]: [int(word) for word in line[1:9]] for line in lines}


def _shares(first: list[int], last: list[int]) -> dict[str, float]:
    spent = [max(b - a, 0) for a, b in zip(first, last, strict=True)]
    total = sum(spent) or 1
    return {name: round(ticks / total, 4) for name, ticks in zip(CPU_TIMES, spent, strict=True)}


def read_paths(start: str, raw: Mapping[str, Any]) -> Iterator[Path]:
    """What the probes of one machine met."""
    for kind, end, _, row in raw["probes"]:
        rtts_ms = [us / 1000 for us in row["rtt_us"]]
        steps = [abs(b - a) for a, b in pairwise(rtts_ms)]
        yield Path(
            kind=kind,
            start=start,
            end=end,
            sent=row["sent"],
            lost=max(row["sent"] - len(rtts_ms), 0),
            median_ms=percentile(rtts_ms, 0.5),
            p99_ms=percentile(rtts_ms, 0.99),
            jitter_ms=round(statistics.fmean(steps), 3) if steps else 0.0,
            whole_sent=row["whole_sent"],
            whole_lost=max(row["whole_sent"] - row["whole_back"], 0),
            clock_ahead_s=_clock(row["clock"]),
        )


def _clock(answers: list[list[float]]) -> float | None:
    """The answer that was quickest says it best: the error is at most half of its round."""
    return round(min(answers)[1] / 1000, 4) if answers else None
