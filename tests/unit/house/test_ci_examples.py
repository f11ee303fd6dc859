"""docs/ci: the page shows the files, and every command in them is one that there is. They are run in tests/libvirt and tests/lab."""

from __future__ import annotations

import shlex

import click
import pytest
import yaml

from provision.cli import meshctl
from tests.ci_words import DOCS, NAME, Script, github, gitlab

FILES = ("gitlab-ci.yml", "github-actions.yml")
JOBS = {"gitlab": gitlab, "github": github}

each = pytest.mark.parametrize("system", JOBS)


def commands(scripts: list[Script]) -> list[list[str]]:
    """The words behind `meshctl`, of each line."""
    lines = [shlex.split(line) for script in scripts for line in script.text.splitlines()]
    assert all(words[0] == "meshctl" for words in lines)
    return [words[1:] for words in lines]


def test_the_page_shows_the_files_as_they_are() -> None:
    page = (DOCS / "ci.md").read_text()
    for name in FILES:
        text = (DOCS / "ci" / name).read_text()
        assert yaml.safe_load(text)
        assert f"```yaml\n{text}```\n" in page, f"{name} is another in docs/ci.md"


@each
def test_every_command_is_one_that_there_is(system: str) -> None:
    for job in ("mesh-tests", "nightly-gc"):
        for name, *words in commands(JOBS[system](job)):
            with click.Context(meshctl) as ctx:
                command = meshctl.get_command(ctx, name)
            assert command is not None, name
            command.make_context(name, words)


@each
def test_a_cluster_has_a_name_and_an_end_whatever_happens(system: str) -> None:
    scripts = JOBS[system]("mesh-tests")
    assert {script.env["MESHCTL_NAME"] for script in scripts} == {NAME}
    first, *_, last = commands(scripts)
    assert (first[0], "--ttl" in first) == ("provision", True)
    assert last[0] == "destroy"
    assert [script.always for script in scripts] == [False] * (len(scripts) - 1) + [True]
    assert [words[0] for words in commands(JOBS[system]("nightly-gc"))] == ["list", "gc"]
