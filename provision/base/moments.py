"""Moments as stamps say them (UTC, to the second) and spans of time as people write them (`2h`)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
"""What a moment looks like (ISO 8601): in text order they are in order of time."""

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

LONGEST_S = 90 * SECONDS["d"]
"""A throw-away cluster that is to live longer than a quarter of a year is none."""

_SPAN = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>[smhd])")
_FORM = "%Y-%m-%dT%H:%M:%SZ"


def moment(epoch_s: float) -> str:
    """Seconds of the epoch as a moment: `2026-11-30T05:00:00Z`."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime(_FORM)


def epoch_s(text: str) -> float:
    """Seconds of the epoch of a moment. Raises ValueError when it is none, such as the 31st of February."""
    return datetime.strptime(text, _FORM).replace(tzinfo=UTC).timestamp()


def is_moment(text: str) -> bool:
    """Whether a text is a moment."""
    try:
        return re.fullmatch(MOMENT, text) is not None and epoch_s(text) > 0
    except ValueError:
        return False


def parse_span(text: str) -> int:
    """Seconds of a span such as `90m`, `2h` or `7d`. Raises ValueError without a unit, for nothing, and beyond LONGEST_S."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a span of time: write it like 90m, 2h or 7d (s, m, h or d)")
    seconds = int(match["number"]) * SECONDS[match["unit"]]
    if not 0 < seconds <= LONGEST_S:
        raise ValueError(f"{text} is not between 1s and {LONGEST_S // SECONDS['d']}d")
    return seconds


def span_text(seconds: float) -> str:
    """A span for people, in its two largest units: `2 h 5 min`, `3 d`, `40 s`."""
    rest, parts = int(max(seconds, 0)), []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        parts.append((count, unit))
    first = next((number for number, (count, _) in enumerate(parts) if count), len(parts) - 1)
    shown = [f"{count} {unit}" for count, unit in parts[first : first + 2] if count]
    return " ".join(shown) or "0 s"
