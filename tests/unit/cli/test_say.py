"""One door to the terminal, which nothing that is said can steer."""

from __future__ import annotations

import ast
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.base.errors import InventoryError, Problem
from provision.base.events import Changed, Event, Failed, Found, Output, Warned
from provision.base.visible import visible, visible_block, visible_line
from provision.cli.failure import explain
from provision.report.sinks import Lines, Record, Terminal

PACKAGE = Path(__file__).parents[3] / "provision"
DOORS = {"cli/say.py", "inventory/loader/reference.py"}
"""The second prints a page of docs/ when a developer asks for it."""

PRINTING = {"echo", "secho", "confirm", "prompt", "print"}


def printing(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = node.func
            by_click = (
                isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "click"
            )
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in PRINTING and (by_click or (name == "print" and isinstance(called, ast.Name))):
                yield node.lineno


def test_nobody_prints_beside_the_door() -> None:
    found = {str(path.relative_to(PACKAGE)): list(printing(path)) for path in PACKAGE.rglob("*.py")}
    assert {file for file, lines in found.items() if lines} == DOORS


@pytest.mark.parametrize(
    ("text", "shown", "line", "block"),
    [
        ("plain", "plain", "plain", "plain"),
        ("\x1b[2J", "\\x1b[2J", "\\x1b[2J", "\\x1b[2J"),
        ("a\nhint: b", "a\nhint: b", "a\\nhint: b", "a\n    hint: b"),
        ("a\tb\r\n  c", "a\tb\\r\n  c", "a\\tb\\r\\n  c", "a\tb\\r\n  c"),
        ("\x9b\x7f\u202e\u2028\ud800\xa0", "\\x9b\\x7f\\u202e\\u2028\\ud800\\xa0", "\\x9b\\x7f\\u202e\\u2028\\ud800\\xa0", None),
        ("vCPU 0→1 é", "vCPU 0→1 é", "vCPU 0→1 é", "vCPU 0→1 é"),
    ],
)  # fmt: skip
def test_what_steers_is_written_out(text: str, shown: str, line: str, block: str | None) -> None:
    assert (visible(text), visible_line(text), visible_block(text)) == (shown, line, block or shown)


def test_a_failure_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Problem("x\x1b.yaml", 1, 1, "a\nb", "c\nhint: d", "e\nerror: f")
    assert explain(InventoryError("g\nhint: h\x1b", hint="i\nerror: j", problems=[problem])) == 3
    assert capsys.readouterr().err.splitlines() == [
        "x\\x1b.yaml:1:1: a\\nb: c\\nhint: d",
        "    hint: e\\nerror: f",
        "error: g",
        "    hint: h\\x1b",
        "hint: i",
        "    error: j",
    ]


def test_an_event_forges_no_line(capfd: pytest.CaptureFixture[str]) -> None:
    steering = "\x1b]0;x\x07\nerror: forged"
    events: tuple[Event, ...] = (
        Changed("hv1", steering, "made"), Warned(steering, steering), Output("kubeadm", steering),
        Found("hv1", "MC101", "warning", steering, "x"), Failed("guests", "X", 1, steering, steering),
    )  # fmt: skip
    stream = io.StringIO()
    terminal = Terminal(verbose=True)
    for number, event in enumerate(events):
        for sink in (Lines(stream, verbose=True), terminal):
            sink.take(Record("r", number, 0.0, event))
    terminal.close()
    printed = stream.getvalue() + capfd.readouterr().err
    assert "\x1b]0" not in printed
    assert "\x07" not in printed
    assert not any(line.startswith("error: forged") for line in printed.splitlines())
    assert printed.count("    error: forged") >= len(events)
