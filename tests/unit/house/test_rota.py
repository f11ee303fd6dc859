"""Every scenario of a living cluster has its turn in CI, or is said to have none yet."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.lab.living.rota import ONLY_IN_ALL, TURNS, turn

LAB = Path(__file__).parents[2] / "lab"


def test_every_scenario_is_in_one_place_and_no_other_is() -> None:
    marked = {
        name for path in LAB.rglob("test_*.py") for name in re.findall(r'scenario\("([\w-]+)"\)', path.read_text())
    }
    assert Counter(name for names in (*TURNS, ONLY_IN_ALL) for name in names) == Counter(marked)


def test_each_hour_has_another_turn_until_all_were() -> None:
    assert [turn(hour * 3600.0 + 1) for hour in range(len(TURNS), 2 * len(TURNS))] == list(TURNS)
