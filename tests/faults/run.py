"""`make faults`: at every change that a run makes, it is killed before it, killed after it, or loses its connection; then one more run must
finish the work, and destroy must leave nothing of ours and all of others'. A table at the end; exit code 1 when a point does not hold.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tests.faults.calls import SPENT, Faulty
from tests.faults.place import Place, do, place

MODES = ("before", "after", "drops")


@dataclass(frozen=True)
class Point:
    """One fault: in which deed, how, at which change."""

    deed: str
    mode: str
    at: int

    def __str__(self) -> str:
        return f"{self.deed}, {self.mode} change {self.at}"


def main(words: list[str]) -> int:
    """Tries every point, or every n-th one from a given first: `run STEP FIRST`."""
    step, first = int(words[0]) if words else 1, int(words[1]) if len(words) > 1 else 0
    with tempfile.TemporaryDirectory(prefix="meshctl-faults-") as folder:
        Path(folder).chmod(0o755)
        with place(Path(folder)) as at:
            return report(tried(at, chosen(at, step, first)))


def chosen(at: Place, step: int, first: int) -> list[Point]:
    """The points, as many as the deeds make changes."""
    counts = {}
    for deed in ("build", "raze"):
        status, said = do(at, deed)
        assert status == 0, said
        counts[deed] = int(said.split()[0])
    points = [Point(deed, mode, n) for deed, count in counts.items() for mode in MODES for n in range(1, count + 1)]
    return points[first % step :: step]


def tried(at: Place, points: list[Point]) -> dict[Point, tuple[str, float]]:
    """What was wrong at each point, empty for nothing, and how long it took."""
    found = {}
    for number, point in enumerate(points, 1):
        started = time.monotonic()
        wrong = fault(at, point)
        found[point] = (wrong, time.monotonic() - started)
        if wrong:
            print(f"{number}/{len(points)} {point}: {wrong}", flush=True)
            at.wipe()
        elif number % 10 == 0:
            print(f"{number}/{len(points)}", flush=True)
    return found


def fault(at: Place, point: Point) -> str:
    """Does the harm, then what must mend it."""
    if point.deed == "raze" and (said := _sound(at, "build")):
        return said
    status, said = do(at, point.deed, Faulty(mode=point.mode, at=point.at))
    # Without its connection a run ends with HypervisorError; destroy with Unfinished, since other hosts could go on.
    ended = {SPENT} if point.mode != "drops" else {6, 15}
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
    print(f"\n{'deed':6} {'fault':7} {'points':>6} {'converged':>9} {'orphans':>7} {'seconds':>7}")
    for (deed, mode), outcomes in rows.items():
        good = sum(not wrong for wrong, _ in outcomes)
        orphans = sum("orphans" in wrong for wrong, _ in outcomes)
        seconds = sum(seconds for _, seconds in outcomes)
        print(f"{deed:6} {mode:7} {len(outcomes):6} {good:9} {orphans:7} {seconds:7.0f}")
    wrong = sum(bool(one) for one, _ in found.values())
    print(f"{len(found)} points, {len(found) - wrong} converged")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
