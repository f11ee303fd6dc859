"""curl's answers as values: several requests in one command, each answer with its own status or the reason for none.

curl, because it is one process of half a second on an emulated CPU, where Python's HTTP client takes three and kubectl ten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Between the parts of an answer, and after it: ASCII's separators, which no header and no JSON holds.
_PART, _END = "\x1e", "\x1d"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; status 0 means that there was none, and `body` says why. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: str


def options(*, within_s: int) -> tuple[str, ...]:
    """What each request needs, so that `answers` can read what curl prints of it; `within_s` seconds for each."""
    written = f"{_PART}%{{http_code}}{_PART}%{{errormsg}}{_END}"
    return ("--silent", "--include", "--max-time", str(within_s), "--write-out", written)


def answers(printed: str) -> tuple[Answer, ...]:
    """What curl printed, one Answer for each request."""
    return tuple(_answer(text) for text in printed.split(_END)[:-1])


def _answer(text: str) -> Answer:
    message, code, said = text.rsplit(_PART, 2)
    if int(code) == 0:
        return Answer(0, {}, said or "curl gives no reason")
    head, _, body = message.partition("\r\n\r\n")
    headers = (line.partition(":") for line in head.split("\r\n")[1:])
    return Answer(int(code), {name.lower(): value.strip() for name, _, value in headers}, body)
