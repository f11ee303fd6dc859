"""Values that must not be seen: tokens and private keys."""

from __future__ import annotations


class Secret:
    """Text that prints as ``***``; `reveal` is the one way to it, so that each use can be found by name.

    Not a dataclass on purpose: `dataclasses.asdict` would copy its text into whatever is printed next.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: for a 0600 file or a channel to the one who must have it, nowhere else."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__
