"""Moments and spans of time, as people and stamps write them."""

from __future__ import annotations

import pytest

from provision.base.moments import epoch_s, is_moment, moment, parse_span, span_text


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("90m", 5400), ("2h", 7200), ("7d", 604800), ("90d", 7776000)]
)
def test_a_span_is_read(text: str, seconds: int) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "2 h", "h", "0s", "-1h", "91d", "2w", "1h30m", "2H", "1.5h", "٣h"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not (a span of time: write it like|between 1s and 90d)"):
        parse_span(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-5, "0 s"), (59.9, "59 s"), (3600, "1 h"), (7500, "2 h 5 min"), (3605, "1 h"), (200000, "2 d 7 h")],
)
def test_a_span_is_said_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert span_text(seconds) == text


def test_a_moment_is_read_back_and_sorts_as_time_does() -> None:
    assert moment(0) == "1970-01-01T00:00:00Z"
    assert epoch_s(moment(1_795_000_000.7)) == 1_795_000_000
    assert sorted([moment(2e9), moment(1e9)]) == [moment(1e9), moment(2e9)]


@pytest.mark.parametrize("text", ["", "2026-11-30", "2026-02-31T00:00:00Z", "2026-11-30T05:00:00+01:00", "tomorrow"])
def test_what_is_no_moment_is_known_as_such(text: str) -> None:
    assert not is_moment(text)
