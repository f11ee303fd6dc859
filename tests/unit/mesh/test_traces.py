"""Zipkin's answers as traces: what a real Zipkin 3.5.1 said of the lab's stand-in, and answers that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provision.base.curl import Answer
from provision.mesh import Trace, read_traces, traces_argv
from provision.run.mesh_traces import as_text

SAID = Path(__file__).parents[2] / "data" / "traces" / "standin.json"


def read(body: str) -> tuple[Trace, ...]:
    found = read_traces(Answer(200, {}, body))
    assert not isinstance(found, str), found
    return found


def traced(*spans: dict[str, Any]) -> Trace:
    (found,) = read(json.dumps([[{"traceId": "t", **span} for span in spans]]))
    return found


def test_the_slowest_is_first_and_each_hop_is_below_its_cause() -> None:
    found = read(SAID.read_text())
    assert [trace.took_ms for trace in found] == sorted((trace.took_ms for trace in found), reverse=True)
    for trace in found:
        assert [(hop.depth, hop.kind, hop.service) for hop in trace.hops] == [
            (0, "server", "outgoing"),
            (1, "client", "/#/io.l5d.k8s/default/http/echo"),
        ]
        assert all(hop.request == "GET /slow" and hop.status == "200" for hop in trace.hops)


def test_what_a_caller_put_into_a_query_string_is_not_shown() -> None:
    assert "alice" in SAID.read_text()
    found = read(SAID.read_text())
    assert "alice" not in as_text(found)
    assert "alice" not in json.dumps([trace.as_data() for trace in found])


def test_the_text_says_when_how_long_and_with_which_answer() -> None:
    first, server, client, *_ = as_text(read(SAID.read_text())).splitlines()
    assert first == "364.3 ms  2026-12-01 02:40:05 UTC  trace 57e9d1860d1d68d8, 2 hops"
    assert server == "  +    0.0 ms    364.3 ms  server  outgoing  /svc/echo  GET /slow  200"
    assert client.startswith("  +    0.0 ms    364.1 ms    client  /#/io.l5d.k8s")


def test_four_hops_from_linkerd_to_linkerd() -> None:
    """The second linkerd's server has the span id of the first one's client."""
    found = traced(
        {"id": "c", "parentId": "b", "kind": "CLIENT", "timestamp": 30, "duration": 10, "tags": {"http.status": "503"}},
        {"id": "b", "parentId": "a", "kind": "SERVER", "timestamp": 20, "duration": 30, "shared": True},
        {"id": "a", "kind": "SERVER", "timestamp": 1, "duration": 99},
        {"id": "b", "parentId": "a", "kind": "CLIENT", "timestamp": 10, "duration": 50},
    )
    assert [(hop.depth, hop.kind, hop.after_ms) for hop in found.hops] == [
        (0, "server", 0.0),
        (1, "client", 0.009),
        (2, "server", 0.019),
        (3, "client", 0.029),
    ]
    assert (found.took_ms, found.hops[-1].fault) == (0.099, "failed")


def test_spans_without_time_end_or_parent_are_shown_all_the_same() -> None:
    found = traced({"id": "x"}, {"id": "y", "parentId": "lost", "timestamp": 5, "name": "late"})
    assert {hop.name for hop in found.hops} == {"", "late"}
    assert "no end" in as_text([found])
    loop = traced({"id": "x", "parentId": "x", "timestamp": 5})
    assert len(loop.hops) == 1


def test_an_error_is_said_with_its_hop() -> None:
    found = traced({"id": "x", "timestamp": 5, "duration": 1, "tags": {"error": "no route"}})
    assert as_text([found]).endswith("no route")


def test_none_is_said_with_what_may_be_why() -> None:
    assert read("[]") == ()
    assert "sample_rate" in as_text(())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(0, {}, "Connection refused"), "status 0, 'Connection refused'"),
        (Answer(503, {}, "not yet\n"), "status 503, 'not yet'"),
        (Answer(200, {}, "<html>"), "no list of traces: '<html>'"),
        (Answer(200, {}, '[[{"id": "x"}]]'), "no list of traces"),
        (Answer(200, {}, '{"a": 1}'), "no list of traces"),
    ],
)
def test_what_is_no_answer_of_zipkins_is_said(answer: Answer, words: str) -> None:
    found = read_traces(answer)
    assert isinstance(found, str)
    assert words in found


def test_the_question_is_one_command_of_numbers_and_an_address() -> None:
    argv = traces_argv("10.96.0.11", 9411, slow_us=500_000, last_s=3600)
    assert argv[0] == "curl"
    assert argv[-1] == "http://10.96.0.11:9411/api/v2/traces?limit=200&lookback=3600000&minDuration=500000"
    assert "minDuration" not in traces_argv("10.96.0.11", 9411, slow_us=0, last_s=60)[-1]
