"""Every scenario of a living cluster has its turn in CI, or is said to have none yet."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.lab.living.rota import MAIN_JOB_S, ONLY_IN_ALL, REST_S, TURNS, Share, share, turn

LAB = Path(__file__).parents[2] / "lab"


def test_every_scenario_is_in_one_place_and_no_other_is() -> None:
    marked = {
        name for path in LAB.rglob("test_*.py") for name in re.findall(r'scenario\("([\w-]+)"\)', path.read_text())
    }
    listed = (*(one.names for one in TURNS), ONLY_IN_ALL)
    assert Counter(name for names in listed for name in names) == Counter(marked)


def test_each_hour_has_another_turn_until_all_were() -> None:
    hours = range(len(TURNS), 2 * len(TURNS))
    assert [turn(hour * 3600.0 + 1, 5000) for hour in hours] == [one.names for one in TURNS]


def test_where_time_is_short_the_next_turn_that_fits_is_taken_or_none() -> None:
    short = min(TURNS, key=lambda one: one.seconds)
    assert {turn(hour * 3600.0, short.seconds) for hour in range(len(TURNS))} == {short.names}
    assert turn(0.0, short.seconds - 1) == ()


def test_a_long_turn_is_taken_and_the_rest_of_the_lab_waits() -> None:
    for number, one in enumerate(TURNS):
        at_s, enough = number * 3600.0, one.seconds + MAIN_JOB_S
        assert share(at_s, enough) == Share(one.names, rest=False)
        assert share(at_s, enough + REST_S) == Share(one.names, rest=True)


def test_in_cis_time_every_turn_is_taken_in_its_hour() -> None:
    """5,100 s, of which what comes before the lab took 1,300 on CI's machine."""
    assert [share(number * 3600.0, 3800).names for number in range(len(TURNS))] == [one.names for one in TURNS]
    assert share(0.0, MAIN_JOB_S) == Share((), rest=False)
