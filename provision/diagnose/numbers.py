"""Counters of the kernel's files, and what lies between two reads of them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Files = Mapping[str, str]


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that so large a share is not above; None of nothing."""
    ranked = sorted(values)
    return ranked[max(math.ceil(share * len(ranked)) - 1, 0)] if ranked else None


def whole(files: Files, path: str) -> int | None:
    """A file that holds one number."""
    text = files.get(path, "").strip()
    return int(text) if text.lstrip("-").isdigit() else None


def table(text: str) -> dict[str, int]:
    """Lines of a name and a number, as /proc/vmstat and cpu.stat have them."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0].rstrip(":"): int(pair[1]) for pair in pairs if len(pair) >= 2 and pair[1].isdigit()}


def paired(text: str) -> dict[str, int]:
    """Lines of names and lines of numbers under a common title, as /proc/net/snmp and netstat have them: `Tcp.RetransSegs`."""
    lines = [line.split() for line in text.splitlines() if line]
    return {
        f"{names[0].rstrip(':')}.{name}": int(number)
        for names, numbers in zip(lines[::2], lines[1::2], strict=False)
        for name, number in zip(names[1:], numbers[1:], strict=False)
    }


def grown(first: Mapping[str, int], last: Mapping[str, int], name: str) -> int:
    """What a counter has gone up by; 0 where it is not counted, or was begun anew."""
    return max(last.get(name, 0) - first.get(name, 0), 0)


def rows(text: str) -> Iterator[list[str]]:
    """Lines as words."""
    return (line.split() for line in text.splitlines() if line.strip())


def stalled(before: Files, after: Files, what: str, seconds: float) -> float | None:
    """The share of time in which some task waited for cpu, memory or io: the `some` line's total (µs) of PSI."""

    def total(files: Files) -> int | None:
        line = next((one for one in rows(files.get(f"/proc/pressure/{what}", "")) if one[0] == "some"), [])
        return next((int(word.removeprefix("total=")) for word in line if word.startswith("total=")), None)

    first, last = total(before), total(after)
    return None if first is None or last is None else round((last - first) / 1e6 / seconds, 4)


def said(raw: Mapping[str, Any], when: str, name: str) -> Any:
    """A part of what a machine said before or after."""
    return raw[when][name]
