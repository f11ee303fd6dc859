"""What happens during a run, as data. Whoever works emits; whoever shows or records matches on the union.

Every field is safe to print: secrets never enter an event (`report.tee` refuses a `Secret`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RunStarted:
    """`command` (provision, destroy …) begins on `cluster`."""

    command: str
    cluster: str


@dataclass(frozen=True)
class StageStarted:
    """A stage begins; `title` is for people."""

    stage: str
    title: str


@dataclass(frozen=True)
class StageSkipped:
    """A stage has nothing to do, and why."""

    stage: str
    reason: str


@dataclass(frozen=True)
class Changed:
    """One thing in the world was changed: `where` (host or guest), `object`, and the `change` made."""

    where: str
    object: str
    change: str


@dataclass(frozen=True)
class Waiting:
    """Still waiting for `what`; `seen` is the last thing observed, `seconds` the time since the wait began."""

    what: str
    seen: str
    seconds: float


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units (bytes, files, steps) of `what`; total 0 when it is not known."""

    what: str
    done: int
    total: int
    unit: str


@dataclass(frozen=True)
class Output:
    """One line of a program that works for us; `source` names it."""

    source: str
    line: str


@dataclass(frozen=True)
class Warned:
    """Not fatal, but somebody should know; `hint` is the next step."""

    message: str
    hint: str = ""


@dataclass(frozen=True)
class Found:
    """`doctor` found something on a host: an id that `meshctl explain` knows, what was seen, and what mends it."""

    where: str
    id: str
    severity: str
    seen: str
    fix: str


@dataclass(frozen=True)
class Asked:
    """A person is asked something on the terminal; what else is shown waits until they have answered."""

    question: str


@dataclass(frozen=True)
class Answered:
    """They answered: what they typed, or that they gave no answer."""

    answer: str


@dataclass(frozen=True)
class StepFinished:
    """A stage has done one `step` (first boot, join …) of its work on a node after `seconds`."""

    stage: str
    node: str
    step: str
    seconds: float


@dataclass(frozen=True)
class GaveUp:
    """The run goes on without a node (`--keep-going`): in which stage it failed, error class, message and hint."""

    stage: str
    node: str
    error: str
    message: str
    hint: str


@dataclass(frozen=True)
class StageFinished:
    """A stage ended well after `seconds`."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class Failed:
    """The run ends here, by a failure or because it was asked to (Interrupted): error class, exit code, message and hint."""

    stage: str
    error: str
    exit_code: int
    message: str
    hint: str


@dataclass(frozen=True)
class RunFinished:
    """The run ended: `done`, `failed` or `interrupted`. `reads` and `mutations` are the calls counted at the doors (libvirt and shell)."""

    outcome: str
    seconds: float
    reads: int
    mutations: int


Event = (
    RunStarted
    | StageStarted
    | StageSkipped
    | Changed
    | Waiting
    | Progress
    | Output
    | Warned
    | Found
    | Asked
    | Answered
    | StepFinished
    | GaveUp
    | StageFinished
    | Failed
    | RunFinished
)
Emit = Callable[[Event], None]


def nowhere(event: Event) -> None:
    """An `Emit` for callers that nobody watches."""
