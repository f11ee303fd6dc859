"""What a running linkerd 0.8.5 said of 395 configurations, and of each requirement of each release one that breaks it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provision.linkerd.check import Finding, validate
from provision.linkerd.knowledge.place import ANYWHERE, Place
from provision.linkerd.knowledge.versions import RELEASES
from tests.unit.linkerd.requirements import broken, places

VERDICTS = Path(__file__).parents[2] / "data" / "linkerd" / "verdicts-0.8.5.jsonl"
ROWS = [json.loads(line) for line in VERDICTS.read_text(encoding="utf-8").splitlines()]

ENVIRONMENT = {
    "acc-certificates-by-bound-path.yaml": "the folder disco",
    "s15-adminip-unassigned.yaml": "the address 10.99.99.99",
    "s17-fsint-dir.yaml": "a file /tmp",
    "s17-fsint-missing.yaml": "the file /nonexistent",
}
"""Refused for what the machine has not, which a file does not say. With `--folder /` the validator sees three of them too."""

OTHER_FAULT = {
    "acc-methods-and-hosts.yaml": "linkerd stops at the folder that is not there",
    "acc-thriftmux-both-sides.yaml": "the same",
    "s03-json-leading0.json": "another reader of JSON says it in other words",
    "s03-json-rawnl.json": "the same",
    "s03-json-single.json": "the same",
    "y-map-key.yaml": "the same",
    "s03-router-list.yaml": "of a list as a router Jackson takes the first item for the protocol",
    "s03-tab.yaml": "libyaml says it in other words",
}
"""Refused by both, and linkerd's first message is none of those that are shown."""


def errors(text: str, release: str = "0.8.5", place: Place = ANYWHERE) -> list[Finding]:
    return [one for one in validate(text, release, place) if one.severity == "error"]


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_it_starts_or_is_refused_as_by_linkerd(row: dict[str, str]) -> None:
    found = errors(row["text"])
    assert (not found) == (row["starts"] or row["name"] in ENVIRONMENT)
    if found and row["name"] not in OTHER_FAULT:
        assert any(one.linkerd and one.linkerd in row["message"] for one in found)


def test_the_verdicts_are_all_there() -> None:
    assert len(ROWS) == 395
    assert {*ENVIRONMENT, *OTHER_FAULT} <= {row["name"] for row in ROWS}
    where = {row["name"]: errors(row["text"], place=Place(folder="/")) for row in ROWS}
    assert all(where[name] for name in ENVIRONMENT if "address" not in ENVIRONMENT[name])


@pytest.mark.parametrize("release", RELEASES)
def test_each_requirement_of_a_release_is_refused_with_linkerds_fragment(release: str) -> None:
    for place in places(release):
        whole = json.dumps(place.wrap(place.data(release)))
        assert errors(whole, release) == []
    for case in broken(release):
        found = validate(case.text, release)
        assert any(case.fragment in one.linkerd and case.id in ("", one.id) for one in found), case


def test_so_many_requirements_are_tried() -> None:
    """At least one of every kind and every release: of 5,546 objects and kinds some 66,000."""
    counts = {release: sum(1 for _ in broken(release)) for release in RELEASES}
    assert min(counts.values()) == counts["0.8.5"] > 800
    assert sum(counts.values()) > 66_000
    assert sum(len(places(release)) for release in RELEASES) > 5_500


ROUTER = "routers:\n- protocol: http\n  servers: [{port: 4140, ip: 0.0.0.0}]\n"


def router(more: str, server: str = "port: 4140", protocol: str = "http") -> str:
    flag = "  experimental: true\n" if protocol == "h2" else ""
    return f"routers:\n- protocol: {protocol}\n{flag}  servers:\n  - {server}\n  {more}\n"


def says(text: str, fragment: str, release: str = "0.8.5") -> bool:
    return any(fragment in one.linkerd for one in errors(text, release))


@pytest.mark.parametrize(
    "written", ["500", "0", "-0", "010", "-5", "2147483647", "&a 500", '!!int "500"', "null", "~", ""]
)
def test_an_optional_number_is_taken_in_these_forms(written: str) -> None:
    assert errors(router(f"timeoutMs: {written}")) == []


