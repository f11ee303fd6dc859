"""What is kept of runs and crashes: private, not for ever, and never a reason for a run to end."""

from __future__ import annotations

import io
import json
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from provision.base.errors import MeshctlError
from provision.base.events import Answered, Asked, Changed, Warned
from provision.cli.failure import explain
from provision.report import Account, JsonLines, crash_file, run_log, tee
from provision.report.sinks import Terminal


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MESHCTL_STATE", str(tmp_path / "a" / "state"))
    monkeypatch.delenv("MESHCTL_KEEP_RUNS", raising=False)
    return tmp_path / "a" / "state"


def _modes(top: Path) -> dict[str, int]:
    return {str(path.relative_to(top.parent)): stat.S_IMODE(path.stat().st_mode) for path in [top, *top.rglob("*")]}


def test_files_are_for_their_user_alone_and_so_are_their_folders(state: Path) -> None:
    log, why = run_log("lab")
    assert log
    log.close()
    crash_file(ValueError("x"))
    assert why == ""
    modes = _modes(state)
    assert {mode for path, mode in modes.items() if "." in path} == {0o600}
    assert {mode for path, mode in modes.items() if "." not in path} == {0o700}
    assert len(modes) == 6


@pytest.mark.parametrize(("setting", "kept"), [(None, 50), ("3", 3)])
def test_the_oldest_beyond_those_to_keep_go_and_nothing_else(
    state: Path, monkeypatch: pytest.MonkeyPatch, setting: str | None, kept: int
) -> None:
    for number in range(60):
        (state / "runs" / f"20200101T0000{number:02}-lab-0000").mkdir(parents=True)
        (state / "crashes").mkdir(exist_ok=True)
        (state / "crashes" / f"20200101T0000{number:02}.txt").touch()
    (state / "runs" / "mine").mkdir()
    if setting:
        monkeypatch.setenv("MESHCTL_KEEP_RUNS", setting)
    log, _ = run_log("lab")
    assert log
    crash_file(ValueError("x"))
    for folder, others in (("runs", {"mine"}), ("crashes", set())):
        names = {entry.name for entry in (state / folder).iterdir()}
        assert others <= names
        left = sorted(names - others)
        assert len(left) == kept
        assert not left[-1].startswith("2020")
        assert left[-2].startswith("20200101T000059")


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/state"])
def test_without_a_place_to_write_there_is_no_log_and_a_reason(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("MESHCTL_STATE", place)
    log, why = run_log("lab")
    assert log is None
    assert why.startswith(place.rpartition("/")[0])
    assert not why.endswith(": ")


def test_a_setting_that_is_no_number_is_a_reason_too(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHCTL_KEEP_RUNS", "many")
    assert run_log("lab") == (
        None,
        "MESHCTL_KEEP_RUNS is 'many' (it says how many runs and crashes are kept: 1 or more)",
    )


def test_a_log_that_fills_the_disk_ends_and_the_run_goes_on() -> None:
    screen = io.StringIO()
    with suppress(OSError), open("/dev/full", "w") as full:
        emit, _ = tee(JsonLines(screen), JsonLines(full, "/state/events.jsonl"))
        emit(Changed("h", "o", "c"))
        emit(Changed("h", "p", "c"))
    events = [json.loads(line) for line in screen.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["Changed", "Warned", "Changed"]
    assert events[1]["message"] == "the run is no longer written to /state/events.jsonl: No space left on device"


def test_a_defect_is_told_also_where_its_file_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MESHCTL_STATE", "/proc/nowhere")
    assert explain(EOFError()) == 70
    said = capsys.readouterr().err
    assert said.startswith("error: a defect of meshctl: EOFError: EOFError\n")
    assert "which could not be written: No such file or directory" in said


def test_a_full_disk_is_no_defect(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(OSError(28, "No space left on device", "/x/y")) == 1
    assert capsys.readouterr().err.startswith("error: /x/y cannot be written on this machine: No space left on device")


def test_nothing_is_shown_between_a_question_and_its_answer(capfd: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    emit, close = tee(terminal)
    emit(Asked("Make these 3 changes?"))
    capfd.readouterr()
    emit(Warned("meanwhile"))
    emit(Changed("h", "o", "c"))
    assert capfd.readouterr().err == ""
    assert not terminal._status._live.is_started
    emit(Answered("yes"))
    said = capfd.readouterr().err
    assert said.index("meanwhile") < said.index("h: o: c")
    close()


def test_before_a_run_begins_nothing_was_changed() -> None:
    account = Account(("hosts",))
    emit, _ = tee(account)
    emit(Warned("x"))
    assert account.text() == "nothing was changed"


def test_no_home_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from provision.base import data

    monkeypatch.setattr(Path, "home", _homeless)
    for variable in ("MESHCTL_CACHE", "XDG_CACHE_HOME", "MESHCTL_STATE", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(MeshctlError, match="there is no home folder") as caught:
        data.cache("x")
    assert "MESHCTL_CACHE" in caught.value.hint
    log, why = run_log("lab")
    assert log is None
    assert "HOME" in why


def _homeless() -> Path:
    raise RuntimeError("Could not determine home directory.")
