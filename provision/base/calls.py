"""The counter at the doors: how many calls only read, and how many may have changed something.

Every call through a door is counted before it begins, so this is also where none begins any longer once the process was asked to end.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from provision.base import interruption


@dataclass
class Calls:
    """How many calls went through a door; shared by all doors of a run."""

    reads: int = 0
    mutations: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, *, changes: bool) -> None:
        """Adds one call. Raises Interrupted when the process was asked to end: the call does not begin."""
        interruption.check()
        with self._lock:
            if changes:
                self.mutations += 1
            else:
                self.reads += 1
