"""`mesh migrate`: what another release has elsewhere goes there, what it has not stays and is named, and the rest stays as it was."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.cli.mesh import mesh
from provision.linkerd.check.validate import validate
from provision.linkerd.knowledge.changes import BEHAVIOURS
from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.versions import BOUNDARIES, RELEASES
from provision.linkerd.migrate.way import migrate
from provision.linkerd.pages import BY_ID
from provision.linkerd.routing.delegate import delegate
from provision.linkerd.routing.dtab import parse
from provision.linkerd.routing.identify import Request, identify
from provision.linkerd.routing.routers import routers
from provision.linkerd.text.document import compose
from provision.linkerd.wanted import Mesh
from provision.mesh.config import configuration
from tests.unit.linkerd.test_anything import TREES, mutated
from tests.unit.linkerd.test_render import EVERYWHERE, TOPOLOGIES

ROOT = Path(__file__).parents[3]
ARTICLE = (ROOT / "tests" / "data" / "linkerd" / "article.yaml").read_text()

OLD = """\
# the mesh of the shop
admin: {port: 9990}
namers:
- kind: io.l5d.k8s
tracers:
- kind: io.l5d.zipkin
  host: 10.0.0.1   # the collector
telemetry:
- kind: io.l5d.commonMetrics
routers:
- protocol: http
  label: out
  # who is who
  baseDtab: |
    /http/*/* => /#/io.l5d.k8s/default/http ;   # by name
  timeoutMs: 1000  # two would be too long
  failFast: true
  responseClassifier:
    kind: io.l5d.retryableRead5XX
  maxChunkKB: 8
  servers:
  - port: 4140
    ip: 0.0.0.0
    engine: {kind: netty4}
  client:
    # how often
    retries:
      budget:
        ttlSecs: 5
    tls:
      kind: io.l5d.static
      commonName: shop   # its certificate's
      caCertPath: /ca.pem
    failureAccrual:
      kind: io.l5d.consecutiveFailures
      failures: 5
      backoff: {kind: constant, ms: 5}
- protocol: thrift
  servers: [{port: 4114, ip: 0.0.0.0, thriftProtocol: compact}]
  client: {thriftProtocol: compact}
"""

NEW = """\
# the mesh of the shop
admin: {port: 9990}
namers:
- kind: io.l5d.k8s
# the collector
telemetry:
- kind: io.l5d.prometheus
- kind: io.l5d.zipkin
  host: 10.0.0.1
routers:
- protocol: http
  label: out
  dstPrefix: /http
  identifier:
    kind: io.l5d.methodAndHost
  # who is who
  dtab: |
    /http/*/* => /#/io.l5d.k8s/default/http ;   # by name
  servers:
  - port: 4140
    ip: 0.0.0.0
  client:
    tls:
      commonName: shop   # its certificate's
      trustCerts:
      - /ca.pem
    failureAccrual:
      kind: io.l5d.consecutiveFailures
      failures: 5
      backoff: {kind: constant, ms: 5}
    failFast: true
  service:
    # how often
    retries:
      budget:
        ttlSecs: 5
    responseClassifier:
      kind: io.l5d.http.retryableRead5XX
    totalTimeoutMs: 1000  # two would be too long
- protocol: thrift
  dstPrefix: /thrift
  servers: [{port: 4114, ip: 0.0.0.0}]
  thriftProtocol: compact
