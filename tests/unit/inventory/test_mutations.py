"""Whatever stands in an inventory: no defect of meshctl, nothing that steers the terminal, no line that passes for ours, no wait."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from provision import cli
from provision.base import data
from provision.inventory.loader.document import Location, field_name
from provision.inventory.loader.faults import inner_model
from provision.inventory.model import Cluster

MUTANTS = int(os.environ.get("MESHCTL_MUTANTS", "500"))
"""5,000 take half a minute (MESHCTL_MUTANTS=5000)."""

LONGEST_S = 1.0

FORGED = "hint: all is well"
STEERING = (
    "\x1b[2J",
    f"x\n{FORGED}",
    f"x\r{FORGED}",
    "\x9b2J",
    "\x00",
    "a\u202eb",
    "\ud800",
    "\x7f",
    "\u2028x",
    "\xa0",
)

ODD: tuple[Any, ...] = (
    *STEERING, None, True, -1, 0, 1, 0.5, 10**19, int("9" * 400), [], {}, [[]], [None], {"a": {}}, "", " ", "x", "-",
    "/", "~", "~nobody-here/x", "..", "/etc", "/proc/1/x", "/dev/zero", "/var/lib/./x", "1" * 5000, "9" * 400 + "GiB",
    "0MiB", "8GiB", "0.0000000000001GiB", "1e999", "{{ x }}", "qemu:///session", "qemu+ssh://a:b@c:99999/system?no_verify=1",
    "qemu+ssh://[::1/system", "qemu://\udcff/system", "test://", "::1", "[::1]:22", "127.0.0.0/8", "0.0.0.0/0",
    "224.0.0.0/4", "10.0.0.0/33", "255.255.255.255", "v1.20." + "9" * 400, "v1.30.1", "/a => /b & /c;", "(" * 3000,
    "/a=>" + "(" * 500, "/#/io.l5d.k8s/default/http/x", "localhost", "a" * 64, "é", "ß" * 300, "<x/>", "%", "%s%n",
    "[bold]", "$(reboot)", "a b",
)  # fmt: skip

RAW = (
    "!!int x", "!!timestamp 2017-99-99", "!!bool maybe", "!!binary '*'", "!!set {a}", "9" * 5000, f"0.{'3' * 5000}",
    "0x" + "f" * 5000, "{{ x }}", "*a", "&a [*a]", "? [a]", "@", "`", "\t", "- - -", "[" * 400, "{a: " * 400, "|\n x",
    "<<", "%YAML 9", "...", "\x1b", "\x85",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _state_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MESHCTL_STATE", str(tmp_path / "state"))


def cli_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, str, float]:
    """Exit code, all that was printed, and seconds of CPU time, of a command in this process."""
    monkeypatch.setattr("sys.argv", ["meshctl", *words])
    started = time.process_time()
    code = cli._run()
    seconds = time.process_time() - started
    printed = capsys.readouterr()
    return code, printed.out + printed.err, seconds


def check(said: tuple[int, str, float], what: object) -> None:
    code, printed, seconds = said
    assert code in (0, 3), (what, printed)
    assert [one for one in printed if not one.isprintable() and one not in "\n\t"] == [], what
    assert not any(line.strip().startswith(FORGED) for line in printed.splitlines()), (what, printed)
    assert seconds <= LONGEST_S, (what, seconds)


def places(value: Any, at: Location = ()) -> Iterator[Location]:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*at, key))


def put(value: Any, at: Location, new: Any) -> Any:
    if not at:
        return new
    step, rest = at[0], at[1:]
    if isinstance(step, int):
        items = list(value) if isinstance(value, list) and value else [None]
        return [put(item, rest, new) if index == step else item for index, item in enumerate(items)]
    old = value if isinstance(value, dict) else {}
    return old | {step: put(old.get(step), rest, new)}


def mutant(number: int, bases: list[Any]) -> str:
    """Text of an inventory with some of its values, keys or lines exchanged."""
    chance = random.Random(number)
    value = chance.choice(bases)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.choice(list(places(value)))
        if chance.random() < 0.15 and at and isinstance(at[-1], str):
            at = (*at[:-1], str(chance.choice(ODD)))
        value = put(value, at, chance.choice(ODD)) if at or chance.random() < 0.05 else value
    text = json.dumps(value, indent=1) if chance.random() < 0.5 else yaml.safe_dump(value, width=1 << 20)
    lines = text.split("\n")
    if chance.random() < 0.3:
        line = chance.randrange(len(lines))
        key = lines[line].partition(": ")[0]
        lines[line] = f"{key}: {chance.choice(RAW)}"
    return "\n".join(lines)


def test_no_inventory_breaks_meshctl(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bases = [yaml.safe_load(path.read_text()) for path in sorted(data.folder("inventories").glob("*.yaml"))]
    bases.append(with_every_text("x"))
    file = tmp_path / "x.yaml"
    for number in range(MUTANTS):
        file.write_text(mutant(number, bases), encoding="utf-8", errors="surrogatepass")
        check(cli_says(capsys, monkeypatch, "validate", str(file)), number)


def text_fields(model: type[BaseModel], at: Location = ()) -> Iterator[Location]:
    """Every field of the inventory that may hold text."""
    for name, field in model.model_fields.items():
        listed = "tuple" in str(field.annotation)
        here: Location = (*at, name, 0) if listed else (*at, name)
        inner = inner_model(field.annotation)
        if inner is not None:
            yield from text_fields(inner, here)
        elif "dict" in str(field.annotation):
            yield (*here, "net.core.somaxconn")
        else:
            yield here


TEXTS = list(text_fields(Cluster))


def with_every_text(text: str) -> Any:
    value = yaml.safe_load((data.folder("inventories") / "lab.yaml").read_text())
    for at in TEXTS:
        value = put(value, at, text)
    return value


def test_all_fields_are_known_here() -> None:
    assert len(TEXTS) > 80
    assert {
        ("hosts", 0, "uri"),
        ("mesh", "dtab"),
        ("ssh", "proxy_command", 0),
        ("nodes", 0, "volumes", 0, "mount"),
    } < set(TEXTS)


@pytest.mark.parametrize("at", TEXTS, ids=field_name)
def test_no_field_steers_the_terminal_and_the_problem_stands_at_the_field(
    at: Location, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    base = yaml.safe_load((data.folder("inventories") / "lab.yaml").read_text())
    file = tmp_path / "x.yaml"
    for text in ("\x1b[2J", f"x\n{FORGED}", "a\u202eb"):
        file.write_text(json.dumps(put(base, at, text), indent=1))
        said = cli_says(capsys, monkeypatch, "validate", str(file))
        check(said, at)
        assert said[0] == 3
        if not (text.startswith("x") and at[-1] == "dtab"):
            assert f": {field_name(at)}: " in said[1]


def test_no_name_of_a_field_or_file_steers_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for text in (text for text in STEERING if text not in ("\x00", "\ud800")):
        file = tmp_path / f"x{text.replace('/', '')}.yaml"
        file.write_text(json.dumps({text: 1, "sysctl": {text: text}, "nodes": [{text: 1}], "mesh": {text: []}}))
        check(cli_says(capsys, monkeypatch, "validate", str(file)), text)
        check(cli_says(capsys, monkeypatch, "validate", f"{file}.gone"), text)


@pytest.mark.parametrize(
    "words", [("validate", "x", "\x1b[2J"), ("explain", "\x1b[2J"), ("\x1b[2J",), ("plan", "--\x1b[2J")]
)
def test_no_word_of_the_command_line_steers_the_terminal(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, printed, _ = cli_says(capsys, monkeypatch, *words)
    assert code not in (0, 70)
    assert "\x1b" not in printed


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("nodes: [{role: [a]}]", "nodes[0].role"),
        ("nodes: [{role: {a: b}}]", "nodes[0].role"),
        (f"nodes: [{{vcpus: {'9' * 400}}}]", "nodes[0].vcpus"),
        (f"nodes: [{{vcpus: {'9' * 5000}}}]", "nodes[0].vcpus"),
        (f"nodes: [{{memory: {'9' * 400}GiB}}]", "nodes[0].memory"),
        (f"hosts: [{{cpu: {{ratio: {'9' * 400}.5}}}}]", "hosts[0].cpu.ratio"),
        ("ssh: {key_file: ~nobody-here/x}", "ssh.key_file"),
        ("cluster: !!int x", ""),
        ("cluster: !!timestamp 2017-99-99", ""),
    ],
)
def test_what_crashed_is_a_problem_at_its_field(
    text: str, field: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    said = cli_says(capsys, monkeypatch, "validate", "--json", str(file))
    check(said, text)
    problems = json.loads(said[1][: said[1].index("\n}") + 2])["problems"]
    assert field in {one["field"] for one in problems}


def test_an_inventory_without_end_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = cli_says(capsys, monkeypatch, "validate", "/dev/zero")
    check(said, "/dev/zero")
    assert "larger than 4MiB" in said[1]
