"""What Zipkin says of requests: traces hop by hop, and what asks for them. Pure.

Query strings are left out here: they are the callers' data, and a terminal's scrollback is no place for them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from provision.base.curl import Answer, options

ASK_S = 60
"""Zipkin itself gives up a question after 11 s (QUERY_TIMEOUT); a JVM that has just begun answers late."""

ASKED = 200
"""How many traces are asked for, the latest first: about 1 KiB a span."""

METHOD = ("http.req.method", "http.method")
URI = ("http.uri", "http.path", "http.url")
STATUS = ("http.rsp.status", "http.status_code", "http.status")
"""The same by linkerd's names and by others' (zipkin.io, "Instrumenting a library", Http Tracing)."""

NO_ANSWER = 500
"""From this status on a hop has failed."""


def traces_argv(address: str, port: int, *, slow_us: int, last_s: int) -> tuple[str, ...]:
    """The command for a node: the latest traces of the last `last_s` seconds that have a hop of `slow_us` microseconds or more."""
    asked = f"limit={ASKED}&lookback={last_s * 1000}" + (f"&minDuration={slow_us}" if slow_us else "")
    return ("curl", *options(within_s=ASK_S), f"http://{address}:{port}/api/v2/traces?{asked}")


@dataclass(frozen=True)
class Hop:
    """A span: who says it, when it began after the trace did, and how long it took; None: it never ended."""

    depth: int
    service: str
    kind: str
    name: str
    after_ms: float
    took_ms: float | None
    request: str
    """`GET /path`, as far as it is said, without the query string."""
    status: str
    fault: str


@dataclass(frozen=True)
class Trace:
    """A request on its way through the mesh."""

    id: str
    begun: datetime
    took_ms: float
    hops: tuple[Hop, ...]

    def as_data(self) -> dict[str, Any]:
        """For --json."""
        return {**asdict(self), "begun": self.begun.isoformat()}


def read_traces(answer: Answer) -> tuple[Trace, ...] | str:
    """The slowest first; a text where Zipkin does not answer as Zipkin does."""
    if answer.status != 200:
        return f"status {answer.status}, {answer.body.strip()[:120]!r}"
    try:
        found = [_trace(spans) for spans in json.loads(answer.body) if spans]
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"no list of traces: {answer.body[:120]!r}"
    return tuple(sorted(found, key=lambda trace: (-trace.took_ms, trace.begun)))


def _trace(spans: Sequence[Mapping[str, Any]]) -> Trace:
    known = [span for span in spans if span.get("timestamp")]
    begun_us = min((int(span["timestamp"]) for span in known), default=0)
    ended_us = max((int(span["timestamp"]) + int(span.get("duration", 0)) for span in known), default=0)
    hops = tuple(_hop(depth, span, begun_us) for depth, span in _in_order(spans))
    begun = datetime.fromtimestamp(begun_us / 1e6, UTC)
    return Trace(str(spans[0]["traceId"]), begun, (ended_us - begun_us) / 1000, hops)


def _in_order(spans: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each span below the one that caused it, with its depth."""
    halves: dict[str, list[Mapping[str, Any]]] = {}
    for span in sorted(spans, key=lambda span: (int(span.get("timestamp") or 0), span.get("kind") != "CLIENT")):
        halves.setdefault(str(span["id"]), []).append(span)
    children: dict[str, list[str]] = {}
    for id_, parts in halves.items():
        parent = str(parts[0].get("parentId", ""))
        children.setdefault(parent if parent in halves and parent != id_ else "", []).append(id_)
    yield from _below("", 0, halves, children)


def _below(
    id_: str, depth: int, halves: Mapping[str, Sequence[Mapping[str, Any]]], children: Mapping[str, Sequence[str]]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Of one id there may be both halves: the caller's, and the server's below it."""
    for child in children.get(id_, ()):
        for number, span in enumerate(halves[child]):
            yield depth + number, span
        yield from _below(child, depth + len(halves[child]), halves, children)


def _hop(depth: int, span: Mapping[str, Any], begun_us: int) -> Hop:
    tags: Mapping[str, str] = span.get("tags") or {}
    said = _first(tags, STATUS)
    failed = said.isdigit() and int(said) >= NO_ANSWER
    duration = span.get("duration")
    return Hop(
        depth=depth,
        service=str((span.get("localEndpoint") or {}).get("serviceName", "")),
        kind=str(span.get("kind", "")).lower(),
        name=str(span.get("name", "")),
        after_ms=(int(span.get("timestamp") or begun_us) - begun_us) / 1000,
        took_ms=None if duration is None else int(duration) / 1000,
        request=" ".join(filter(None, (_first(tags, METHOD), _first(tags, URI).partition("?")[0]))),
        status=said,
        fault=str(tags.get("error", "")) or ("failed" if failed else ""),
    )


def _first(tags: Mapping[str, str], names: Sequence[str]) -> str:
    return next((str(tags[name]) for name in names if tags.get(name)), "")