"""


def errors(text: str, release: str) -> list[str]:
    return [found.shown("file") for found in validate(text, release) if found.severity == "error"]


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(mesh, ["migrate", *arguments], input=stdin)


def test_a_file_of_everything_that_moved_from_the_first_release_to_the_last() -> None:
    assert errors(OLD, "0.8.5") == []
    done = migrate(OLD, "0.8.5", "1.7.5")
    assert done.text == NEW
    assert done.left == ()
    assert [one for one in done.findings if one.severity == "error"] == []
    lines = OLD.splitlines()
    for change in done.changes:
        assert change.why
        if change.what.startswith("becomes"):
            assert change.field.rpartition(".")[2] in lines[change.line - 1]


def test_and_back_again_as_far_as_it_can() -> None:
    done = migrate(NEW, "1.7.5", "0.8.5")
    assert done.left == ()
    assert errors(done.text, "0.8.5") == []
    for line in ("  timeoutMs: 1000  # two would be too long", "      caCertPath: /ca.pem", "tracers:", "    retries:"):
        assert line in done.text.splitlines()
    assert "ip: 127.0.0.1" in done.text  # what it was by default, and would no longer be
    assert done.text.count("clients: 1000") == 2


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("more", [{}, EVERYWHERE, {"tracer": {"host": "10.0.0.1"}}], ids=["plain", "full", "traced"])
@pytest.mark.parametrize("source", BOUNDARIES)
def test_what_is_rendered_for_one_release_is_taken_by_every_other(
    source: str, topology: str, more: dict[str, Any]
) -> None:
    text = configuration(Mesh.model_validate({"version": source, "topology": topology, **more})).text
    for target in BOUNDARIES:
        done = migrate(text, source, target)
        assert done.left == ()
        assert [found.shown(target) for found in done.findings if found.severity == "error"] == []
        assert target != source or done.text == text
        assert leaves(done.text, target) == leaves(text, source)


def leaves(text: str, release: str) -> list[object]:
    """Where each router sends a request."""
    root = compose(text)
    assert root is not None
    found: list[object] = []
    for router in routers(root, release):
        path = identify(router, Request("checkout")).path
        assert path is not None
        found.append((router.label, delegate(parse(router.dtab), path).leaves))
    return found


def test_names_stay_where_the_dtab_was_written_for_them() -> None:
    text = one("baseDtab: |\n  /http/1.1/GET => /#/io.l5d.k8s/a/http ;\n", "namers: [{kind: io.l5d.k8s}]\n")
    done = migrate(text, "0.8.5", "0.9.0")
    assert leaves(done.text, "0.9.0") == leaves(text, "0.8.5") != []
    assert "names no longer hold HTTP's version and method" not in {one.what for one in done.behaviours}


def test_a_dtab_that_was_for_the_later_names_all_along_gets_them() -> None:
    done = migrate(ARTICLE, "0.8.5", "1.3.0")
    assert "dstPrefix" not in done.text
    assert [(one.id, one.field) for one in done.findings if one.severity == "error"] == [
        ("ML309", "routers[0].client.failureAccrual.kind")
    ]
    assert "names no longer hold HTTP's version and method" in {one.what for one in done.behaviours}


SERVER = "servers: [{port: 4140, ip: 0.0.0.0}]"


def one(keys: str, top: str = "") -> str:
    return f"{top}routers:\n- protocol: http\n  {SERVER}\n{textwrap.indent(textwrap.dedent(keys), '  ')}"


@pytest.mark.parametrize(
    ("source", "target", "written", "became"),
    [
        ("1.3.7", "1.6.0", "loggers: [{kind: io.l5d.k8s.istio}]\n", "client:\n    requestAuthorizers: [{"),
        ("0.9.1", "1.0.0", "identifier: {kind: io.l5d.http.ingress}\n", "identifier: {kind: io.l5d.ingress}"),
        ("0.9.1", "1.0.0", "client: {tls: {kind: io.l5d.noValidation}}\n", "client: {tls: {disableValidation: true}}"),
        ("1.0.0", "0.9.1", "client: {tls: {disableValidation: true}}\n", "client: {tls: {kind: io.l5d.noValidation}}"),
        ("1.0.0", "0.9.1", "client: {kind: io.l5d.global, failFast: true}\n", "\n  failFast: true"),
        ("1.6.4", "1.7.0", "maxRequestKB: 8\nmaxHeadersKB: 8\n", "\n  maxHeadersKB: 8\n"),
        ("0.8.5", "1.0.1", "label: a # first\nlabel: b\n", "label: a # first\n"),
    ],
)
def test_each_move(source: str, target: str, written: str, became: str) -> None:
    assert errors(one(written), source) == []
    done = migrate(one(written), source, target)
    assert became in done.text
    assert (done.left, errors(done.text, target)) == ((), [])


def test_certificates_by_bound_path_become_clients_by_prefix() -> None:
    bound = """
        kind: io.l5d.boundPath
        caCertPath: /ca.pem
        strict: false
        names:
        - {prefix: "/#/io.l5d.fs/{host}", commonNamePattern: "{host}.example.org"}
        - {prefix: /#/io.l5d.fs/web, commonNamePattern: web}
    """
    written = (
        f"client:\n  loadBalancer: {{kind: ewma}} # quick\n  tls:{textwrap.indent(textwrap.dedent(bound), '    ')}\n"
    )
    assert errors(one(written), "0.9.1") == []
    done = migrate(one(written), "0.9.1", "1.0.0")
    assert (done.left, errors(done.text, "1.0.0")) == ((), [])
    assert "# quick" in done.text
    (router,) = yaml.safe_load(done.text)["routers"]
    assert router["client"] == {
        "kind": "io.l5d.static",
        "configs": [
            {"prefix": "/", "loadBalancer": {"kind": "ewma"}},
            {"prefix": "/#/io.l5d.fs/{host}", "tls": {"commonName": "{host}.example.org", "trustCerts": ["/ca.pem"]}},
            {"prefix": "/#/io.l5d.fs/web", "tls": {"commonName": "web", "trustCerts": ["/ca.pem"]}},
        ],
    }


def test_flags_that_were_not_needed_are_set_on_the_way_back() -> None:
    done = migrate(f"routers:\n- protocol: h2\n  {SERVER}\n", "1.3.5", "1.3.4")
    assert "experimental: true" in done.text
    assert errors(done.text, "1.3.4") == []


@pytest.mark.parametrize(
    ("source", "target", "written", "field", "words"),
    [
        (
            "0.9.1",
            "1.0.0",
            "client: {tls: {kind: io.l5d.boundPath, caCertPath: /ca.pem, names: [{prefix: '/#/x/{a}'}]}}\n",
            "routers[0].client.tls",
            "without `strict: false` a name that none of `names` has fails",
        ),
        (
            "1.5.2",
            "1.6.0",
            "requestAuthorizers: [{kind: io.l5d.k8s.istio}]\nclient: {kind: io.l5d.static, configs: [{prefix: /}]}\n",
            "routers[0].requestAuthorizers",
            "has configs",
        ),
        ("1.3.0", "1.0.0", "loggers: [{kind: io.l5d.k8s.istio}]\n", "routers[0].loggers", ""),
        ("1.7.0", "1.6.0", "maxErrResponseKB: 8\n", "routers[0].maxErrResponseKB", ""),
    ],
)
def test_what_has_no_place_stays_and_is_named(source: str, target: str, written: str, field: str, words: str) -> None:
    done = migrate(one(written), source, target)
    named = {found.field: found.message for found in done.findings} | {one.field: one.why for one in done.left}
    assert words in named[field]
    assert field.rpartition(".")[2] in done.text


CONCERNS: list[tuple[str, str, str, str, str]] = [
    ("0.8.6", "0.9.0", "phones home", one(""), one("", "usage: {enabled: false}\n")),
    (
        "0.9.0",
        "0.9.1",
        "pod's port",
        one("dtab: /svc => /#/io.l5d.k8s/a/80\n"),
        one("dtab: /svc => /#/io.l5d.k8s/a/b\n"),
    ),
    ("0.9.0", "0.9.1", "binding cache", one(""), one("bindingCache: {clients: 5}\n")),
    ("0.8.6", "0.9.0", "prometheus", one(""), one("", "telemetry: [{kind: io.l5d.commonMetrics}]\n")),
    (
        "0.9.1",
        "1.0.0",
        "retries.budget",
        one("client: {retries: {budget: {ttlSecs: 5}}}\n"),
        one("client: {retries: {backoff: {kind: constant, ms: 5}}}\n"),
    ),
    (
        "1.1.0",
        "1.1.1",
        "takes effect",
        one("client: {failureAccrual: {kind: none, backoff: {kind: constant, ms: 5}}}\n"),
        one("client: {failureAccrual: {kind: none}}\n"),
    ),
    ("1.1.0", "1.1.1", "netty4", one(""), one("client: {engine: {kind: netty3}}\n")),
    ("1.1.3", "1.2.0", "127.0.0.1 only", one(""), one("", "admin: {ip: 0.0.0.0}\n")),
    (
        "1.1.3",
        "1.2.0",
        "PKCS#8",
        one("").replace("ip: 0.0.0.0", "ip: 0.0.0.0, tls: {certPath: a, keyPath: b}"),
        one("client: {tls: {commonName: a}}\n"),
    ),
    ("1.5.0", "1.5.1", "streams", one("").replace("http", "h2"), one("")),
    ("1.7.0", "1.6.4", "maxCallDepth", one(""), one("").replace("http", "mux")),
]


@pytest.mark.parametrize(("source", "target", "words", "has", "has_not"), CONCERNS, ids=[row[2] for row in CONCERNS])
def test_changes_of_behaviour_are_told_to_those_whom_they_concern(
    source: str, target: str, words: str, has: str, has_not: str
) -> None:
    told, untold = (" ".join(one.what for one in migrate(text, source, target).behaviours) for text in (has, has_not))
    assert words in told
    assert words not in untold


def test_every_move_of_the_data_has_a_reason_and_leads_to_a_key_that_is_there() -> None:
    for object_ in KNOWLEDGE.objects.values():
        for key in object_.keys:
            if key.becomes:
                names = {
                    other.name
                    for thing in KNOWLEDGE.objects.values()
                    for other in thing.keys
                    if key.until and other.known(key.until)
                }
                assert key.becomes.removesuffix("[]").rpartition(".")[2] in names
            assert bool(key.why) == bool(key.becomes)
    for family in KNOWLEDGE.families.values():
        for kind in family.kinds:
            assert not (kind.becomes or kind.flat is not None) or (kind.why and kind.until in RELEASES)


def test_changes_of_behaviour_name_what_the_knowledge_has() -> None:
    names = {key.name for thing in KNOWLEDGE.objects.values() for key in thing.keys}
    ids = {kind.id for family in KNOWLEDGE.families.values() for kind in family.kinds}
    for one in BEHAVIOURS:
        assert one.release in RELEASES
        assert {key.rpartition(".")[2] for key in one.uses.keys} <= names
        assert not one.uses.without or one.uses.without.rpartition(".")[2] in names
        assert {*one.uses.kinds, *filter(None, [one.uses.kind_less])} <= ids


def test_json_stays_json_and_manifests_are_migrated_inside() -> None:
    done = migrate(
        '{"routers": [{"protocol": "http", "failFast": true, "servers": [{"port": 4140}]}]}\n', "0.9.1", "1.0.0"
    )
    assert json.loads(done.text)["routers"][0]["client"] == {"failFast": True}
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: l5d}\ndata:\n  config.yaml: |\n"
    inside = migrate(head + textwrap.indent(OLD, "    ") + "\n", "0.8.5", "1.7.5")
    assert inside.text == head + textwrap.indent(NEW, "    ") + "\n"
    assert inside.changes[0].line == head.count("\n") + 5


def test_line_ends_stay() -> None:
    assert migrate(OLD.replace("\n", "\r\n"), "0.8.5", "1.7.5").text == NEW.replace("\n", "\r\n")


UNENDED = """\
routers:
- protocol: http
  servers: [{port: 4140}]
  failFast: true
  baseDtab: |
    /http => /#/io.l5d.fs ;"""
"""Its last line does not end, so that a line put after it would end a literal value that had no end."""


def test_a_last_line_without_an_end_is_no_hindrance() -> None:
    plain = migrate(UNENDED, "0.8.5", "1.7.5")
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: l5d}\ndata:\n  config.yaml: |-\n"
    inside = migrate(head + textwrap.indent(UNENDED, "    ") + "\n", "0.8.5", "1.7.5")
    assert not plain.left + inside.left
    assert not plain.text.endswith("\n")
    assert inside.text == head + textwrap.indent(plain.text, "    ") + "\n"
    router = yaml.safe_load(plain.text)["routers"][0]
    assert router["dtab"] == "/http => /#/io.l5d.fs ;\n"
    assert router["client"] == {"failFast": True}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    mutated() | TREES.map(json.dumps) | st.text(max_size=80), st.sampled_from(BOUNDARIES), st.sampled_from(BOUNDARIES)
)
def test_any_text_is_migrated_or_left(text: str, source: str, target: str) -> None:
    done = migrate(text, source, target)
    assert done.findings == validate(done.text, target)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "linkerd.yaml"
    path.write_text(OLD)
    return path


