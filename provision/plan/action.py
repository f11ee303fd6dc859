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
    REMOVE = "remove"


@dataclass(frozen=True)
class Action:
    """One thing to do in a stage. `where` is a host or a node; `kind` and `name` say what is done to."""

    stage: str
    verb: Verb
    where: str
    kind: str
    name: str
    reason: str
    basis: str = ""
    """What is there of it, as a digest: one that is another when the action is done was changed by somebody else meanwhile."""

    @property
    def deed(self) -> tuple[str, ...]:
        """What is done to what, without the words for it: errors that it gives as its reason differ from look to look."""
        return (self.stage, self.verb, self.where, self.kind, self.name, self.basis)
