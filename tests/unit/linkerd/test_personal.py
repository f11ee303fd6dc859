"""Where data of persons slip out of linkerd, beyond what each page shows: who else does it, and who does not."""

from __future__ import annotations

import pytest

from provision.linkerd.check import validate

ROUTER = "routers:\n- protocol: http\n  servers: [{port: 4140, ip: 0.0.0.0}]\n"
STATSD = "telemetry: [{kind: io.l5d.statsd, experimental: true, hostname: 10.0.0.9}]\n"


def said(text: str, release: str = "1.0.0") -> dict[str, str]:
    return {one.id: one.message for one in validate(text, release) if one.id in ("ML358", "ML394", "ML395", "ML396")}


def by(identifier: str) -> str:
    return f"{STATSD}{ROUTER}  identifier: {{{identifier}}}\n"


def to(leaf: str) -> str:
    return f"{ROUTER}  dtab: /svc/pay => {leaf} ;\n"


def test_a_log_of_traces_is_traces_too() -> None:
    assert "ML358" in said(f"telemetry: [{{kind: io.l5d.tracelog}}]\n{ROUTER}")
    assert said(f"telemetry: [{{kind: io.l5d.prometheus}}]\n{ROUTER}") == {}


@pytest.mark.parametrize(("text", "found"), [(STATSD + ROUTER, True), (ROUTER, False)])
def test_the_host_of_a_request_is_a_name_that_is_sent_away(text: str, found: bool) -> None:
    assert ("ML395" in said(text)) is found


@pytest.mark.parametrize(
    ("identifier", "found"),
    [
        ("kind: io.l5d.methodAndHost", True),
        ("kind: io.l5d.header.token", True),
        ("kind: io.l5d.header.token, header: Host", True),
        ("kind: io.l5d.header.token, header: my-service", False),
        ("kind: io.l5d.static, path: /web", False),
    ],
)
def test_names_by_something_else_than_host_are_not(identifier: str, found: bool) -> None:
    assert ("ML395" in said(by(identifier))) is found


def test_an_access_log_of_h2_is_one() -> None:
    h2 = "routers:\n- protocol: h2\n  h2AccessLog: /var/log/h2\n  servers: [{port: 4142, ip: 0.0.0.0}]\n"
    assert "ML394" in said(h2, "1.4.0")


@pytest.mark.parametrize(
    ("leaf", "words"),
    [
        ("/$/inet/pay.example.org/80", "requests to pay.example.org carry l5d-dst-*"),
        ("/$/inet/pay.example.org", "requests to pay.example.org"),
        ("/$/inet", "whatever machine a request names"),
        ("/$/inet/localhost/80", ""),
        ("/#/io.l5d.fs/pay", ""),
    ],
)
def test_whom_linkerds_own_headers_go_to(leaf: str, words: str) -> None:
    found = said(to(leaf)).get("ML396", "")
    assert words in found
    assert bool(found) is bool(words)
