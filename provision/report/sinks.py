"""Events to people and programs: a terminal, plain lines, JSON lines, and the run log. Sinks match on the union."""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Protocol, assert_never

from provision.base import data
from provision.base.events import (
    Changed,
    Emit,
    Event,
    Failed,
    Found,
    Output,
    Progress,
    RunFinished,
    RunStarted,
    StageFinished,
    StageSkipped,
    StageStarted,
    Waiting,
    Warned,
)
from provision.base.units import approximate_size

PLAIN_PROGRESS_S = 10.0
"""Without a terminal a progress line comes at most this often: a stall shows, a log does not drown."""


@dataclass(frozen=True)
class Record:
    """An event with its place in the run."""

    run: str
    sequence: int
    time: float
    event: Event

    def as_json(self) -> str:
        """One JSON object on one line; the event's class is its `event`. Refuses secrets (TypeError)."""
        head = {
            "run": self.run,
            "sequence": self.sequence,
            "time": round(self.time, 3),
            "event": type(self.event).__name__,
        }
        return json.dumps(head | asdict(self.event), default=_refuse)


def _refuse(value: object) -> Any:
    raise TypeError(f"{type(value).__name__} does not belong into an event")


class Sink(Protocol):
    """One reader of events."""

    def take(self, record: Record) -> None:
        """Shows or stores one event. Called under a lock, in order."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...


def tee(*sinks: Sink) -> tuple[Emit, Callable[[], None]]:
    """An `emit` that stamps each event once and feeds every sink, in one order, from any thread; and its `close`."""
    run, lock = uuid.uuid4().hex[:12], threading.Lock()
    count = 0

    def emit(event: Event) -> None:
        nonlocal count
        with lock:
            count += 1
            record = Record(run, count, time.time(), event)
            for sink in sinks:
                sink.take(record)

    def close() -> None:
        for sink in sinks:
            sink.close()

    return emit, close


class JsonLines:
    """Every event as one JSON line, for --json and for the run log. Byte-wise progress is for people only."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def take(self, record: Record) -> None:
        """Writes one line."""
        if not isinstance(record.event, Progress):
            self._stream.write(record.as_json() + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Closes the stream unless it is a standard one."""
        if self._stream not in (sys.stdout, sys.stderr):
            self._stream.close()


def run_log(cluster: str) -> tuple[JsonLines, Path]:
    """A sink that keeps the run: runs/<time>-<cluster>/events.jsonl in the state folder."""
    folder = data.state("runs", f"{time.strftime('%Y%m%dT%H%M%S')}-{cluster}-{uuid.uuid4().hex[:4]}")
    folder.mkdir(parents=True, mode=0o700)
    path = folder / "events.jsonl"
    return JsonLines(path.open("w", encoding="utf-8")), path


class Lines:
    """Plain lines for logs and CI. `verbose` shows the output of the programs that work for us."""

    def __init__(self, stream: IO[str], *, verbose: bool = False) -> None:
        self._stream, self._verbose = stream, verbose
        self._progress: dict[str, float] = {}

    def take(self, record: Record) -> None:
        """Writes at most one line."""
        if isinstance(record.event, Progress) and not self._due(record.event):
            return
        if line := line_of(record.event, verbose=self._verbose):
            self._stream.write(line + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Nothing is held back."""

    def _due(self, progress: Progress) -> bool:
        now = time.monotonic()
        if now - self._progress.get(progress.what, 0.0) < PLAIN_PROGRESS_S and progress.done != progress.total:
            return False
        self._progress[progress.what] = now
        return True


class Terminal:
    """Lines as they come, with a live line of progress below them."""

    def __init__(self, *, verbose: bool = False) -> None:
        from rich.console import Console
        from rich.status import Status

        self._console = Console(stderr=True, highlight=False)
        self._status = Status("", console=self._console)
        self._verbose = verbose
        self._status.start()

    def take(self, record: Record) -> None:
        """Prints what stays, shows what passes."""
        from rich.markup import escape

        event = record.event
        if isinstance(event, Progress | Waiting) or (isinstance(event, Output) and not self._verbose):
            self._status.update(escape(line_of(event, verbose=True) or ""))
        elif line := line_of(event, verbose=self._verbose):
            self._console.print(escape(line), style=_STYLES.get(type(event)))

    def close(self) -> None:
        """Takes the live line away."""
        self._status.stop()


_STYLES: dict[type, str] = {
    StageStarted: "bold",
    Changed: "green",
    Warned: "yellow",
    Found: "yellow",
    Failed: "bold red",
    RunFinished: "bold",
}


def line_of(event: Event, *, verbose: bool) -> str | None:
    """One event as one line for people; None for what they need not see."""
    match event:
        case RunStarted(command, cluster):
            return f"{command} {cluster}"
        case StageStarted(stage, title):
            return f"── {stage}: {title}"
        case StageSkipped(stage, reason):
            return f"── {stage}: {reason}"
        case Changed(where, thing, change):
            return f"   {where}: {thing}: {change}"
        case Waiting(what, seen, seconds):
            return f"   … {what} ({seconds:.0f} s): {seen}"
        case Progress():
            return _progress(event)
        case Output(source, line):
            return f"   {source}| {line}" if verbose else None
        case Warned(message, hint):
            return f"   warning: {message}" + (f" ({hint})" if hint else "")
        case Found(where, id_, severity, seen, fix):
            return f"   {severity} {id_}: {where}: {seen}\n      fix: {fix}"
        case StageFinished(stage, seconds):
            return f"   {stage} done in {seconds:.1f} s"
        case Failed(stage, _, _, message, hint):
            return f"error: {stage}: {message}" + (f"\nhint: {hint}" if hint else "")
        case RunFinished(outcome, seconds, reads, mutations):
            return f"{outcome} in {seconds:.1f} s; {mutations} mutating and {reads} reading calls at the doors"
    assert_never(event)


def _progress(progress: Progress) -> str:
    if progress.unit == "bytes":
        amounts = approximate_size(progress.done), approximate_size(progress.total)
    else:
        amounts = str(progress.done), f"{progress.total} {progress.unit}"
    return (
        f"   {progress.what}: {amounts[0]} of {amounts[1]}" if progress.total else f"   {progress.what}: {amounts[0]}"
    )
