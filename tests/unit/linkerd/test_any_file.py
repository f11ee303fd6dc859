"""`mesh validate`, `--fix` and `mesh route` on 5,000 mutated files: an answer within a second, and never a defect.

By default a sample; MESHCTL_MUTANTS=5000 tries all, which takes some minutes.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import NamedTuple

import click
import pytest
from click.testing import CliRunner, Result

from provision.base.errors import MeshctlError
from provision.cli import meshctl
from tests.unit.linkerd.mutants import mutant

ALL = 5000
TRIED = int(os.environ.get("MESHCTL_MUTANTS", "100"))
NUMBERS = range(0, ALL, ALL // TRIED)

LONGEST_S = 1.0
"""CPU time for one call; the least of three when the first took longer, for on a busy machine any may."""

RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""What a terminal takes for a command, or what breaks a line that a reader counts."""


class Call(NamedTuple):
    """A command line, and what of its output has to be free of control characters."""

    arguments: tuple[str, ...]
    shown: Callable[[Result], str]


CALLS = {
    "validate --json": Call(("validate", "-", "--json"), lambda result: result.stdout),
    "validate": Call(("validate", "-"), lambda result: result.output),
    "fix": Call(("validate", "-", "--fix"), lambda result: result.stderr),
    "route": Call(("route", "-", "--host", "web", "--path", "/a/b"), lambda result: result.output),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_any_file_gets_an_answer(call: Call) -> None:
    for number in NUMBERS:
        text, release = mutant(number)
        arguments = (*call.arguments, "--linkerd", release)
        result, took = run(arguments, text)
        if took >= LONGEST_S:
            took = min(run(arguments, text)[1] for _ in range(2))
        known = result.exception is None or isinstance(
            result.exception, MeshctlError | SystemExit | click.ClickException
        )
        assert known, f"mutant {number} of linkerd {release}: {result.exception!r}"
        assert result.exit_code != 70
        assert took < LONGEST_S, f"mutant {number} of linkerd {release} took {took:.1f} s"
        assert RAW.findall(call.shown(result)) == [], f"mutant {number} of linkerd {release}"


def run(arguments: tuple[str, ...], text: str) -> tuple[Result, float]:
    """What a command says, and the CPU time that it took. What it raises is said at the program's edge: unit/cli/test_say.py."""
    begin = time.process_time()
    result = CliRunner().invoke(meshctl, ["mesh", *arguments], input=text, standalone_mode=False)
    return result, time.process_time() - begin