def test_the_command_shows_reasons_and_a_diff_and_writes_when_told(old: Path) -> None:
    asked = run(str(old), "--from", "0.8.5", "--to", "1.7.5")
    assert asked.exit_code == 2
    assert "say --yes" in asked.stderr
    assert old.read_text() == OLD
    done = run(str(old), "--from", "0.8.5", "--to", "1.7.5", "--yes")
    assert done.exit_code == 0
    assert old.read_text() == NEW
    assert f"{old}:16: 1.0.0: routers[0].timeoutMs becomes service.totalTimeoutMs: " in done.stdout
    assert "1.1.1: `failureAccrual.backoff` takes effect" in done.stdout
    assert "-  timeoutMs: 1000  # two would be too long\n" in done.stdout
    again = run(str(old), "--from", "1.7.5", "--to", "1.7.5")
    assert (again.exit_code, old.read_text()) == (0, NEW)


def test_a_manifest_whose_image_stays_behind_is_told_so() -> None:
    manifest = BY_ID["ML302"].near_miss
    done = run("-", "--from", "0.8.5", "--to", "0.9.1", stdin=manifest)
    assert "the image's tag still says 0.8.5" in done.stderr
    assert "the image's tag" not in run("-", "--from", "0.8.6", "--to", "0.8.5", stdin=manifest).stderr


