"""The counter at the doors: how many calls only read, and how many may have changed something."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class Calls:
    """How many calls went through a door; shared by all doors of a run."""

    reads: int = 0
    mutations: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, *, changes: bool) -> None:
        """Adds one call."""
        with self._lock:
            if changes:
                self.mutations += 1
            else:
                self.reads += 1
