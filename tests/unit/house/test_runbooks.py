"""Pages of docs/runbooks are what the tests can carry out: commands that there are, listed, and none of them passed over."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from provision.cli import meshctl
from tests.runbook import RUNBOOKS, Step, steps

PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")

PAGE = """\
Text.

   ```console
   $ meshctl status INVENTORY
   w1 … Ready
   $ meshctl cordon INVENTORY w1
   ```

    $ meshctl destroy INVENTORY

```console
$ meshctl plan INVENTORY
```
"""


def test_commands_and_what_they_say_are_found_in_order() -> None:
    assert steps(PAGE) == (
        Step("meshctl status INVENTORY", ("w1 … Ready",)),
        Step("meshctl cordon INVENTORY w1"),
        Step("meshctl plan INVENTORY"),
    )
    assert steps(PAGE)[1].words("/x y.yaml") == ["meshctl", "cordon", "/x y.yaml", "w1"]
    with pytest.raises(ValueError, match="begins with a command"):
        steps("```console\nw1\n```\n")


@pytest.mark.parametrize(
    ("output", "unsaid"),
    [
        ("a\n  w1   hv1   Ready\nb (1)\n", ""),
        ("w1 hv1 NotThere\nb (1)\n", "w1 … Ready"),
        ("b (1)\nw1 hv1 Ready\n", "b (1)"),
        ("w1 hv1 Ready b (1)\n", "b (1)"),
    ],
)
def test_lines_must_come_in_order(output: str, unsaid: str) -> None:
    assert Step("x", ("w1 … Ready", "b (1)")).unsaid(output) == unsaid


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.stem))
def test_each_command_is_one_that_there_is(page: Path) -> None:
    found = steps(page.read_text())
    assert found
    for step in found:
        program, name, *words = step.words("x.yaml")
        command = meshctl.get_command(click.Context(meshctl), name)
        assert (program, command is not None) == ("meshctl", True), step.command
        assert command
        command.make_context(name, list(words), resilient_parsing=False)


def test_every_page_is_listed() -> None:
    listed = (RUNBOOKS / "README.md").read_text()
    assert all(f"({page.name})" in listed for page in PAGES)
