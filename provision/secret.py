"""Values that must not be seen: tokens and private keys."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, repr=False)
class Secret:
    """Text that prints as ``***``; `reveal` is the one way to it, so that each use can be found by name."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        """The text itself: for a 0600 file or a channel to the one who must have it, nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__
