"""Sizes as people write them (`8GiB`) and as libvirt takes them (MiB, bytes)."""

from __future__ import annotations

import re
from fractions import Fraction

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

_FACTORS = {"KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": TIB}
# 18 digits of TiB are more than all the disks of the world, and 12 behind the point are bytes of a TiB.
_SIZE = re.compile(r"(?P<number>[0-9]{1,18}(?:\.[0-9]{1,12})?) ?(?P<unit>[KMGT]iB)")


def parse_size(text: str) -> int:
    """Bytes of a size such as ``8GiB``, ``512MiB`` or ``1.5TiB``.

    Raises ValueError when the unit is missing or is not a binary one: `8G` means 8·10⁹ to some tools
    and 8·2³⁰ to others, so it is refused and not guessed.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size; write it like 8GiB (KiB, MiB, GiB or TiB)")
    size = Fraction(match["number"]) * _FACTORS[match["unit"]]
    if size.denominator != 1:
        raise ValueError(f"{text!r} is not a whole number of bytes")
    return int(size)


def format_size(size: int) -> str:
    """The shortest exact spelling of a number of bytes that `parse_size` reads back; bytes when none is exact."""
    for unit, factor in reversed(_FACTORS.items()):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size} bytes"


def approximate_size(size: int) -> str:
    """A size for people, one decimal: ``309.0 MiB``."""
    for unit, factor in reversed(_FACTORS.items()):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"