def test_stdin_is_migrated_to_stdout() -> None:
    done = run("-", "--from", "0.8.5", "--to", "1.7.5", stdin=OLD)
    assert (done.exit_code, done.stdout) == (0, NEW)
    assert "17 changes, 0 left" in done.stderr
    assert run("-", "--from", "0.8.5", "--to", "1.7.5", "--json", stdin=OLD).exit_code == 2


def test_what_is_left_is_1_and_traps_are_1_with_strict(old: Path) -> None:
    bound = one("client: {tls: {kind: io.l5d.boundPath}}\n")
    assert run("-", "--from", "0.9.1", "--to", "1.0.0", stdin=bound).exit_code == 1
    assert run("-", "--from", "0.8.5", "--to", "1.7.5", "--strict", stdin=OLD).exit_code == 1


def test_json_tells_changes_what_is_left_behaviour_and_findings(old: Path) -> None:
    done = run(str(old), "--from", "0.8.5", "--to", "1.7.5", "--yes", "--json")
    told = json.loads(done.stdout)
    assert set(told) == {"file", "changes", "left", "behaviours", "findings"}
    assert len(told["changes"]) == 17
    assert set(told["changes"][0]) == {"line", "release", "field", "what", "why"}
    assert old.read_text() == NEW


def test_unknown_releases_and_inventories_are_refused() -> None:
    assert "nearest is 1.7.5" in run("-", "--from", "0.8.5", "--to", "1.7.9", stdin=OLD).output
    inventory = (ROOT / "inventories" / "lab.yaml").read_text()
    refused = run("-", "--from", "0.8.5", "--to", "1.0.0", stdin=inventory)
    assert (refused.exit_code, "mesh.version" in refused.output) == (2, True)
