"""Waiting ends on evidence, and a timeout says what was seen last."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest

from provision.base.errors import MeshctlError, StageTimeout
from provision.base.parallel import for_each
from provision.base.waiting import NotYet, Ready, pause_s, wait_until


def test_the_value_comes_as_soon_as_it_is_there() -> None:
    answers: Iterator[Ready[int] | NotYet] = iter([NotYet("one"), NotYet("two"), Ready(3)])
    assert wait_until(lambda: next(answers), what="x", within_s=5, every_s=0.01) == 3


def test_a_timeout_says_what_was_seen_last_and_hints() -> None:
    with pytest.raises(StageTimeout, match="the boot: not within 0 s; last seen: kernel") as caught:
        wait_until(lambda: NotYet("kernel"), what="the boot", within_s=0.05, every_s=0.01, hint="look")
    assert caught.value.hint == "look"


def test_what_the_check_raises_ends_the_wait() -> None:
    def check() -> NotYet:
        raise MeshctlError("refused")

    with pytest.raises(MeshctlError, match="refused"):
        wait_until(check, what="x", within_s=60)


@pytest.mark.parametrize(("took", "pause"), [(0.1, 2.0), (1.0, 2.0), (3.0, 6.0), (60.0, 8.0)])
def test_what_is_slow_to_answer_is_asked_less_often(took: float, pause: float) -> None:
    assert pause_s(2.0, took) == pause


def test_a_slow_check_is_left_alone_for_longer() -> None:
    asked: list[float] = []

    def check() -> Ready[int] | NotYet:
        asked.append(time.monotonic())
        time.sleep(0.1)
        return Ready(len(asked)) if len(asked) == 3 else NotYet("no")

    wait_until(check, what="x", within_s=10, every_s=0.06)
    assert all(later - earlier >= 0.3 for earlier, later in itertools.pairwise(asked))


def test_results_keep_their_order() -> None:
    assert for_each(range(40), lambda n: n * n) == [n * n for n in range(40)]


def test_all_failures_are_named_after_all_have_ended() -> None:
    done = []

    def work(number: int) -> None:
        if number % 2:
            raise MeshctlError(f"no {number}")
        done.append(number)

    with pytest.raises(MeshctlError, match=r"no 1\nalso: no 3"):
        for_each(range(5), work)
    assert sorted(done) == [0, 2, 4]
