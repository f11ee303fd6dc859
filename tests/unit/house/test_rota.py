"""Each scenario of the lab has its turn in CI."""

from __future__ import annotations

import re
from pathlib import Path

from tests.lab.living.rota import LONG, TURNS, turn

LIVING = Path(__file__).parents[2] / "lab/living"


def test_every_scenario_is_in_one_turn_or_said_to_be_long() -> None:
    written = {
        name for path in LIVING.glob("test_*.py") for name in re.findall(r'mark\.scenario\("(.*?)"\)', path.read_text())
    }
    named = [*LONG, *(name for some in TURNS for name in some)]
    assert written == set(named)
    assert len(named) == len(set(named))


def test_a_day_takes_all_of_them() -> None:
    assert {name for hour in range(24) for name in turn(hour)} == {name for some in TURNS for name in some}
