"""Runbooks of docs/runbooks as data: each command with the lines that it is to say, and whether it did; each edit of the inventory.

A word in capitals stands for something of the reader's, as INVENTORY for the inventory's file.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RUNBOOKS = Path(__file__).parents[1] / "docs" / "runbooks"

_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<kind>console|diff)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_STAND_IN = re.compile(r"\b[A-Z][A-Z0-9_]{2,}\b")
_STATUS = re.compile(r" # exit code (\d+)$")

Names = Mapping[str, str]
"""What the words in capitals stand for."""


@dataclass(frozen=True)
class Step:
    """A command of a page, lines that it is to say, in order (`…` in them stands for anything), and its exit code."""

    command: str
    said: tuple[str, ...] = ()
    status: int = 0

    def words(self, names: Names) -> list[str]:
        """What is run. Raises KeyError for a word in capitals that stands for nothing."""
        return [_filled(word, names) for word in shlex.split(self.command)]

    def unsaid(self, output: str, names: Names | None = None) -> str:
        """The first of its lines that is not in the output behind the one before; "" when all are."""
        rest = iter(_plain(output))
        for line in self.said:
            wanted = re.compile(_any(_STAND_IN.sub(lambda found: (names or {}).get(found[0], found[0]), line)))
            if not any(wanted.search(found) for found in rest):
                return line
        return ""


@dataclass(frozen=True)
class Edit:
    """A change of the inventory: lines of a diff, in which `…` stands for anything, and alone on its line for further lines that are
    indented as far as it is.
    """

    lines: tuple[str, ...]

    def of(self, text: str, names: Names) -> str:
        """The inventory's text with it. Raises ValueError unless there is one place for it, KeyError as for a step."""
        lines = [_Line.of(_filled(line, names)) for line in self.lines]
        depth = min(line.depth for line in lines)
        old = "".join(f"(?P<l{at}>{line.pattern(depth)})" for at, line in enumerate(lines) if line.sign != "+")
        places = list(re.finditer(f"^(?=(?P<indent> *)){old}", text, re.MULTILINE))
        if len(places) != 1:
            raise ValueError(f"{len(places)} places in the inventory for:\n" + "\n".join(self.lines))
        (place,) = places
        changed = ""
        for at, line in enumerate(lines):
            if line.sign != "-":
                changed += place[f"l{at}"] if line.sign == " " else f"{place['indent']}{line.text[depth:]}\n"
        return text[: place.start()] + changed + text[place.end() :]


@dataclass(frozen=True)
class _Line:
    """A line of a diff: what is to become of it, and the inventory's line."""

    sign: str
    text: str

    @classmethod
    def of(cls, line: str) -> _Line:
        if line[:1] not in ("+", "-", " "):
            raise ValueError(f"a line of a diff begins with +, - or a blank: {line!r}")
        return cls(line[0], line[1:])

    @property
    def depth(self) -> int:
        return len(self.text) - len(self.text.lstrip())

    def pattern(self, less: int) -> str:
        """A regular expression for it, behind the place's own indentation."""
        blanks, body = self.depth - less, self.text.strip()
        if body == "…":
            return f"(?:(?:(?P=indent) {{{blanks},}}\\S.*)?\\n)*"
        return f"(?P=indent) {{{blanks}}}{_any(body)}\\n"


Part = Step | Edit


def parts(page: str) -> tuple[Part, ...]:
    """What a page has a person do, in order. Raises ValueError for a console block that begins with no command."""
    return tuple(part for block in _BLOCK.finditer(page) for part in _parts(block))


def stand_ins(page: str) -> frozenset[str]:
    """The words in capitals of a page's commands and edits."""
    said = [text for part in parts(page) for text in ([part.command] if isinstance(part, Step) else part.lines)]
    return frozenset(_STAND_IN.findall("\n".join(said)))


def _parts(block: re.Match[str]) -> Iterator[Part]:
    lines = [line.removeprefix(block["indent"]) for line in block["text"].splitlines()]
    if block["kind"] == "diff":
        yield Edit(tuple(lines))
    else:
        yield from _steps(_plain("\n".join(lines)))


def _steps(lines: Sequence[str]) -> Iterator[Step]:
    begins = [index for index, line in enumerate(lines) if line.startswith("$ ")]
    if begins[:1] != [0]:
        raise ValueError(f"a console block begins with a command: {lines[:1]}")
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        status = _STATUS.search(lines[begin])
        command = _STATUS.sub("", lines[begin]).removeprefix("$ ")
        yield Step(command, tuple(lines[begin + 1 : end]), int(status[1]) if status else 0)


def _filled(text: str, names: Names) -> str:
    return _STAND_IN.sub(lambda found: names[found[0]], text)


def _any(line: str) -> str:
    """A regular expression for a line in which `…` stands for anything."""
    return ".*".join(re.escape(part.strip()) for part in line.split("…"))


def _plain(text: str) -> list[str]:
    """Lines with single blanks, as columns are wider or narrower with what stands in them."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]