@pytest.mark.parametrize(
    ("written", "java"),
    [
        *(
            (form, "String")
            for form in ('"500"', "'500'", "+5", "1_0", "0x10", "0b11", "5s", "1:30", "!!str 5", "*a", "''", "0_7")
        ),
        *((form, "Double") for form in ("5.0", "5.", "5e3", "1E3", "09", "-09", ".5", "1_0.5", "!!float 5")),
        *((form, "Boolean") for form in ("yes", "On", "FALSE", "!!bool y")),
        *((form, "Long") for form in ("3000000000", "2147483648", "-3000000000")),
    ],
)
def test_an_optional_number_is_not_taken_in_these(written: str, java: str) -> None:
    assert says(router(f"timeoutMs: {written}"), f"java.lang.{java} cannot be cast to java.lang.Integer")
    assert says(router(f"timeoutMs: {written}"), "cannot be cast", "0.9.1")


@pytest.mark.parametrize("written", ["yes", "No", "ON", "off", "true", "False", "TRUE", "!!bool y", "null"])
def test_an_optional_truth_value_is_taken_in_these_forms(written: str) -> None:
    assert errors(router(f"failFast: {written}")) == []


@pytest.mark.parametrize("written", ['"true"', "'yes'", "1", "0", "y", "tRUE", "oN", "1.0", "[true]", "{}"])
def test_an_optional_truth_value_is_not_taken_in_these(written: str) -> None:
    assert says(router(f"failFast: {written}"), "cannot be cast to java.lang.Boolean")


@pytest.mark.parametrize("written", ["1.0", "0.0", "1.", "1e-3", "1E0", "+.5", "1_0.5", ".5e1", "09"])
def test_an_optional_fraction_is_taken_in_these_forms(written: str) -> None:
    assert errors(router(f"client: {{loadBalancer: {{kind: aperture, lowLoad: {written}}}}}")) == []


@pytest.mark.parametrize("written", ["1", "0", '"1.0"', "0,5", "50%", "yes"])
def test_an_optional_fraction_is_not_taken_in_these_before_1_1_0(written: str) -> None:
    text = f"telemetry: [{{kind: io.l5d.tracelog, sampleRate: {written}}}]\n{ROUTER}"
    assert says(text, "cannot be cast to java.lang.Double" if written != "0,5" else "", "0.8.5")
    assert bool(errors(text, "1.0.2"))
    assert bool(errors(text, "1.1.0")) == (written in ("0,5", "50%", "yes"))


@pytest.mark.parametrize("written", [".inf", "-.INF", ".nan", "1:30.5"])
@pytest.mark.parametrize("key", ["timeoutMs", "failFast", "experimental", "maxChunkKB"])
def test_a_number_that_java_does_not_know_is_malformed_everywhere(key: str, written: str) -> None:
    assert says(router(f"{key}: {written}"), f"Malformed numeric value '{written}'")
    assert errors(router(f"label: {written}")) == []


@pytest.mark.parametrize("written", ["4140", '"4140"', "+4140", "04140", "4140.9", "4.14e3", '" 4140 "', "null"])
def test_a_declared_number_is_taken_in_these_forms(written: str) -> None:
    assert errors(router("label: a", f"port: {written}")) == []
    if written != "null":
        assert says(router("label: a", f"port: {written}\n  - port: 4140"), "io.buoyant.config.ConflictingPorts")


@pytest.mark.parametrize(
    "written", ['"4140.9"', "1_0", "70000", "-1", "true", "[1]", "''", "4294971436", "0x10", "1e400"]
)
def test_a_declared_number_is_not_taken_in_these(written: str) -> None:
    assert errors(router("label: a", f"port: {written}"))


