"""Runbooks of docs/runbooks as data: each command with the lines that it is to say, and whether it did."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

RUNBOOKS = Path(__file__).parents[1] / "docs" / "runbooks"

_BLOCK = re.compile(r"^(?P<indent> *)```console\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A command of a page, and lines that it is to say, in order; `…` in them stands for anything."""

    command: str
    said: tuple[str, ...] = ()

    def words(self, inventory: str) -> list[str]:
        """What is run; INVENTORY stands for the inventory's file."""
        return [inventory if word == "INVENTORY" else word for word in self.command.split()]

    def unsaid(self, output: str) -> str:
        """The first of its lines that is not in the output behind the one before; "" when all are."""
        rest = iter(_plain(output))
        for line in self.said:
            wanted = re.compile(".*".join(re.escape(part.strip()) for part in line.split("…")))
            if not any(wanted.search(found) for found in rest):
                return line
        return ""


def steps(page: str) -> tuple[Step, ...]:
    """The commands of a page's console blocks, in order. Raises ValueError for a block that begins with no command."""
    return tuple(step for block in _BLOCK.finditer(page) for step in _steps(_plain(block["text"])))


def _steps(lines: Sequence[str]) -> Iterator[Step]:
    begins = [index for index, line in enumerate(lines) if line.startswith("$ ")]
    if begins[:1] != [0]:
        raise ValueError(f"a console block begins with a command: {lines[:1]}")
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        yield Step(lines[begin].removeprefix("$ "), tuple(lines[begin + 1 : end]))


def _plain(text: str) -> list[str]:
    """Lines with single blanks, as columns are wider or narrower with what stands in them."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]
