"""Runbooks carried out as they stand: commands run in order, edits made to the inventory, and what was said held to the page."""

from __future__ import annotations

import time
from collections.abc import Iterator

from provision.base.shell import Completed, Local
from tests.lab.conftest import Place
from tests.runbook import RUNBOOKS, Edit, Step, parts


def carried_out(place: Place, name: str, **names: str) -> Iterator[tuple[str, Completed]]:
    """Does what a page says, and gives each command when it has ended as the page has it; `names` are for its words in capitals."""
    known = {"INVENTORY": str(place.inventory), **names}
    for part in parts((RUNBOOKS / f"{name}.md").read_text()):
        if isinstance(part, Edit):
            print("\n".join(part.lines), flush=True)
            place.inventory.write_text(part.of(place.inventory.read_text(), known))
        else:
            yield part.command, _done(place, part, known)


def carry_out(place: Place, name: str, **names: str) -> None:
    """Does all that a page says."""
    for _ in carried_out(place, name, **names):
        pass


def _done(place: Place, step: Step, known: dict[str, str]) -> Completed:
    began = time.monotonic()
    program, *words = step.words(known)
    other = Local(env={"LC_ALL": "C"})
    done = place.meshctl(*words) if program == "meshctl" else other.run([program, *words], within_s=120, check=False)
    print(f"{step.command}: {time.monotonic() - began:.0f} s", flush=True)
    assert done.status == step.status, (step.command, done.stderr[-2000:])
    assert step.unsaid(done.stdout + done.stderr, known) == "", (step.command, (done.stdout + done.stderr)[-2000:])
    return done
