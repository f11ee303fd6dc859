"""A linkerd.yaml for another release: step by step over all releases between, each change with its reason.

The steps come from the knowledge that the validator has; the text is changed as `--fix` changes it. What cannot be migrated
stays as it is and is named, and what changes in behaviour though no key does is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import partial
from itertools import pairwise

from provision.linkerd.check import Finding, validate
from provision.linkerd.knowledge.changes import Behaviour, behaviours
from provision.linkerd.knowledge.place import ANYWHERE, Place
from provision.linkerd.knowledge.versions import RELEASES
from provision.linkerd.mend import Inner, Task, rewritten
from provision.linkerd.mend.traps import twice
from provision.linkerd.migrate.concern import Concern
from provision.linkerd.migrate.stating import statements
from provision.linkerd.migrate.steps import Action, Step, actions, strangers
from provision.linkerd.routing import Config
from provision.linkerd.text import text_of, uncollected
from provision.linkerd.text.edit import CannotEdit, Draft

TWICE = "ML346"
"""The finding of a key that stands twice."""


@dataclass(frozen=True, order=True)
class Change:
    """One change, or one that cannot be made; `line` is that of the old text, and `release` the one that made it necessary."""

    line: int
    release: str
    field: str
    what: str
    why: str


@dataclass(frozen=True)
class Migrated:
    """The text for the other release; what was changed, what could not be, what behaves otherwise, and what its validator says."""

    text: str
    changes: tuple[Change, ...]
    left: tuple[Change, ...]
    behaviours: tuple[Behaviour, ...]
    findings: tuple[Finding, ...]


def path(source: str, target: str) -> tuple[Step, ...]:
    """The steps from a release to another one, forward or back."""
    first, last = RELEASES.index(source), RELEASES.index(target)
    way = RELEASES[first : last + 1] if first <= last else RELEASES[last : first + 1][::-1]
    return tuple(Step(here, there) for here, there in pairwise(way))


def migrate(text: str, source: str, target: str, place: Place = ANYWHERE) -> Migrated:
    """A configuration of `source` for `target`, both known releases; in a Kubernetes manifest too. Never raises for what it holds."""
    every: list[_Migration] = []

    def change(inner: Inner) -> str:
        every.append(_Migration(inner, source))
        every[-1].run(path(source, target))
        return every[-1].draft.text

    with uncollected():
        fresh = rewritten(text, place, change)
    told = {one for migration in every for one in migration.behaviours}
    listed = behaviours(*sorted((source, target), key=RELEASES.index))
    return Migrated(
        fresh,
        tuple(sorted(one for migration in every for one in migration.changes)),
        tuple(sorted({one for migration in every for one in migration.left})),
        tuple(one for one in listed if one in told),
        validate(fresh, target, place),
    )


class _Migration:
    """One configuration on its way, and what happened."""

    def __init__(self, inner: Inner, source: str) -> None:
        self.draft, self.place, self.block = Draft(inner.text), inner.place, inner.block
        self.lines = list(range(1, inner.text.count("\n") + 2))
        """For each line of the draft, the line of the old text that it comes from."""
        self.changes: list[Change] = []
        self.left: list[Change] = []
        self.behaviours: set[Behaviour] = set()
        self.source = source

    def run(self, steps: tuple[Step, ...]) -> None:
        try:
            self._once()
            for step in steps:
                self._step(step)
            self._name_the_rest(steps[-1].target if steps else self.source)
        except CannotEdit as error:
            self.left.append(Change(1, self.source, "", "is left as it is", str(error)))

    def _name_the_rest(self, target: str) -> None:
        """What the source knew and the target does not, and that has found no other place: it stays, and is named."""
        for at, since in strangers(self.draft, self.source, target):
            if text_of(at) not in {one.field for one in self.left}:
                action = Action(at, "is left as it is", f"{since}, and nothing in {target} means the same", _unchanged)
                self.left.append(Change(self._line(action), target, text_of(at), action.what, action.why))

    def _once(self) -> None:
        """Keys that stand twice: the one that is read stays, as long as a release reads one."""
        refused: set[str] = set()
        while True:
            findings = validate(self.draft.text, self.source, self.place)
            one = next((one for one in findings if one.id == TWICE and one.field not in refused), None)
            if one is None:
                return
            refused.add(one.field)
            task = Task(self.draft, one, self.source, self.place)
            why = "linkerd reads the last one, and refuses both from 1.0.1 on"
            self._made(Action(task.at, "stands once", why, partial(_once, task)), "1.0.1")

    def _step(self, step: Step) -> None:
        """Makes one change after the other; each looks at the text anew, for the one before may have moved what it changes."""
        if not step.forward:
            self._tell(step)
        stated = list(statements(self.draft, step, self.place))
        refused: set[tuple[str, str]] = set()
        while one := next((one for one in actions(self.draft, step) if _name(one) not in refused), None):
            if not self._made(one, step.later):
                refused.add(_name(one))
        for one in stated:
            self._made(one, step.later)
        if step.forward:
            self._tell(step)

    def _made(self, action: Action, release: str) -> bool:
        change = Change(self._line(action), release, text_of(action.at), action.what, action.why)
        try:
            after = action.edit(self.draft)
        except CannotEdit as error:
            self.left.append(replace(change, what="is left as it is", why=str(error)))
            return False
        if after.text == self.draft.text:
            return False
        self.changes.append(change)
        self.lines = _traced(self.draft.text, after.text, self.lines)
        self.draft = after
        return True

    def _line(self, action: Action) -> int:
        """The old text's line of what is changed, or of what it will stand in."""
        at, node = action.at, self.draft.find_key(action.at)
        while node is None and at:
            at = at[:-1]
            node = self.draft.find_key(at)
        line = self.lines[node.start_mark.line] if node is not None and node.start_mark else 1
        return line if self.block is None else line + self.block.begin.line

    def _tell(self, step: Step) -> None:
        concern = Concern(Config(self.draft.root, self.draft.text, step.later, self.place))
        listed = behaviours(*sorted(step, key=RELEASES.index))
        self.behaviours.update(one for one in listed if concern.concerns(one))


def _unchanged(draft: Draft) -> Draft:
    return draft


def _once(task: Task, _draft: Draft) -> Draft:
    return twice(task)


def _name(action: Action) -> tuple[str, str]:
    return text_of(action.at), action.what


def _traced(before: str, after: str, lines: list[int]) -> list[int]:
    """For each line of a changed text the old line: that of the one before it where it is new."""
    old, new = before.split("\n"), after.split("\n")
    head = _alike(old, new)
    tail = _alike(old[head:][::-1], new[head:][::-1])
    middle = slice(head, len(new) - tail)
    found = [*lines[:head], *[0] * len(new[middle]), *lines[len(old) - tail :]]
    changed = SequenceMatcher(None, old[head : len(old) - tail], new[middle], autojunk=False)
    for tag, low, high, first, last in changed.get_opcodes():
        begin = head + low
        own = (
            lines[begin : head + high]
            if tag == "equal"
            else [lines[min(begin + number, len(lines) - 1)] for number in range(last - first)]
        )
        found[head + first : head + last] = own
    return found


def _alike(these: list[str], those: list[str]) -> int:
    """How many lines at the beginning are the same."""
    pairs = zip(these, those, strict=False)
    return next((index for index, (one, other) in enumerate(pairs) if one != other), min(len(these), len(those)))
