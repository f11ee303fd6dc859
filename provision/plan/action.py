"""One thing that a plan does, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verb(StrEnum):
    """What an action does."""

    CREATE = "create"
    CHANGE = "change"
    START = "start"
    LEAVE = "leave"


@dataclass(frozen=True)
class Action:
    """One thing to do in a stage. `where` is a host or a node; `kind` and `name` say what is done to."""

    stage: str
    verb: Verb
    where: str
    kind: str
    name: str
    reason: str
