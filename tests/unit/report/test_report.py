"""Events to people and programs."""

from __future__ import annotations

import io
import json
import typing

import pytest

from provision.base import events
from provision.base.events import (
    Changed,
    Event,
    Failed,
    Output,
    Progress,
    RunFinished,
    StageStarted,
    Warned,
)
from provision.base.secret import Secret
from provision.report.sinks import JsonLines, Lines, line_of, tee

SAMPLES: dict[type, object] = {str: "s", int: 1, float: 1.5}


def sample(cls: type) -> Event:
    hints = typing.get_type_hints(cls)
    return typing.cast(Event, cls(**{name: SAMPLES[kind] for name, kind in hints.items()}))


@pytest.mark.parametrize("cls", typing.get_args(events.Event))
def test_every_event_has_a_line_and_a_json_form(cls: type) -> None:
    event = sample(cls)
    assert line_of(event, verbose=True)
    stream = io.StringIO()
    emit, _ = tee(JsonLines(stream))
    emit(event)
    said = stream.getvalue()
    assert said == "" if cls is Progress else json.loads(said)["event"] == cls.__name__


def test_events_are_numbered_once_for_all_sinks() -> None:
    one, two = io.StringIO(), io.StringIO()
    emit, close = tee(JsonLines(one), JsonLines(two))
    emit(StageStarted("a", "A"))
    emit(Changed("h", "o", "c"))
    assert one.getvalue() == two.getvalue()
    assert [json.loads(line)["sequence"] for line in one.getvalue().splitlines()] == [1, 2]
    close()
    assert one.closed


def test_a_secret_is_refused_and_never_printed() -> None:
    token = Secret("abcdef.0123456789abcdef")
    emit, _ = tee(JsonLines(io.StringIO()))
    with pytest.raises(TypeError, match="Secret does not belong"):
        emit(Warned(token))  # type: ignore[arg-type]
    assert "abcdef" not in f"{token!r} {token}"


def test_plain_lines_show_progress_seldom_and_program_output_only_when_asked() -> None:
    stream = io.StringIO()
    emit, _ = tee(Lines(stream))
    for done in range(0, 101, 10):
        emit(Progress("upload", done * 2**20, 100 * 2**20, "bytes"))
    emit(Output("kubeadm", "noise"))
    assert stream.getvalue().splitlines() == ["   upload: 0 B of 100.0 MiB", "   upload: 100.0 MiB of 100.0 MiB"]
    assert line_of(Output("kubeadm", "noise"), verbose=True) == "   kubeadm| noise"


def test_a_failure_is_one_message_with_its_hint_and_the_end_counts_the_calls() -> None:
    assert line_of(Failed("mesh", "MeshError", 11, "no", "look"), verbose=False) == "error: mesh: no\nhint: look"
    assert "0 mutating and 7 reading calls" in (line_of(RunFinished("done", 1.0, 7, 0), verbose=False) or "")
