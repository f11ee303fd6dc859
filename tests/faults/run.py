"""`make faults`: at every change that a run makes, it is killed before it, killed after it, loses its connection, or the daemon hangs; in
the midst of every upload too, and on the nodes while they become members. Then one more run must finish the work, and destroy must leave
nothing of ours and all of others'. A table at the end; exit code 1 when a point does not hold.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from provision.base.parallel import for_each
from tests.faults import nodes
from tests.faults.calls import SPENT, UPLOAD, Faulty
from tests.faults.place import Place, do, place, prepared

MODES = ("before", "after", "drops", "hangs")
UPLOADS = (f"{UPLOAD}killed", f"{UPLOAD}drops", f"{UPLOAD}hangs")


@dataclass(frozen=True)
class Point:
    """One fault: in which deed, how, at which change."""

    deed: str
    mode: str
    at: int

    def __str__(self) -> str:
        return f"{self.deed}, {self.mode} change {self.at}"


AT_ONCE = 2
"""Daemons, each with its own points: a run waits for libvirt and QEMU for most of its time."""


def main(words: list[str]) -> int:
    """Tries every point, or every n-th one from a given first: `run STEP FIRST`."""
    step, first = int(words[0]) if words else 1, int(words[1]) if len(words) > 1 else 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="meshctl-faults-")))
        folder.chmod(0o755)
        artifacts = prepared(folder)
        places = [stack.enter_context(place(folder / str(number), artifacts)) for number in range(AT_ONCE)]
        points = chosen(places[0], step, first)
        parts = for_each(list(enumerate(places)), lambda one: tried(one[1], points[one[0] :: AT_ONCE]))
        return report({point: outcome for part in parts for point, outcome in part.items()})


def chosen(at: Place, step: int, first: int) -> list[Point]:
    """The points, as many as the deeds make changes."""
    points = []
    for deed in ("build", "raze"):
        status, said = do(at, deed)
        assert status == 0, said
        changes, uploads = (int(word) for word in said.split() if word.isdigit())
        points += [Point(deed, mode, n) for mode in MODES for n in range(1, changes + 1)]
        points += [Point(deed, mode, n) for mode in UPLOADS for n in range(1, uploads + 1)]
    points += [
        Point(deed, mode, n)
        for deed, count in nodes.counts().items()
        for mode in nodes.MODES
        for n in range(1, count + 1)
    ]
    return points[first % step :: step]


def tried(at: Place, points: list[Point]) -> dict[Point, tuple[str, float]]:
    """What was wrong at each point, empty for nothing, and how long it took."""
    found = {}
    for number, point in enumerate(points, 1):
        started = time.monotonic()
        wrong = nodes.fault(point.deed, point.mode, point.at) if point.deed in nodes.DEEDS else fault(at, point)
        found[point] = (wrong, time.monotonic() - started)
        print(f"{at.folder.name}: {number}/{len(points)} {point}: {wrong or 'ok'}, {found[point][1]:.1f} s", flush=True)
        if wrong:
            at.wipe()
    return found


def fault(at: Place, point: Point) -> str:
    """Does the harm, then what must mend it."""
    if point.deed == "raze" and (said := _sound(at, "build")):
        return said
    status, said = do(at, point.deed, Faulty(mode=point.mode, at=point.at))
    # Without its connection a run ends with HypervisorError; destroy with Unfinished, since other hosts could go on.
    ended = {6, 15} if point.mode.endswith(("drops", "hangs")) else {SPENT}
    if status not in (*ended, 0):
        return f"ended with {status}: {said}"
    steps = ("build", "check", "raze") if point.deed == "build" else ("raze",)
    for deed in steps:
        if wrong := _sound(at, deed):
            return wrong
    orphans = {kind: names for kind, names in at.left().items() if names}
    if orphans:
        return f"orphans: {orphans}"
    return "" if at.theirs() == 2 else "others' things are gone"


def _sound(at: Place, deed: str) -> str:
    status, said = do(at, deed)
    return "" if status == 0 else f"{deed} afterwards ends with {status}: {said}"


def report(found: dict[Point, tuple[str, float]]) -> int:
    """The table; 1 when something was wrong."""
    rows: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)
    for point, outcome in found.items():
        rows[point.deed, point.mode].append(outcome)
    print(f"\n{'deed':6} {'fault':13} {'points':>6} {'converged':>9} {'orphans':>7} {'seconds':>7}")
    for (deed, mode), outcomes in rows.items():
        good = sum(not wrong for wrong, _ in outcomes)
        orphans = sum("orphans" in wrong for wrong, _ in outcomes)
        seconds = sum(seconds for _, seconds in outcomes)
        print(f"{deed:6} {mode:13} {len(outcomes):6} {good:9} {orphans:7} {seconds:7.0f}")
    wrong = sum(bool(one) for one, _ in found.values())
    print(f"{len(found)} points, {len(found) - wrong} converged")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
