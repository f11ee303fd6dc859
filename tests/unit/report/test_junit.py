"""A run as a JUnit report."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

from provision.base.errors import InventoryError
from provision.base.events import (
    Changed,
    Event,
    Failed,
    GaveUp,
    RunFinished,
    RunStarted,
    StageFinished,
    StageSkipped,
    StageStarted,
    StepFinished,
)
from provision.cli.provision import provision
from provision.report import Junit, tee

BEGIN = (RunStarted("provision", "lab"), StageStarted("guests", "guests: boot"))


def report(tmp_path: Path, *events: Event, close: bool = True) -> ET.Element:
    path = tmp_path / "report.xml"
    emit, end = tee(Junit(path, "provision"))
    for event in events:
        emit(event)
    if close:
        end()
    assert [one.name for one in tmp_path.iterdir()] == ["report.xml"]
    (suite,) = ET.parse(path).getroot()
    return suite


def cases(suite: ET.Element) -> list[tuple[str | None, ...]]:
    return [
        (case.get("classname"), case.get("name"), case.get("time"), *(child.tag for child in case)) for case in suite
    ]


def test_stages_and_steps_are_cases_with_their_times(tmp_path: Path) -> None:
    suite = report(
        tmp_path,
        *BEGIN,
        StepFinished("guests", "w1", "boot", 2.5),
        Changed("hv1", "guest w1", "create"),
        StageFinished("guests", 3.0),
        StageSkipped("mesh", "nothing to do"),
        RunFinished("done", 4.0, 1, 2),
    )
    assert cases(suite) == [
        ("meshctl.provision.guests", "guests: boot", "3.000"),
        ("meshctl.provision.guests", "w1: boot", "2.500"),
        ("meshctl.provision.mesh", "mesh", "0.000", "skipped"),
    ]
    assert suite.get("name") == "meshctl provision lab"
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["3", "0", "0", "1"]


def test_a_failure_has_message_class_and_hint_and_no_control_characters(tmp_path: Path) -> None:
    said = "w1: \x1b[2Jno\x00 <boot>\nits console ends"
    suite = report(tmp_path, *BEGIN, Failed("guests", "StageTimeout", 9, said, "look & see"))
    ((failure,),) = suite
    assert (failure.get("type"), failure.get("message")) == ("StageTimeout", "w1: \\x1b[2Jno\\x00 <boot>")
    assert failure.text == "w1: \\x1b[2Jno\\x00 <boot>\nits console ends\nhint: look & see"
    assert suite.get("failures") == "1"


def test_nodes_that_were_given_up_fail_and_so_does_the_run(tmp_path: Path) -> None:
    suite = report(
        tmp_path,
        *BEGIN,
        GaveUp("guests", "w2", "StageTimeout", "w2: first boot", "look"),
        StageFinished("guests", 1.0),
        Failed("", "SomeFailed", 16, "1 node(s)", ""),
    )
    assert [case[:2] + case[3:] for case in cases(suite)] == [
        ("meshctl.provision.guests", "guests: boot"),
        ("meshctl.provision.guests", "w2", "failure"),
        ("meshctl.provision", "provision", "failure"),
    ]


def test_what_a_killed_run_left_says_where_it_was(tmp_path: Path) -> None:
    suite = report(tmp_path, *BEGIN, close=False)
    ((failure,),) = suite
    assert (failure.get("type"), failure.get("message")) == ("Interrupted", "the run was ended here")


def test_a_failure_before_there_is_a_run_is_in_it_too(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    done = CliRunner().invoke(provision, [str(tmp_path / "none.yaml"), "--junit", str(path)])
    assert isinstance(done.exception, InventoryError)
    ((case,),) = ET.parse(path).getroot()
    assert (case.get("name"), case[0].get("type")) == ("provision", "InventoryError")
    assert "which inventory did you mean?" in (case[0].text or "")


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    done = CliRunner().invoke(provision, [str(tmp_path / "none.yaml"), "--junit", str(tmp_path / "no" / "x.xml")])
    assert isinstance(done.exception, InventoryError)
    assert "x.xml: cannot be written" in done.exception.message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--plan", "x", "--wipe"), "--plan brings its own --wipe"),
        (("--limit", "w1", "--remove", "w2"), "not with --limit"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(provision, [str(tmp_path / "none.yaml"), *words])
    assert done.exit_code == 2
    assert said in done.output
