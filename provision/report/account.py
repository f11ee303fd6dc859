"""What a run has done so far, from its events: the truth that is told when it ends before its time."""

from __future__ import annotations

from collections.abc import Sequence

from provision.base.events import Changed, RunStarted, StageFinished, StageSkipped, StageStarted
from provision.report.sinks import Record

AGAIN = "to go on: run the same command again; it looks at what is there, and begins with what is missing"


class Account:
    """A sink that counts. `stages` are those that the run will go through, in order; none where it has no stages."""

    name = "the account of the run"

    def __init__(self, stages: Sequence[str] = ()) -> None:
        self._stages = tuple(stages)
        self._running, self._stage = False, ""
        self._done: list[str] = []
        self._here: list[Changed] = []

    def take(self, record: Record) -> None:
        """Notes what changes the account."""
        match record.event:
            case RunStarted():
                self._running = True
            case StageStarted(stage, _) if self._running:
                self._stage, self._here = stage, []
            case StageSkipped(stage, _):
                self._done.append(stage)
            case StageFinished(stage, _) if self._running:
                self._done.append(stage)
                self._stage, self._here = "", []
            case Changed() if self._running:
                self._here.append(record.event)
            case _:
                pass

    def close(self) -> None:
        """Nothing is held."""

    def text(self) -> str:
        """What was done and what was not, and how to go on."""
        if not self._running:
            return "nothing was changed"
        return "\n".join([*self._parts(), AGAIN])

    def _parts(self) -> list[str]:
        parts = [f"done: {', '.join(self._done)}"] if self._done else []
        if self._here:
            last = self._here[-1]
            where = f"done in stage {self._stage}" if self._stage else "done"
            parts.append(f"{where}: {len(self._here)} change(s), the last: {last.where}: {last.object}: {last.change}")
        left = [stage for stage in self._stages if stage not in (*self._done, self._stage)]
        parts += [f"not done: {', '.join([*self._rest(), *left])}"] if left or self._rest() else []
        return ["this was done and this was not", *parts] if parts else ["nothing was changed"]

    def _rest(self) -> list[str]:
        return [f"the rest of {self._stage}"] if self._stage else [] if self._stages else ["the rest of the list"]
