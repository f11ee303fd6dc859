"""`mesh validate --fix`: what mends itself is mended, what needs a decision is left, and the rest of the file stays as it was."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from provision.cli.mesh import mesh
from provision.linkerd.check.validate import validate
from provision.linkerd.mend.mend import MENDS, mend
from provision.linkerd.pages import CHECKS
from provision.linkerd.pages.mendable import MENDABLE
from provision.linkerd.pages.model import Check

ARTICLE = Path(__file__).parents[2] / "data" / "linkerd" / "article.yaml"

NEEDS_A_DECISION = {"ML304", "ML306", "ML307"}
"""Their examples use a key of a later release for which the earlier one has nothing."""


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(mesh, ["validate", *arguments], input=stdin)


@pytest.fixture
def article(tmp_path: Path) -> Path:
    path = tmp_path / "linkerd.yaml"
    path.write_bytes(ARTICLE.read_bytes())
    return path


def test_the_article_mended_has_no_errors_and_routes_checkout(article: Path) -> None:
    done = run(str(article), "--fix", "--yes")
    assert done.exit_code == 0
    assert [one for one in validate(article.read_text(), "0.8.5") if one.severity == "error"] == []
    routed = CliRunner().invoke(mesh, ["route", str(article), "--host", "checkout"])
    assert routed.exit_code == 0
    assert routed.output.splitlines()[-1].endswith("(namespace / port / service: default / http / checkout)")


def test_only_what_is_mended_differs(article: Path) -> None:
    run(str(article), "--fix", "--yes")
    kept = set(ARTICLE.read_text().splitlines()) - set(article.read_text().splitlines())
    assert kept == {"  dtab: |", "      kind: io.l5d.failureAccrual.consecutiveFailures"}
    assert "kind: ewma # Exponentially Weighted" in article.read_text()


def test_the_difference_is_shown_and_nobody_is_asked_without_a_terminal(article: Path) -> None:
    done = run(str(article), "--fix")
    assert done.exit_code == 2
    assert "-  dtab: |\n+  dstPrefix: /svc" in done.stdout
    assert "say --yes" in done.stderr
    assert article.read_bytes() == ARTICLE.read_bytes()


def test_stdin_is_mended_to_stdout_and_what_is_left_goes_to_stderr() -> None:
    done = run("-", "--fix", stdin=ARTICLE.read_text())
    assert done.exit_code == 0
    assert not [one for one in validate(done.stdout, "0.8.5") if one.severity == "error"]
    assert "ML343 trap" in done.stderr
    assert run("-", "--fix", "--json", stdin=ARTICLE.read_text()).exit_code == 2


def test_json_tells_what_is_left(article: Path) -> None:
    done = run(str(article), "--fix", "--yes", "--json")
    assert {one["id"] for one in json.loads(done.stdout)} == {"ML343", "ML353"}


def test_mode_and_link_stay_and_nothing_is_left_beside(article: Path) -> None:
    article.chmod(0o640)
    link = article.with_name("link.yaml")
    link.symlink_to(article.name)
    assert run(str(link), "--fix", "--yes").exit_code == 0
    assert link.is_symlink()
    assert article.stat().st_mode & 0o7777 == 0o640
    assert "baseDtab" in article.read_text()
    assert sorted(os.listdir(article.parent)) == ["link.yaml", "linkerd.yaml"]


def test_line_ends_and_a_byte_order_mark_stay(article: Path) -> None:
    article.write_bytes(b"\xef\xbb\xbf" + ARTICLE.read_bytes().replace(b"\n", b"\r\n"))
    assert run(str(article), "--fix", "--yes").exit_code == 0
    data = article.read_bytes()
    assert data.startswith(b"\xef\xbb\xbfadmin:\r\n")
    assert data.count(b"\r\n") == data.count(b"\n")


def test_a_file_that_needs_nothing_is_not_touched(article: Path) -> None:
    run(str(article), "--fix", "--yes")
    before = article.stat().st_mtime_ns
    again = run(str(article), "--fix")
    assert (again.exit_code, article.stat().st_mtime_ns) == (0, before)


def test_json_stays_json() -> None:
    router = (
        '    "protocol": "http",\n    "dtab": "/svc => /#/io.l5d.k8s/default/http",\n    "servers": [{"ip": "0.0.0.0"}]'
    )
    text = f'{{"routers": [\n  {{\n{router}\n  }}\n]}}\n'
    mended = mend(text, "0.8.5")
    found = json.loads(mended.text)["routers"][0]
    assert (found["dstPrefix"], found["bindingCache"]["clients"]) == ("/svc", 1000)
    assert '"servers": [{"ip": "0.0.0.0"}],\n    "bindingCache": {' in mended.text
    assert {one.id for one in mended.left} == {"ML353"}


def test_a_configuration_within_a_manifest_is_mended_there() -> None:
    inner = textwrap.indent(ARTICLE.read_text(), "    ")
    before, after = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: l5d-config}\ndata:\n  config.yaml: |\n",
        "\n  # more\n  other: x\n",
    )
    mended = mend(before + inner + after, "0.8.5")
    assert mended.text == before + textwrap.indent(mend(ARTICLE.read_text(), "0.8.5").text, "    ") + after
    assert mended.done[0].line > before.count("\n")
    assert [one.id for one in mended.left] == ["ML353", "ML343"]


@pytest.mark.parametrize("check", [one for one in CHECKS if one.id in MENDS], ids=lambda check: check.id)
def test_the_example_of_each_mendable_check(check: Check) -> None:
    mended = mend(check.example, check.release, check.place)
    assert (check.id in {one.id for one in mended.left}) == (check.id in NEEDS_A_DECISION)
    assert {one.id for one in mended.left if one.severity == "error"} <= NEEDS_A_DECISION


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_near_miss_is_not_mended_for_it(check: Check) -> None:
    place = check.near_place or check.place
    assert check.id not in {one.id for one in mend(check.near_miss, check.release, place).done}


def test_the_registry_tells_what_mends_itself() -> None:
    assert set(MENDS) == MENDABLE
    told = {check.id for check in CHECKS if "**`--fix`** mends it" in check.text()}
    assert told == MENDABLE


HERE = "servers: [{port: 4140, ip: 0.0.0.0}]"


@pytest.mark.parametrize(
    ("release", "written", "mended"),
    [
        ("1.0.0", "baseDtab: /svc => /$/inet/x/1", "dtab: /svc => /$/inet/x/1"),
        ("1.0.0", "failFast: true # why", "client:\n    failFast: true # why"),
        ("1.3.0", "servers: [{ip: 0.0.0.0, engine: {kind: netty4}}]", "servers: [{ip: 0.0.0.0}]"),
        ("1.0.0", "responseClassifier: {kind: io.l5d.retryableRead5XX}", "kind: io.l5d.http.retryableRead5XX"),
        ("0.9.0", "responseClassifier: {kind: io.l5d.http.retryableRead5XX}", "{kind: io.l5d.retryableRead5XX}"),
        ("1.0.0", "client: {failFsat: true}", "client: {failFast: true}"),
    ],
)
def test_keys_and_kinds_of_other_releases(release: str, written: str, mended: str) -> None:
    server = "" if "servers" in written else f"  {HERE}\n"
    text = f"admin: {{ip: 127.0.0.1}}\nrouters:\n- protocol: http\n{server}  {written}\n"
    done = mend(text, release)
    assert mended in done.text
    assert [one for one in done.left if one.severity == "error"] == []


def test_two_values_for_one_place_are_left() -> None:
    text = f"usage: {{enabled: false}}\nrouters:\n- protocol: http\n  failFast: true\n  client: {{failFast: false}}\n  {HERE}\n"
    assert "ML305" in {one.id for one in mend(text, "1.0.0").left}


def test_of_keys_that_stand_twice_the_one_that_counts_stays() -> None:
    text = f"routers:\n- protocol: http\n  label: a # first\n  label: b\n  {HERE}\n"
    assert "- protocol: http\n  label: a # first\n  servers" in mend(text, "0.8.5").text
    last = text.replace("label: a", "maxChunkKB: 1").replace("label: b", "maxChunkKB: 2")
    assert "- protocol: http\n  # first\n  maxChunkKB: 2\n" in mend(last, "0.8.5").text
    assert "ML346" in {one.id for one in mend(text, "1.0.1").left}


@pytest.mark.parametrize("text", ["", "a: [", "- 1\n", "null\n", "{"])
def test_what_cannot_be_mended_is_left_as_it_is(text: str) -> None:
    assert mend(text, "1.0.0").text == text
