"""The counter at the doors: how many calls only read, and how many may have changed something.

Every call through a door is counted before it begins, so this is also where none begins any longer once the process was asked to end.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from provision.base import interruption
from provision.base.errors import MeshctlError


@dataclass
class Calls:
    """How many calls went through a door; shared by all doors of a run. Those of one host may be a part of the whole."""

    reads: int = 0
    mutations: int = 0
    whole: Calls | None = None
    _refusal: MeshctlError | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def refuse(self, why: MeshctlError) -> None:
        """From now on no call that may change something goes through: each raises `why`."""
        with self._lock:
            self._refusal = self._refusal or why

    @property
    def refused(self) -> bool:
        """Whether changes are refused."""
        return self._refusal is not None

    def count(self, *, changes: bool) -> None:
        """Adds one call, to the whole too, which then may begin. Raises Interrupted when the process was asked to end, and what was given
        to `refuse`, here or there, for one that changes something.
        """
        interruption.check()
        with self._lock:
            if changes and self._refusal is not None:
                raise self._refusal
            if self.whole is not None:
                self.whole.count(changes=changes)
            if changes:
                self.mutations += 1
            else:
                self.reads += 1
