"""What each release of linkerd refuses for its shape: unknown keys and kinds, wrong types, values out of range; and what it takes."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.linkerd.check import shape
from provision.linkerd.check.finding import Finding
from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.versions import BOUNDARIES, RELEASES, UnknownRelease, known
from provision.linkerd.text import document

ARTICLE = """\
admin:
  port: 9990

routers:
- protocol: http
  label: outgoing
  dtab: |
    /svc => /#/io.l5d.k8s/default/http;
  servers:
  - port: 4140
    ip: 0.0.0.0
  client:
    loadBalancer:
      kind: ewma
    failureAccrual:
      kind: io.l5d.failureAccrual.consecutiveFailures
      failures: 5
      backoff:
        kind: constant
        ms: 10000
"""


def found(text: str, version: str = "0.8.5") -> list[Finding]:
    root = document.compose(text)
    assert root is not None
    return sorted(shape.findings(root, version, text))


def router(more: str = "", version: str = "1.3.0", protocol: str = "http") -> list[str]:
    """Ids of the findings of one router with more keys."""
    text = (
        f"routers:\n- protocol: {protocol}\n  servers: [{{port: 4140}}]\n{textwrap.indent(textwrap.dedent(more), '  ')}"
    )
    return [finding.id for finding in found(text, version)]


def test_the_articles_configuration_names_both_faults_at_once() -> None:
    dtab, kind = found(ARTICLE)
    assert (dtab.id, dtab.line, dtab.column, dtab.field) == ("ML305", 7, 3, "routers[0].dtab")
    assert 'Unrecognized field "dtab" (class io.buoyant.linkerd.protocol.HttpConfig' in dtab.linkerd
    assert "baseDtab" in dtab.fix
    assert (kind.id, kind.line) == ("ML309", 16)
    assert "Could not resolve type id 'io.l5d.failureAccrual.consecutiveFailures'" in kind.linkerd
    assert kind.fix == "did you mean io.l5d.consecutiveFailures?"


def test_every_reference_of_the_data_leads_somewhere() -> None:
    types = [key.type for thing in KNOWLEDGE.objects.values() for key in thing.keys]
    for type_ in types:
        name = type_.removeprefix("1+").strip("[]{}")
        assert name[0] not in ".@" or name[1:] in {**KNOWLEDGE.objects, **KNOWLEDGE.families}
    for family in KNOWLEDGE.families.values():
        assert all(kind.object in KNOWLEDGE.objects for kind in family.kinds)
    times = [one for thing in KNOWLEDGE.objects.values() for one in thing.keys]
    assert {one.since for one in times} | {one.until for one in times if one.until} <= set(RELEASES)


def test_an_unknown_release_is_refused_with_the_nearest() -> None:
    assert [known(one) for one in BOUNDARIES] == list(BOUNDARIES)
    with pytest.raises(UnknownRelease, match=r"no linkerd 1\.3\.9 .* nearest is 1\.3\."):
        known("1.3.9")


@pytest.mark.parametrize(
    ("key", "accepted", "refused"),
    [
        ("baseDtab: /svc => /host", ["0.8.5", "0.8.6"], ["0.9.0", "1.7.5"]),
        ("dtab: /svc => /host", ["0.9.0", "1.7.5"], ["0.8.5", "0.8.6"]),
        ("timeoutMs: 5", ["0.9.1"], ["1.0.0"]),
        ("service: {totalTimeoutMs: 5}", ["1.0.0", "1.7.0"], ["0.9.1"]),
        ("client: {kind: io.l5d.static, configs: [{prefix: /, failFast: true}]}", ["1.0.0"], ["0.9.1"]),
        ("client: {engine: {kind: netty4}}", ["0.8.5", "1.2.1"], ["1.3.0"]),
        ("client: {retries: {budget: {ttlSecs: 1}}}", ["0.8.5"], ["1.0.0"]),
        ("service: {retries: {backoff: {kind: jittered, minMs: 1, maxMs: 9}}}", ["1.0.0"], []),
        ("maxChunkKB: 8", ["1.5.2"], ["1.6.0"]),
        ("maxRequestKB: 8", ["1.6.4"], ["1.7.0"]),
        ("loggers: [{kind: io.l5d.k8s.istio}]", ["1.1.1", "1.3.7"], ["1.4.0"]),
        ("client: {loadBalancer: {kind: roundRobin}}", ["0.9.0"], ["0.8.6"]),
        ("responseClassifier: {kind: io.l5d.retryableRead5XX}", ["0.9.1"], ["1.0.0"]),
        ("client: {tls: {kind: io.l5d.static, commonName: x, caCertPath: y}}", ["0.9.1"], ["1.0.0"]),
        ("client: {tls: {commonName: x, trustCerts: [y]}}", ["1.0.0"], ["0.9.1"]),
        ("bindingCache: {idleTtlSecs: 9}", ["1.1.0"], ["1.0.2"]),
        ("identifier: [{kind: io.l5d.header.token}, {kind: io.l5d.path, segments: 2}]", ["0.8.5", "1.7.5"], []),
        ("identifier: {kind: io.l5d.ingress}", ["1.0.0"], ["0.9.1"]),
    ],
)
def test_keys_and_kinds_of_a_router_by_release(key: str, accepted: list[str], refused: list[str]) -> None:
    assert [router(key, version) for version in accepted] == [[]] * len(accepted)
    assert all(router(key, version) for version in refused)


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("routers: {}", "ML303"),
        ("[]", "ML303"),
        ("admin: {port: 9990}", "ML311"),
        ("usage: {enabled: false}\nrouters: []", "ML304"),
        ("routers: [{servers: []}]", "ML310"),
        ("routers: [{protocol: smtp}]", "ML309"),
        ("routers: [{protocol: http}]", "ML314"),
        ("routers: [{protocol: h2, servers: []}]", "ML319"),
        ("routers: [{protocol: http, servers: [{port: 70000}]}]", "ML315"),
        ("routers: [{protocol: http, servers: [{ip: localhost}]}]", "ML315"),
        ("routers: [{protocol: http, servers: [{port: http}]}]", "ML303"),
        ("routers: [{protocol: http, servers: [], baseDtab: '/svc -> /a'}]", "ML316"),
        ("routers: [{protocol: http, servers: [], dstPrefix: svc}]", "ML316"),
        ("routers: [{protocol: http, servers: [], identifier: []}]", "ML326"),
        ("routers: [{protocol: http, servers: [], bindingCache: {clients: 0}}]", "ML328"),
        ("routers: []\nnamers: [{kind: io.l5d.marathon}]", "ML318"),
        ("routers: []\ntracers: [{kind: io.l5d.zipkin, sampleRate: 2.0}]", "ML324"),
        ("routers: []\ntelemetry: [{kind: io.l5d.tracelog, level: loud}]", "ML325"),
        (
            "routers: [{protocol: http, servers: [], interpreter: {kind: default, transformers:"
            " [{kind: io.l5d.k8s.daemonset, namespace: a, service: l5d}]}}]",
            "ML321",
        ),
        (
            "routers: [{protocol: http, servers: [], client: {retries: {backoff: {kind: jittered, minMs: 1}}}}]",
            "ML323",
        ),
        (
            "routers: [{protocol: http, servers: [], interpreter: {kind: io.l5d.namerd.http, dst: /$/inet/a/1}}]",
            "ML320",
        ),
    ],
)
def test_each_check_has_its_id(text: str, id_: str) -> None:
    assert [finding.id for finding in found(text)] == [id_]


def test_a_bad_dtab_is_pointed_at() -> None:
    (finding,) = found("routers:\n- protocol: http\n  servers: []\n  baseDtab: |\n    /a => /b ;\n    /c = /d ;\n")
    assert (finding.line, finding.column) == (6, 9)
    assert finding.linkerd == "'>' expected but ' ' found"


def test_declared_numbers_in_quotes_are_taken() -> None:
    text = "routers: [{protocol: http, servers: [{port: '4140'}], failFast: yes, client: null}]"
    assert found(text) == []


def test_json_is_taken() -> None:
    assert found('{"routers": [{"protocol": "http", "servers": [{"port": 4140}]}]}') == []


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.sampled_from(BOUNDARIES))
def test_any_text_is_read_or_refused(text: str, version: str) -> None:
    try:
        root = document.compose(text)
    except document.Unreadable as error:
        place = (error.line, error.column)
        assert place >= (1, 1)
        return
    if root is not None:
        assert all(finding.line >= 1 for finding in shape.findings(root, version, text))


def test_a_mapping_that_holds_itself_ends() -> None:
    text = "&a\nrouters: [*a]\nnamers: &b [*b]\n"
    root = document.compose(text)
    assert root is not None
    assert list(shape.findings(root, "0.8.5", text))
