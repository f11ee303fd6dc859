"""A run as a JUnit report, which CI systems show: a test case per stage, and one per step on each node."""

from __future__ import annotations

import os
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from pathlib import Path

from provision.base.errors import MeshctlError
from provision.base.events import (
    Failed,
    GaveUp,
    RunFinished,
    RunStarted,
    StageFinished,
    StageSkipped,
    StageStarted,
    StepFinished,
)
from provision.base.visible import visible, visible_line
from provision.report.sinks import Record

UNENDED = "the run was ended here"


@dataclass(frozen=True)
class _Case:
    """`wrong` and `kind` are what failed and its error class, `hint` the next step; `skipped` says why there was nothing to do."""

    stage: str
    name: str
    seconds: float = 0.0
    wrong: str = ""
    kind: str = ""
    hint: str = ""
    skipped: str = ""


class Junit:
    """A sink that keeps a file up to date, whole at any time: a run that is killed leaves what it did, and where it was."""

    def __init__(self, path: Path, command: str) -> None:
        """Writes the file for the first time. Raises OSError when it cannot be written."""
        self.name, self._path, self._command = str(path), path, command
        self._cluster, self._began = "", time.time()
        self._cases: list[_Case] = []
        self._open: dict[str, tuple[int, float]] = {}
        self._told = ""
        self._write(0.0)

    def take(self, record: Record) -> None:
        """Notes what makes a case, and writes the file."""
        if self._noted(record):
            self._write(record.time - self._began)

    def fail(self, error: MeshctlError) -> None:
        """Notes how the command ended, if no event said so."""
        if error.message != self._told:
            self._cases.append(
                _Case("", self._command, wrong=error.message, kind=type(error).__name__, hint=error.hint)
            )

    def close(self) -> None:
        """Writes the file for the last time."""
        if not self._cases:
            self._cases.append(_Case("", self._command, time.time() - self._began))
        self._write(time.time() - self._began)

    def _noted(self, record: Record) -> bool:
        match record.event:
            case RunStarted(_, cluster):
                self._cluster = cluster
            case StageStarted(stage, title):
                self._open[stage] = (len(self._cases), record.time)
                self._cases.append(_Case(stage, title, wrong=UNENDED, kind="Interrupted"))
            case StageSkipped(stage, reason):
                self._cases.append(_Case(stage, stage, skipped=reason))
            case StageFinished(stage, seconds):
                self._end(stage, seconds)
            case StepFinished(stage, node, step, seconds):
                self._cases.append(_Case(stage, f"{node}: {step}", seconds))
            case GaveUp(stage, node, error, message, hint):
                self._cases.append(_Case(stage, node, wrong=message, kind=error, hint=hint))
            case Failed(stage, error, _, message, hint):
                self._fail(record, stage, _Case("", self._command, wrong=message, kind=error, hint=hint))
            case RunFinished():
                pass
            case _:
                return False
        return True

    def _end(self, stage: str, seconds: float) -> None:
        place, _ = self._open.pop(stage)
        self._cases[place] = _Case(stage, self._cases[place].name, seconds)

    def _fail(self, record: Record, stage: str, how: _Case) -> None:
        """In its stage, if that is open; else as the command's own."""
        self._told = how.wrong
        if stage not in self._open:
            self._cases.append(replace(how, seconds=record.time - self._began))
            return
        place, since = self._open.pop(stage)
        self._cases[place] = replace(how, stage=stage, name=self._cases[place].name, seconds=record.time - since)

    def _write(self, seconds: float) -> None:
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}.partial")
        try:
            beside.write_bytes(ET.tostring(self._suites(seconds), encoding="utf-8", xml_declaration=True))
            beside.replace(self._path)
        finally:
            beside.unlink(missing_ok=True)

    def _suites(self, seconds: float) -> ET.Element:
        said = {
            "name": f"meshctl {self._command} {self._cluster}".rstrip(),
            "tests": str(len(self._cases)),
            "failures": str(sum(bool(case.wrong) for case in self._cases)),
            "errors": "0",
            "skipped": str(sum(bool(case.skipped) for case in self._cases)),
            "time": f"{seconds:.3f}",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._began)),
        }
        root = ET.Element("testsuites")
        suite = ET.SubElement(root, "testsuite", said)
        for case in self._cases:
            _add(suite, case, self._command)
        return root


def _add(suite: ET.Element, case: _Case, command: str) -> None:
    """What others say steers no reader: it is written out where XML has no place for it."""
    where = ".".join(part for part in ("meshctl", command, case.stage) if part)
    said = {"classname": where, "name": visible_line(case.name), "time": f"{case.seconds:.3f}"}
    element = ET.SubElement(suite, "testcase", said)
    if case.wrong:
        first = visible_line(case.wrong.partition("\n")[0])
        failure = ET.SubElement(element, "failure", {"message": first, "type": case.kind})
        failure.text = visible(case.wrong + (f"\nhint: {case.hint}" if case.hint else ""))
    elif case.skipped:
        ET.SubElement(element, "skipped", {"message": visible_line(case.skipped)})
