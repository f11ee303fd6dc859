"""The record of processing as text for a terminal, and as a page for a browser and for paper."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jinja2

from provision.report.residency import Recipient, Record

WIDTH = 110


def as_text(found: Record) -> str:
    """For people, on a terminal."""
    return "\n".join(_lines(found))


def _lines(found: Record) -> Iterator[str]:
    yield f"Record of processing, cluster {found.cluster}, {found.taken} (GDPR art. 30 (1); meshctl {found.release})"
    yield f"(a) controller: {found.controller}"
    yield f"(b) purpose: {found.purpose}"
    yield f"    data may be in: {found.policy}"
    yield "(c), (f) what is stored, where, and how long:"
    for one in found.stored:
        yield from _wrapped(f"- {one.what}")
        for label, text in (
            ("where", one.where),
            ("country", one.country),
            ("kept", one.kept),
            ("reached by", one.reach),
        ):
            yield from _wrapped(f"{label}: {text}", indent="    ")
    yield "(d), (e) to whom data go, and to which countries:"
    for recipient in found.recipients:
        yield from _wrapped(f"- {_mark(recipient)}{recipient.who}: {recipient.what}")
        yield from _wrapped(f"{recipient.reason} [{recipient.said}]", indent="    ")
    yield "(g) who can reach it, and what protects it:"
    for text in (*found.access, *found.measures):
        yield from _wrapped(f"- {text}")
    yield from (f"not seen: {text}" for text in found.blind)


def _mark(one: Recipient) -> str:
    return "REFUSED " if one.allowed is False else ""


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def as_html(found: Record) -> str:
    """For a browser and for paper: one file, nothing of which is fetched from elsewhere."""
    return _page().render(record=found)


@cache
def _page() -> jinja2.Template:
    text = Path(__file__).with_name("residency.html").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(text)
