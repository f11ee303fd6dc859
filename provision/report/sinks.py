"""Events to people and programs: a terminal, plain lines, JSON lines, and the run log. Sinks match on the union."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import IO, Any, Protocol, assert_never

from provision.base import interruption
from provision.base.errors import cause
from provision.base.events import (
    Answered,
    Asked,
    Changed,
    Emit,
    Event,
    Failed,
    Found,
    GaveUp,
    Output,
    Progress,
    RunFinished,
    RunStarted,
    StageFinished,
    StageSkipped,
    StageStarted,
    StepFinished,
    Waiting,
    Warned,
)
from provision.base.units import approximate_size
from provision.base.visible import visible_block

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
    """One reader of events; `name` says where it writes them."""

    @property
    def name(self) -> str:
        """Where it writes them."""
        ...

    def take(self, record: Record) -> None:
        """Shows or stores one event. Called under a lock, in order."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...


def tee(*sinks: Sink) -> tuple[Emit, Callable[[], None]]:
    """An `emit` that stamps each event once and feeds every sink, in one order, from any thread; and its `close`.

    A sink whose stream fails is fed no more. When it was a pipe that nobody reads any longer, the process is asked to end;
    else the others are told, and the run goes on.
    """
    feed = _Feed(list(sinks))
    return feed.emit, feed.close


class _Feed:
    def __init__(self, sinks: list[Sink]) -> None:
        self._sinks, self._run, self._lock, self._count = sinks, uuid.uuid4().hex[:12], threading.RLock(), 0

    def emit(self, event: Event) -> None:
        with self._lock:
            self._count += 1
            record = Record(self._run, self._count, time.time(), event)
            for sink in list(self._sinks):
                self._try(sink, partial(sink.take, record))

    def close(self) -> None:
        with self._lock:
            for sink in list(self._sinks):
                self._try(sink, sink.close)

    def _try(self, sink: Sink, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            self._sinks.remove(sink)
            if isinstance(error, BrokenPipeError):
                interruption.ask("a closed pipe", 128 + signal.SIGPIPE)
            self.emit(Warned(f"the run is no longer written to {sink.name}: {cause(error)}", "the run goes on without"))


class JsonLines:
    """Every event as one JSON line, for --json and for the run log. Byte-wise progress is for people only."""

    def __init__(self, stream: IO[str], name: str = "stdout") -> None:
        self._stream, self.name = stream, name

    def take(self, record: Record) -> None:
        """Writes one line."""
        if not isinstance(record.event, Progress):
            self._stream.write(record.as_json() + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Closes the stream unless it is a standard one."""
        if self._stream not in (sys.stdout, sys.stderr):
            self._stream.close()


class Lines:
    """Plain lines for logs and CI. `verbose` shows the output of the programs that work for us."""

    name = "stderr"

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
    """Lines as they come, with a live line of progress below them. Silent while a question waits for its answer."""

    name = "the terminal"

    def __init__(self, *, verbose: bool = False) -> None:
        from rich.console import Console
        from rich.status import Status

        self._console = Console(stderr=True, highlight=False)
        self._status = Status("", console=self._console)
        self._verbose = verbose
        self._held: list[Event] | None = None
        self._status.start()

    def take(self, record: Record) -> None:
        """Prints what stays, shows what passes."""
        match record.event:
            case Asked():
                self._status.stop()
                self._held = []
            case Answered():
                held, self._held = self._held or [], None
                self._status.start()
                for event in held:
                    self._show(event)
            case event if self._held is not None:
                self._held.append(event)
            case event:
                self._show(event)

    def _show(self, event: Event) -> None:
        from rich.markup import escape

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
    GaveUp: "bold red",
    Failed: "bold red",
    RunFinished: "bold",
}


def line_of(event: Event, *, verbose: bool) -> str | None:
    """One event as one line for people; None for what they need not see. What it tells of others steers no terminal."""
    words = {name: visible_block(said) for name, said in vars(event).items() if isinstance(said, str)}
    return _line(replace(event, **words), verbose=verbose)  # type: ignore[arg-type] # of the event's own fields


def _line(event: Event, *, verbose: bool) -> str | None:
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
        case Asked(question):
            return f"   asked: {question}"
        case Answered(answer):
            return f"   answered: {answer}"
        case StepFinished(_, node, step, seconds):
            return f"   {node}: {step} done in {seconds:.1f} s" if verbose else None
        case GaveUp(_, node, _, message, hint):
            return f"   given up: {node}: {message}" + (f"\n   hint: {hint}" if hint else "")
        case StageFinished(stage, seconds):
            return f"   {stage} done in {seconds:.1f} s"
        case Failed(error="Interrupted"):
            return None  # the command line says it, at the very end
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
