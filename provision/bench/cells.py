"""What is measured: ways of a request, and what is done to the machines meanwhile. A cell is one combination. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from provision.base.errors import InventoryError
from provision.inventory.model import SEED_SYSCTL

DIRECT, ONE_HOP, PAIRED = WAYS = ("direct", "one-hop", "linker-to-linker")
PINNED, FLOATING = "pinned", "floating"
QUIET, NOISY = "quiet", "noisy"
CHURN, WITH, WITHOUT = "churn", "with-sysctl", "without-sysctl"

KERNELS_OWN: Mapping[str, str] = {
    "net.ipv4.tcp_tw_reuse": "2",
    "net.ipv4.ip_local_port_range": "32768 60999",
    "net.core.somaxconn": "4096",
}
"""What Linux 6.1 has by itself for the article's three settings (Documentation/networking/ip-sysctl)."""

SYSCTL: Mapping[str, Mapping[str, str]] = {
    "": {},
    WITH: {name: str(value) for name, value in SEED_SYSCTL.items()},
    WITHOUT: KERNELS_OWN,
}
"""What the asking guest's kernel has meanwhile; nothing is changed where a cell is not about that."""


@dataclass(frozen=True)
class Cell:
    """One combination. `sysctl`: a new connection for each request, WITH or WITHOUT the article's settings; empty: connections stay."""

    way: str
    pins: str = PINNED
    neighbour: str = QUIET
    sysctl: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """What it is called by, and chosen by."""
        return (self.way, self.pins, self.neighbour, *((CHURN, self.sysctl) if self.sysctl else ()))

    def __str__(self) -> str:
        return " ".join(self.words)


WORDS = frozenset((*WAYS, PINNED, FLOATING, QUIET, NOISY, CHURN, WITH, WITHOUT))


def cells(ways: Iterable[str] = WAYS) -> tuple[Cell, ...]:
    """All cells of these ways, those together that need the same of the machines."""
    ways = tuple(ways)
    states = ((PINNED, QUIET), (FLOATING, QUIET), (FLOATING, NOISY), (PINNED, NOISY))
    kept = [Cell(way, pins, neighbour) for pins, neighbour in states for way in ways]
    return (*kept, *(Cell(way, sysctl=sysctl) for way in ways for sysctl in (WITH, WITHOUT)))


def chosen(found: Iterable[Cell], only: Sequence[str]) -> tuple[Cell, ...]:
    """The cells that have all words of one of `only` (`one-hop,noisy`); all of them where nothing is said.

    Raises InventoryError for a word that no cell has, and where no cell is left.
    """
    wanted = [frozenset(one.split(",")) for one in only]
    strange = sorted(set().union(*wanted) - WORDS)
    hint = f"words are {', '.join((*WAYS, PINNED, FLOATING, QUIET, NOISY, CHURN, WITH, WITHOUT))}"
    if strange:
        raise InventoryError(f"no cell is called {', '.join(strange)}", hint=hint)
    left = tuple(one for one in found if not wanted or any(words <= set(one.words) for words in wanted))
    if not left:
        raise InventoryError("there is no such cell here", hint=hint)
    return left


def in_order(found: Sequence[Cell], run: int) -> tuple[Cell, ...]:
    """The order of a run, from 0: every other run goes backwards, so that what drifts with time does not favour a cell."""
    return tuple(reversed(found)) if run % 2 else tuple(found)


def without(found: Iterable[Cell], words: Collection[str]) -> tuple[Cell, ...]:
    """The cells that have none of these words."""
    return tuple(one for one in found if not set(words) & set(one.words))
