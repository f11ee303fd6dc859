"""What the CPU time of a throw-away guest says, by readings of real ones: seconds since its start, seconds of CPU."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from provision.hosts.kvm_probe import CRAWLS, ENDED, GIVEN_UP_S, Pulse

EMULATED = [(0.2, 0.09), (0.4, 0.09), (1.0, 0.09), (1.4, 0.1), (1.9, 0.1), (2.0, 0.1)]
"""SeaBIOS by emulation, after which one that the CPU runs does not lag."""

INTERPRETED = [(0.2, 0.17), (0.4, 0.38), (0.6, 0.58), (0.8, 0.78), (1.0, 0.98), (1.2, 1.18)]
"""SeaBIOS under kvm_pvm."""


def said(readings: Iterable[tuple[float, float | None]], lives_s: float = 2.0) -> list[str | None]:
    pulse = Pulse(lives_s)
    return [pulse.judge(*reading) for reading in readings]


def test_a_firmware_that_comes_to_rest_is_carried() -> None:
    assert said(EMULATED) == [None] * 5 + [""]


def test_one_that_is_interpreted_is_told_as_soon_as_it_has_taken_too_much() -> None:
    assert said(INTERPRETED) == [None] * 5 + [CRAWLS]


def test_where_others_take_the_cpus_two_seconds_decide_nothing() -> None:
    """Three at once on two CPUs: the interpreted one has not taken too much yet when two seconds are over."""
    slowly = [(2 * at, cpu) for at, cpu in INTERPRETED]
    assert said(slowly) == [None] * 5 + [CRAWLS]
    assert said([(2.0, 0.06), (2.3, 0.12), (2.9, 0.12)]) == [None, None, ""]


def test_one_that_is_never_seen_at_rest_is_not_trusted() -> None:
    assert said([(at, at / 30) for at in (2.0, 10.0, GIVEN_UP_S + 0.1)]) == [None, None, CRAWLS]


@pytest.mark.parametrize("at", [0.0, 1.9])
def test_one_that_ended_is_told_so(at: float) -> None:
    assert said([(0.0, 0.0), (at, None)])[-1] == ENDED
