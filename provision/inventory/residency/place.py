"""A place where data of a cluster are or go to, as whoever found it says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Spot(NamedTuple):
    """Where another file than the inventory says something; line and column from 1."""

    file: str
    line: int
    column: int
    field: str


@dataclass(frozen=True)
class Place:
    """One place. `what` is there or goes there, `where` is who has it, in words; `field` says it in the inventory.

    A machine is known by its `address` (or name), and the policy's networks say its country; of a place without one the inventory says
    the `country` itself, empty where it does not. `fault` refuses it wherever it is. `say` is what to write to have it judged.
    `by_node`: nodes look its name up, and not pods, whom the cluster's own DNS would answer.
    """

    what: str
    where: str
    field: tuple[str | int, ...]
    address: str = ""
    country: str = ""
    fault: str = ""
    say: str = ""
    by_node: bool = False
    spot: Spot | None = None
