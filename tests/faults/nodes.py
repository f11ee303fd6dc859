"""Faults at the door to the guests: a node that is prepared and made a member, in namespaces, with real shells, files and processes and the
doubles of Kubernetes 1.5 inside. The run is a process of its own: `nodes LAB DEED MODE AT PID PID`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from provision.base.calls import Calls
from provision.base.errors import MeshctlError, Unreachable
from provision.base.events import nowhere
from provision.base.shell import Completed, OnLine
from provision.base.waiting import wait_until
from provision.kubernetes import Kubectl, credentials, initialise, join, nodes_ready, prepare, profile_for
from provision.specs import Member
from tests.doubles.sandbox import Lab, NodeShell, spec_of
from tests.faults.calls import SPENT, Faulty, ran

CP = Member("cp1", "control-plane", "hv1", "10.77.0.61", "10.244.61.0/24")
W1 = Member("w1", "worker", "hv1", "10.77.0.62", "10.244.62.0/24")
PROFILE = profile_for("1.5")
WITHIN_S = 120.0

DEEDS, MODES = ("init", "join"), ("before", "after", "drops")
MEMBERS = {"init": (CP,), "join": (CP, W1)}


@dataclass
class Dropping(NodeShell):
    """A shell whose connection is lost with the answer of one command, which has done its work."""

    at: int = 0
    calls: Calls = field(default_factory=Calls)

    def _end(self, argv: Sequence[str], stdin: bytes, within_s: float, on_line: OnLine | None) -> Completed:
        done = super()._end(argv, stdin, within_s, on_line)
        if self.at and self.calls.mutations == self.at:
            self.at = 0
            raise Unreachable(f"{self.where}: the SSH connection was lost")
        return done


def fault(deed: str, mode: str, at: int) -> str:
    """What was wrong after a fault at one change, empty for nothing."""
    with ground(MEMBERS[deed]) as (folder, pids):
        return _fault(folder, pids, deed, mode, at)


@contextmanager
def ground(members: Iterable[Member]) -> Iterator[tuple[str, list[int]]]:
    """A lab with these nodes: its folder and their processes."""
    with tempfile.TemporaryDirectory(prefix="meshctl-faults-") as folder:
        lab = Lab(Path(folder))
        lab.start()
        try:
            yield folder, [lab.node(member).pid for member in members]
        finally:
            lab.stop()


def _fault(folder: str, pids: Sequence[int], deed: str, mode: str, at: int) -> str:
    if deed == "join" and (found := do(folder, pids[:1], "init"))[0] != 0:
        return f"init before the fault ends with {found}"
    status, said = do(folder, pids, deed, mode, at)
    if status not in ((7, 10) if mode == "drops" else (SPENT,)):
        return f"ended with {status}: {said}"
    for _ in range(2):
        status, said = do(folder, pids, deed)
        if status != 0:
            return f"{deed} afterwards ends with {status}: {said}"
    return "" if said == "0 changes" else f"the run after that makes {said}"


def counts() -> dict[str, int]:
    """How many changes each deed makes."""
    with ground((CP, W1)) as (folder, pids):
        return {deed: int(do(folder, pids[: len(MEMBERS[deed])], deed)[1].split()[0]) for deed in DEEDS}


def do(folder: str, pids: Sequence[int], deed: str, mode: str = "none", at: int = 0) -> tuple[int, str]:
    """Does it in a process of its own; its status and what it said last."""
    argv = [sys.executable, "-m", "tests.faults.nodes", folder, deed, mode, str(at), *map(str, pids)]
    return ran(argv, WITHIN_S)


def main(folder: str, deed: str, mode: str, at: str, *pids: str) -> int:
    """0, or the exit code of what went wrong."""
    calls = Faulty(mode=mode, at=int(at))
    lost = calls.at if mode == "drops" else 0
    members = MEMBERS[deed]
    shells = [Dropping(one.name, pid=int(pid), at=lost, calls=calls) for one, pid in zip(members, pids, strict=True)]
    spec, cp, last = spec_of(Path(folder) / "stage" / "bundle", members), shells[0], shells[-1]
    try:
        prepare(last, PROFILE, spec, members[-1], nowhere)
        if deed == "init":
            initialise(cp, PROFILE, spec, CP, nowhere, within_s=60)
        else:
            join(last, PROFILE, spec, W1, credentials(cp, PROFILE, nowhere), nowhere, within_s=60)
        names = [member.name for member in spec.members]
        wait_until(lambda: nodes_ready(Kubectl(cp), names), what="nodes", within_s=30, every_s=0.2)
    except MeshctlError as error:
        print(f"{type(error).__name__}: {error.message}")
        return error.exit_code
    print(f"{calls.mutations} changes")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main(*sys.argv[1:]))
