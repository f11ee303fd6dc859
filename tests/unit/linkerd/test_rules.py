"""Rules between nodes, names of requests, and the two commands: each check with a case that has it and a near miss."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.cli.mesh import mesh
from provision.linkerd.check.validate import validate
from provision.linkerd.knowledge.versions import BOUNDARIES, RELEASES
from provision.linkerd.routing.identify import Request, identify
from provision.linkerd.routing.routers import routers
from provision.linkerd.text.document import compose
from tests.unit.linkerd.test_shape import ARTICLE

MENDED = (
    ARTICLE.replace("dtab:", "baseDtab:")
    .replace("io.l5d.failureAccrual.", "io.l5d.")
    .replace("label: outgoing", "label: outgoing\n  dstPrefix: /svc\n  identifier: {kind: io.l5d.header.token}")
    .replace("label: outgoing", "label: outgoing\n  bindingCache: {clients: 1000}")
    .replace("port: 9990", "port: 9990\n  ip: 127.0.0.1")
    .partition("      backoff:")[0]
    + "namers:\n- kind: io.l5d.k8s\n"
)


def ids(text: str, version: str = "0.8.5") -> list[str]:
    return [finding.id for finding in validate(text, version)]


def one(*routers: str, namers: str = "[]") -> str:
    return f"namers: {namers}\nrouters:\n" + "".join(f"- {{protocol: http, {more}}}\n" for more in routers)


HERE = "servers: [{port: 4140, ip: 0.0.0.0}]"


def test_duplicate_keys_are_a_trap_before_1_0_1_and_an_error_from_then_on() -> None:
    text = one(f"label: a, label: b, {HERE}")
    severities = {
        version: [one.severity for one in validate(text, version) if one.id == "ML346"] for version in RELEASES
    }
    assert severities["1.0.0"] == ["trap"]
    assert severities["1.0.1"] == ["error"]


def test_the_mended_article_is_clean() -> None:
    assert ids(MENDED) == []


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.sampled_from(["http", "io.l5d.k8s", "/svc => /#/x", 4140, True, None, "0.0.0.0"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "routers",
                        "protocol",
                        "servers",
                        "dtab",
                        "baseDtab",
                        "identifier",
                        "kind",
                        "namers",
                        "client",
                        "port",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    ),
    st.sampled_from(BOUNDARIES),
)
def test_any_tree_is_judged(value: object, version: str) -> None:
    text = json.dumps(value)
    assert list(validate(text, version)) == sorted(validate(text, version))


def named(identifier: str, request: Request, version: str = "0.8.5") -> str | None:
    root = compose(one(f"identifier: {identifier}, {HERE}"))
    assert root is not None
    (router,) = routers(root, version)
    path = identify(router, request).path
    return None if path is None else "/" + "/".join(part.decode() for part in path)


@pytest.mark.parametrize(
    ("identifier", "request_", "name"),
    [
        ("null", Request("Web"), "/http/1.1/GET/web"),
        ("null", Request("Web", version="1.0", method="POST"), "/http/1.0/POST"),
        ("null", Request(""), None),
        ("{kind: io.l5d.methodAndHost, httpUriInDst: true}", Request("a", path="/x/y?z=1"), "/http/1.1/GET/a/x/y"),
        ("{kind: io.l5d.header.token}", Request("Web:80"), "/http/Web:80"),
        ("{kind: io.l5d.header, header: my}", Request("a", headers={"my": "/x/y"}), "/http/x/y"),
        ("{kind: io.l5d.path, segments: 2}", Request("a", path="/x/y/z"), "/http/x/y"),
        ("{kind: io.l5d.path, segments: 2}", Request("a", path="/x"), None),
        ("{kind: io.l5d.static, path: /all}", Request("a"), "/http/all"),
        ("[{kind: io.l5d.header}, {kind: io.l5d.path}]", Request("a", path="/x"), "/http/x"),
        ("{kind: io.l5d.ingress}", Request("a"), None),
    ],
)
def test_requests_are_named_as_linkerd_names_them(identifier: str, request_: Request, name: str | None) -> None:
    assert named(identifier, request_) == name


def test_from_0_9_0_names_begin_with_svc_and_are_the_host() -> None:
    assert named("null", Request("web"), "0.9.0") == "/svc/web"


def test_validate_prints_findings_and_exits_with_1(tmp_path: Path) -> None:
    path = tmp_path / "linkerd.yaml"
    path.write_text(ARTICLE)
    result = CliRunner().invoke(mesh, ["validate", str(path)])
    assert result.exit_code == 1
    assert f"{path}:7:3: ML305 error: routers[0].dtab" in result.output
    clean = CliRunner().invoke(mesh, ["validate", "-", "--json"], input=MENDED)
    assert (clean.exit_code, clean.stdout) == (0, "[]\n")
    strict = CliRunner().invoke(mesh, ["validate", "-", "--strict"], input=one("servers: [{port: 1}]"))
    assert strict.exit_code == 1
    assert CliRunner().invoke(mesh, ["validate", "-", "--linkerd", "2.0.0"], input="").exit_code == 2


def test_route_shows_the_steps_and_the_service(tmp_path: Path) -> None:
    path = tmp_path / "linkerd.yaml"
    path.write_text(MENDED)
    result = CliRunner().invoke(mesh, ["route", str(path), "--host", "checkout"])
    assert result.exit_code == 0
    assert "io.l5d.header.token names it /svc/checkout" in result.output
    assert "default / http / checkout" in result.output


def test_route_by_several_identifiers_says_which_one_named_it() -> None:
    text = one(
        "identifier: [{kind: io.l5d.header, header: x-to}, {kind: io.l5d.path, segments: 2}],"
        f" baseDtab: '/http => /#/io.l5d.k8s/default/http', {HERE}",
        namers="[{kind: io.l5d.k8s}]",
    )
    by_header = CliRunner().invoke(mesh, ["route", "-", "--header", "X-To: /web"], input=text)
    assert by_header.output.startswith("io.l5d.header names it /http/web\n")
    by_path = CliRunner().invoke(mesh, ["route", "-", "--path", "/shop/web/x"], input=text)
    assert by_path.output.splitlines()[1] == "io.l5d.path names it /http/shop/web"
    by_none = CliRunner().invoke(mesh, ["route", "-", "--path", "/"], input=text)
    assert by_none.exit_code == 1
    assert by_none.output.startswith("io.l5d.header: x-to header is absent; the next identifier is asked\n")
    assert by_none.output.endswith("gives the request no name: not enough segments in path\n")


def test_route_finds_the_configuration_in_a_manifest() -> None:
    inner = "".join(f"    {line}\n" for line in MENDED.splitlines())
    manifest = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: l5d}}\ndata:\n  config.yaml: |\n{inner}"
    result = CliRunner().invoke(mesh, ["route", "-", "--host", "checkout"], input=manifest)
    assert result.output.splitlines()[-1].endswith("default / http / checkout)")


def test_route_says_why_a_request_ends_in_nothing(tmp_path: Path) -> None:
    path = tmp_path / "linkerd.yaml"
    path.write_text(ARTICLE)
    result = CliRunner().invoke(mesh, ["route", str(path), "--host", "checkout"])
    assert result.exit_code == 1
    assert "No hosts are available for /http/1.1/GET/checkout" in result.output
