"""`meshctl mesh validate` from outside: files, stdin, manifests, inventories, exit codes, and the pre-commit hook."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from provision.cli import meshctl
from provision.linkerd.pages import BY_ID

ROOT = Path(__file__).parents[3]
ARTICLE = ROOT / "tests" / "data" / "linkerd" / "article.yaml"
CLEAN = """\
admin: {ip: 127.0.0.1}
routers:
- protocol: http
  bindingCache: {clients: 1000}
  baseDtab: /http/*/* => /$/inet/127.0.0.1/8080
  servers: [{port: 4140, ip: 0.0.0.0}]
"""


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(meshctl, ["mesh", "validate", *arguments], input=stdin)


def ids(result: Result) -> list[str]:
    return [found["id"] for found in json.loads(result.stdout)]


def test_errors_are_1_traps_are_0_and_strict_makes_them_1() -> None:
    assert run(str(ARTICLE)).exit_code == 1
    trap = CLEAN.replace(", ip: 0.0.0.0", "")
    assert run("-", stdin=trap).exit_code == 0
    assert run("-", "--strict", stdin=trap).exit_code == 1
    assert run("-", "--strict", stdin=CLEAN).exit_code == 0


def test_a_wrong_command_line_is_2() -> None:
    assert run().exit_code == 2
    assert "nearest is 1.7.5" in run("-", "--linkerd", "1.7.9", stdin=CLEAN).output


def test_a_finding_says_place_id_severity_linkerds_words_and_the_fix() -> None:
    lines = run(str(ARTICLE)).stdout.splitlines()
    begin = next(number for number, line in enumerate(lines) if "ML309" in line)
    assert lines[begin].startswith(f"{ARTICLE}:16:13: ML309 error: routers[0].client.failureAccrual.kind: ")
    assert lines[begin + 1].startswith("    linkerd says: Could not resolve type id 'io.l5d.failureAccrual.")
    assert lines[begin + 2] == "    fix: did you mean io.l5d.consecutiveFailures?"


def test_json_of_several_files_names_each(tmp_path: Path) -> None:
    clean = tmp_path / "clean.yaml"
    clean.write_text(CLEAN)
    found = json.loads(run(str(clean), str(ARTICLE), "--json").stdout)
    assert {one["file"] for one in found} == {str(ARTICLE)}
    assert set(found[0]) == {"file", "line", "column", "id", "field", "message", "linkerd", "fix", "severity"}


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    assert ids(run(str(tmp_path / "none.yaml"), "--json")) == ["ML302"]
    assert ids(run(str(tmp_path), "--json")) == ["ML302"]
    assert ids(run("-", "--json", stdin=b"\xff\xfe")) == ["ML303"]


def test_the_release_of_a_manifest_is_its_images() -> None:
    manifest = BY_ID["ML302"].near_miss
    assert "for linkerd 0.8.5" in run("-", stdin=manifest).stderr
    newer = manifest.replace("linkerd:0.8.5", "linkerd:1.3.0")
    assert "for linkerd 1.3.0" in run("-", stdin=newer).stderr
    assert "for linkerd 1.0.0" in run("-", "--linkerd", "1.0.0", stdin=newer).stderr


def test_findings_in_a_manifest_stand_where_they_stand_in_the_manifest() -> None:
    manifest = BY_ID["ML302"].near_miss.replace("- protocol: http", "- protocol: htpp")
    found = json.loads(run("-", "--json", stdin=manifest).stdout)
    (wrong,) = (one for one in found if one["id"] == "ML309")
    assert manifest.splitlines()[wrong["line"] - 1][wrong["column"] - 1 :] == "htpp"


@pytest.mark.parametrize("inventory", sorted((ROOT / "inventories").glob("*.yaml")), ids=lambda path: path.stem)
def test_what_an_inventory_would_install_starts(inventory: Path) -> None:
    assert run(str(inventory)).exit_code == 0


def test_an_inventory_is_judged_for_its_own_release(tmp_path: Path) -> None:
    lab = str(ROOT / "inventories" / "lab.yaml")
    refused = run(lab, "--linkerd", "1.3.0")
    assert (refused.exit_code, "mesh.version" in refused.output) == (2, True)


def test_findings_in_an_inventorys_own_file_name_that_file(tmp_path: Path) -> None:
    own = tmp_path / "linkerd.yaml"
    own.write_text(CLEAN.replace("  bindingCache: {clients: 1000}\n", ""))
    inventory = tmp_path / "inventory.yaml"
    data = yaml.safe_load((ROOT / "inventories" / "lab.yaml").read_text())
    data["mesh"] = {"config_file": "linkerd.yaml"}
    inventory.write_text(yaml.safe_dump(data))
    (found,) = json.loads(run(str(inventory), "--json").stdout)
    assert (found["id"], found["file"], found["line"]) == ("ML352", str(own), 3)


def test_faults_in_an_inventorys_own_file_are_found_as_in_any_other(tmp_path: Path) -> None:
    (tmp_path / "linkerd.yaml").write_text(ARTICLE.read_text())
    inventory = tmp_path / "inventory.yaml"
    data = yaml.safe_load((ROOT / "inventories" / "lab.yaml").read_text())
    data["mesh"] = {"config_file": "linkerd.yaml"}
    inventory.write_text(yaml.safe_dump(data))
    result = run(str(inventory), "--json")
    assert result.exit_code == 1
    assert ids(result) == ids(run(str(ARTICLE), "--json"))
    assert {one["file"] for one in json.loads(result.stdout)} == {str(tmp_path / "linkerd.yaml")}


def test_the_shipped_hook_checks_the_files_that_it_names() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    names = ["linkerd.yaml", "deploy/l5d-config.yml", "linkerd.json"]
    assert all(re.search(hook["files"], name) for name in names)
    assert not any(re.search(hook["files"], name) for name in ["values.yaml", "linkerd.md"])
    words = shlex.split(hook["entry"])
    assert words[0] == "meshctl"
    assert CliRunner().invoke(meshctl, [*words[1:], str(ARTICLE)]).exit_code == 1