@pytest.mark.parametrize(
    "more",
    [
        "client: {failureAccrual: {kind: io.l5d.consecutiveFailures, failures: ''}}",
        "client: {failureAccrual: {kind: io.l5d.consecutiveFailures, failures: '5'}}",
        "client: {failureAccrual: {kind: io.l5d.consecutiveFailures, failures: 5.7}}",
        "client: {failureAccrual: {kind: io.l5d.successRate, successRate: '0.9', requests: '5'}}",
        "client: {failureAccrual: {kind: io.l5d.successRate, successRate: 1, requests: 5}}",
        "client: {retries: {backoff: {kind: constant, ms: '5'}}}",
        "client: {failureAccrual: {kind: none, backoff: {kind: jittered, minMs: [x], maxMs: x}}}",
        "client: {tls: {kind: io.l5d.boundPath, caCertPath: x, strict: [maybe]}}",
        "interpreter: {kind: io.l5d.namerd, dst: /x, retry: {baseSeconds: 5.9, maxSeconds: '5'}}",
        "experimental: [x]",
        "interpreter: {kind: default, transformers: [{kind: io.l5d.const}]}",
    ],
)
def test_what_is_coerced_or_never_used_starts(more: str) -> None:
    assert errors(router(more)) == []
    assert errors(f"admin: {{shutdownGraceMs: {{a: b}}}}\n{ROUTER}") == []


@pytest.mark.parametrize(
    "written", ["baseDtab: *d", "client: *d", "servers: *d", "identifier: *d", "timeoutMs: *d", "<<: *d"]
)
def test_an_alias_is_the_name_of_its_anchor(written: str) -> None:
    text = f"telemetry: &d []\nrouters:\n- protocol: http\n  servers: [{{port: 4140}}]\n  {written}\n"
    assert errors(text)


