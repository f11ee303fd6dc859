"""What of an object is no longer as it was applied: each field that the text has, in what the server has. Pure.

What the server adds of its own (defaults, status, who made it) is nobody's difference, and neither is another word for the same quantity.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|Ki|Mi|Gi|Ti|k|M|G|T)?")
_UNITS = {
    "m": 0.001, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip

Difference = tuple[str, str, str]
"""A field (`spec.ports[0].port`), what it was applied with, and what is there."""

SHOWN = 60
"""Characters of a value that are shown."""

_OURS_ALONE = ("apiVersion", "kind", "status")
"""Lists say the first two in their own way."""


def differences(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Every field of an object's text that the server has otherwise, or not at all."""
    said = {key: value for key, value in wanted.items() if key not in _OURS_ALONE}
    return tuple(_between(said, live, ""))


def _between(wanted: Any, live: Any, path: str) -> Iterator[Difference]:
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for key, value in wanted.items():
            yield from _between(value, live.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(wanted, list | tuple) and isinstance(live, list) and len(wanted) == len(live):
        for index, (one, other) in enumerate(zip(wanted, live, strict=True)):
            yield from _between(one, other, f"{path}[{index}]")
    elif not (_same(wanted, live) or (_empty(wanted) and _empty(live))):
        yield path, _shown(wanted), _shown(live)


def _same(wanted: Any, live: Any) -> bool:
    if wanted == live:
        return True
    amounts = [_amount(one) for one in (wanted, live)]
    return amounts[0] is not None and amounts[0] == amounts[1]


def _amount(value: Any) -> float | None:
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) * _UNITS[found[2] or ""] if found else None


def _empty(value: Any) -> bool:
    return value is None or value in ({}, [], "")


def _shown(value: Any) -> str:
    text = "nothing" if value is None else " ".join(str(value).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
