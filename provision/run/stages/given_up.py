"""The nodes that a run goes on without (`--keep-going`): each failed at something that concerns it alone."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from provision.base.calls import Calls
from provision.base.errors import MeshctlError, SomeFailed
from provision.base.events import Emit, Failed, GaveUp


class GivenUp:
    """The nodes given up so far, with the failure of each. Without `keep_going` there never is one: the first failure ends the run.

    Nor once `calls` refuse changes: a run that has lost its leases has nothing more to do on any node.
    """

    def __init__(self, calls: Calls | None = None, *, keep_going: bool = False) -> None:
        self.keep_going, self._calls = keep_going, calls or Calls()
        self._why: dict[str, MeshctlError] = {}
        self._lock = threading.Lock()

    def without(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of these nodes that are not given up."""
        return tuple(name for name in names if name not in self._why)

    def add(self, node: str, stage: str, error: MeshctlError, emit: Emit) -> None:
        """Gives a node up for a failure; raises it when the run does not go on."""
        if not self.keep_going or self._calls.refused:
            raise error
        with self._lock:
            known = node in self._why
            self._why.setdefault(node, error)
        if not known:
            emit(GaveUp(stage, node, type(error).__name__, error.message, error.hint))

    def tell(self, emit: Emit) -> None:
        """Raises SomeFailed when nodes were given up, with the cause and the next step of each."""
        if not self._why:
            return
        lines = "\n".join(f"  {_told(node, error)}" for node, error in sorted(self._why.items()))
        error = SomeFailed(
            f"{len(self._why)} node(s) were given up, all else is done:\n{lines}",
            hint="mend each as is said there, then run the command again: it goes on with them",
        )
        emit(Failed("", type(error).__name__, error.exit_code, error.message, error.hint))
        raise error


def _told(node: str, error: MeshctlError) -> str:
    message = error.message if error.message.startswith(node) else f"{node}: {error.message}"
    text = message + (f"\nhint: {error.hint}" if error.hint else "")
    return text.replace("\n", "\n    ")