def test_an_alias_where_a_text_stands_starts_with_its_name() -> None:
    (found,) = [one for one in validate(router("label: *nobody"), "1.7.5") if one.id == "ML370"]
    assert (found.severity, found.field, found.line, found.column) == ("trap", "routers[0].label", 5, 10)
    assert errors(router("label: *nobody")) == []
    assert errors(router("*a : b"))
    two = "routers:\n- protocol: http\n  label: *a\n  servers: [{port: 1}]\n- protocol: http\n  label: *a\n  servers: [{port: 2}]\n"
    assert says(two, "io.buoyant.config.ConflictingLabels")


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        (router("label: '\U0001f600'"), "special characters are not allowed"),
        (router("label: a # \U0001f600"), "special characters are not allowed"),
        (router("label: a", "{port:4140}"), "found unexpected ':'"),
        ("tracers: [{kind: io.l5d.zipkin, host: http://a}]\n" + ROUTER, "found unexpected ':'"),
        (router("identifier: {kind: io.l5d.header, header: a?}"), "but got Key"),
        (router("label:\ta"), "that cannot start any token"),
        (router('label: "a\\/b"'), "found unknown escape character /(47)"),
    ],
)
def test_characters_that_snakeyaml_refuses(text: str, fragment: str) -> None:
    assert [one.linkerd for one in errors(text)] == [fragment]
    assert not says(text, fragment, "1.7.5")


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + router("label: a"),
        router("label: a").replace("\n", "\r\n"),
        '{"routers": [{"protocol": "http", "label": "\U0001f600 a:b\\/c",\t"servers": [{"port": 4140}]}]}',
        router("label: a\t"),
        router("label: http://a?b # \t"),
        router("label: '\u20ac\ufffd'"),
    ],
)
def test_characters_that_are_taken(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize(
    "key", ["label: a", "client: {}", "servers: [{port: 1}]", "timeoutMs: 5", "dstPrefix: /a", "baseDtab: /a => /b"]
)
def test_of_keys_that_are_set_afterwards_the_first_counts(key: str) -> None:
    text = f"routers:\n- protocol: http\n  {key}\n  {key.partition(':')[0]}: null\n"
    (found,) = [one for one in validate(text, "0.8.5") if one.id == "ML346"]
    assert "the first one" in found.message


def test_of_keys_that_a_class_is_made_with_the_last_counts() -> None:
    assert errors(router("label: a", "port: 1\n    port: 1").replace("- port: 1", "- ip: 127.0.0.1\n    port: 1")) == []
    assert says(router("maxRequestKB: 1\n  maxRequestKB: 3000000"), "MaxRequestSize should be less than 2 Gb")
    assert errors(router("maxRequestKB: 3000000\n  maxRequestKB: 1")) == []
    assert errors(router("timeoutMs: 5\n  timeoutMs: '5'")) == []
    assert says(router("timeoutMs: '5'\n  timeoutMs: 5"), "cannot be cast")
    assert says(router("timeoutMs: '5'\n  timeoutMs: 5", protocol="h2"), "cannot be cast") is False
    assert says(
        router("servers: []").replace("servers:\n  - port: 4140\n  ", "servers: []\n  servers: [{port: 1}]\n  # "),
        "has no servers",
    )


def test_what_is_read_when_the_object_is_made_is_set_at_once() -> None:
    engine = "engine: {kind: netty4}"
    assert errors(router("label: a", f"{{{engine}, maxConcurrentRequests: '1', maxConcurrentRequests: 1}}")) == []
    assert errors(router("label: a", f"{{maxConcurrentRequests: '1', {engine}, maxConcurrentRequests: 1}}")) == []
    assert says(
        router("label: a", f"{{maxConcurrentRequests: '1', maxConcurrentRequests: 1, {engine}}}"), "cannot be cast"
    )


def test_a_second_kind_is_an_unknown_key_and_a_second_protocol_is_nothing() -> None:
    assert says(router("client: {loadBalancer: {kind: ewma, kind: ewma}}"), 'Unrecognized field "kind"')
    assert says(router("client: {loadBalancer: {kind: nope, kind: ewma}}"), "Could not resolve type id 'nope'")
    assert errors(router("identifier: {kind: nope, kind: io.l5d.path}")) == []
    assert errors(router("protocol: nope")) == []
    assert says(router("label: a\n  label: a"), "Duplicate field", "1.0.1")


@pytest.mark.parametrize(
    ("servers", "admin", "fragment"),
    [
        ("{port: 1, ip: 0.0.0.0}, {port: 1, ip: 127.0.0.1}", "{}", "Failed to bind to"),
        ("{port: 1, ip: 127.0.0.2}, {port: 1, ip: 127.0.0.1}", "{}", ""),
        ("{port: 0}, {port: 0, ip: 0.0.0.0}", "{port: 0}", ""),
        ("{port: 0}, {port: 0}", "{}", "io.buoyant.config.ConflictingPorts"),
        ("{port: 9990}", "{}", "Failed to bind to"),
        ("{port: 4140}", "{port: '+4140', ip: 127.0.0.1}", "Failed to bind to"),
        ("{port: 4140, ip: '::ffff:7f00:1'}, {port: 4140}", "{}", "io.buoyant.config.ConflictingPorts"),
        ("{port: 4140, ip: '::1'}", "{}", "Failed to bind to"),
    ],
)
def test_what_can_listen_at_once(servers: str, admin: str, fragment: str) -> None:
    text = f"admin: {admin}\nrouters: [{{protocol: http, servers: [{servers}]}}]\n"
    assert says(text, fragment) if fragment else errors(text) == []


def test_an_empty_label_is_one() -> None:
    first, second = router("label: ''"), router("timeoutMs: 5", "port: 4141")
    assert errors(first + second.replace("routers:\n", "")) == []
    assert says(first + second.replace("routers:\n", "").replace("timeoutMs: 5", "label: ''"), "ConflictingLabels")


@pytest.mark.parametrize(
    ("more", "id_"),
    [
        ("client: {failureAccrual: {kind: io.l5d.successRate, successRate: 0.9}}", "ML371"),
        ("client: {failureAccrual: {kind: io.l5d.successRate, successRate: 0.9, requests: 0}}", "ML371"),
        ("client: {failureAccrual: {kind: io.l5d.successRateWindowed, successRate: 0.9}}", "ML371"),
        ("client: {failureAccrual: {kind: io.l5d.successRateWindowed, successRate: 0.9, window: '0'}}", "ML371"),
        ("client: {failureAccrual: {kind: io.l5d.successRate, successRate: 1.5, requests: 5}}", "ML371"),
        ("client: {failureAccrual: {kind: io.l5d.successRate, successRate: -0.5, requests: 5}}", "ML371"),
        ("client: {loadBalancer: {kind: ewma, decayTimeMs: -1}}", "ML372"),
        ("client: {loadBalancer: {kind: aperture, minAperture: 0}}", "ML372"),
        ("client: {hostConnectionPool: {maxSize: 0}}", "ML372"),
        ("client: {hostConnectionPool: {minSize: -1, maxSize: -1, idleTimeMs: -1, maxWaiters: -1}}", "ML372"),
        ("compressionLevel: 99", "ML373"),
        ("maxHeadersKB: 0", "ML373"),
        ("maxHeadersKB: -1", "ML373"),
        ("maxRequestKB: -1", "ML373"),
        ("interpreter: {kind: default, transformers: [{kind: io.l5d.replace}]}", "ML374"),
        ("client: {tls: {kind: io.l5d.static}}", "ML375"),
    ],
)
def test_what_starts_and_fails_every_request(more: str, id_: str) -> None:
    found = validate(router(more), "0.8.5")
    assert [one.severity for one in found if one.id == id_] == ["trap"]
    assert not [one for one in found if one.severity == "error"]


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        (router("label: a", "{port: 1, announce: [nope]}"), "'/' expected but 'n' found"),
        (router("label: a", "{port: 1, maxConcurrentRequests: 0}"), "initialPermits must be positive: 0"),
        (router("client: {retries: {budget: {percentCanRetry: 1000.5}}}"), "percentCanRetry must"),
        (router("client: {retries: {budget: {minRetriesPerSec: -1}}}"), "minRetriesPerSec must be non-negative: -1"),
        (router("maxResponseKB: 2097152"), "MaxResponseSize should be less than 2 Gb"),
        ("tracers: [{kind: io.l5d.zipkin, port: 70000}]\n" + ROUTER, "port out of range:70000"),
        (
            "tracers: [{kind: io.l5d.zipkin, experimental: true}]\n" + ROUTER,
            "class io.buoyant.linkerd.tracer.ZipkinConfig",
        ),
        ("namers: [{kind: io.l5d.fs, rootDir: ''}]\n" + ROUTER, " is not a directory"),
        ("namers: [{kind: io.l5d.consul, host: ''}]\n" + ROUTER, "label char expected"),
        ("namers: [{kind: io.l5d.serversets, zkAddrs: [{port: 1}]}]\n" + ROUTER, "host must be specified"),
        ("namers: [{kind: io.l5d.etcd}]\n" + ROUTER, "Could not resolve type id 'io.l5d.etcd'"),
        ("namers: [~]\n" + ROUTER, "java.lang.NullPointerException"),
        (
            router("interpreter: {kind: io.l5d.namerd, dst: /x, retry: {}}"),
            "illegal retry values: baseSeconds=0 maxSeconds=0",
        ),
        (router("client: {qqq: 1}", protocol="h2"), "(class io.buoyant.linkerd.ClientConfig)"),
        (router("client: {qqq: 1}", protocol="mux"), "(class io.buoyant.linkerd.ClientConfig)"),
        (router("label: a", "{port: 1, qqq: 1}", "mux"), "(class io.buoyant.linkerd.ServerConfig)"),
    ],
)
def test_what_is_checked_at_the_start(text: str, fragment: str) -> None:
    assert says(text, fragment)


def test_from_1_0_0_on_a_client_is_looked_at_by_the_first_request() -> None:
    text = router("service: {retries: {budget: {ttlSecs: 61}}}")
    assert [one.severity for one in validate(text, "1.0.0") if one.id == "ML331"] == ["trap"]


@pytest.mark.parametrize("size", ["9" * 5000, "-" + "9" * 5000, "1e999", ".inf", ".nan", "1:30.5", f"'{'9' * 5000}'"])
def test_numbers_that_are_too_large_for_any_type_are_refused(size: str) -> None:
    for more in (f"timeoutMs: {size}", f"maxRequestKB: {size}", f"bindingCache: {{clients: {size}}}"):
        assert errors(router(more))
    assert errors(router("label: a", f"port: {size}"))
    assert errors(f"admin: {{port: {size}}}\n{ROUTER}")
    retry = f"interpreter: {{kind: io.l5d.namerd, dst: /x, retry: {{baseSeconds: {size}, maxSeconds: {size}}}}}"
    assert errors(router(retry))
