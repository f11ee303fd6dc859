"""The one command of a measurement."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files

WARM_S = 1.0
"""Asked and not counted: connections are opened, and a JVM meets the way."""

WITHIN_S = 10.0
"""A request that has no answer by then has failed; it counts with the time that it waited."""

START_S = 45.0
"""What a measurement takes beside its time at the most: python3 begins within 5 s on a busy emulated CPU, later beside noise."""

# The text goes by the script's name in messages; both its arguments are arguments, and no part of it.
_RUN = """
exec python3 -c "$1" "$2"
"""


def argv(
    address: str, port: int, *, host: str, per_s: float, for_s: float, churn: bool = False, sysctl: Mapping[str, str]
) -> list[str]:
    """The command that asks `host` at an address, `per_s` times a second. `churn`: a new connection for each request; `sysctl`: the
    kernel's settings meanwhile. It prints one JSON object, for `read_measured`.
    """
    spec = {
        "address": address,
        "port": port,
        "host": host,
        "per_s": per_s,
        "for_s": for_s,
        "warm_s": WARM_S,
        "within_s": WITHIN_S,
        "churn": churn,
        "sysctl": dict(sysctl),
    }
    text = files("provision.bench").joinpath("on_guest.py").read_text(encoding="utf-8")
    return ["sh", "-c", _RUN, "bench", text, json.dumps(spec)]


def longest_s(for_s: float) -> float:
    """How long a measurement can take, in seconds."""
    return WARM_S + for_s + WITHIN_S + START_S
