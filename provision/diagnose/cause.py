"""What `diagnose` says: one cause of latency at one place, with how much of p99 it explains, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from provision.diagnose.pages import BY_ID

SURE = {"certain": 1.0, "likely": 0.6, "possible": 0.3}
"""What an estimate counts for in the ranking. certain: seen to have hit requests or packets; likely: it does where it is seen;
possible: it may.
"""


@dataclass(frozen=True)
class Cause:
    """`where` is a machine, a pod or a way; `seen` has the numbers; `explains_ms` of p99, 0 where nothing can be said.

    `touches` are the machines that it makes slow: what follows from it there is not told beside it.
    """

    id: str
    where: str
    seen: str
    explains_ms: float
    sure: str
    why: str
    fix: str
    docs: str
    touches: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def weight(self) -> float:
        """What the ranking goes by, in ms."""
        return self.explains_ms * SURE[self.sure]

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"touches": sorted(self.touches)}


def cause(
    id_: str, where: str, seen: str, explains_ms: float, sure: str, touches: Iterable[str], /, **values: object
) -> Cause:
    """A cause of an id of the registry; `values` fill in its fix."""
    page = BY_ID[id_]
    fix = page.filled(values)
    return Cause(id_, where, seen, round(explains_ms, 2), sure, page.matters, fix, page.anchor, frozenset(touches))
