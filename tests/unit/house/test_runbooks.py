"""Pages of docs/runbooks are what the tests can carry out: commands that there are, edits that fit, one scenario of the lab for each."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

import click
import pytest
import yaml

from provision.cli import meshctl
from provision.inventory import load
from provision.lab import Lab
from tests.lab.living.conftest import three_nodes
from tests.lab.living.test_across_hosts import on_one_host
from tests.runbook import RUNBOOKS, Edit, Step, parts, stand_ins

PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")
LAB_TESTS = Path(__file__).parents[2] / "lab"

OTHERS = {"ssh-keygen", "virsh"}
"""Programs beside meshctl that pages may run: those that meshctl has no word for."""

NOT_RUN = "The tests do not carry this page out:"
"""How a page says that none of it is run, and why."""

FIRST = {
    "add-a-hypervisor": (),
    "replace-a-dead-nvme": ("add-a-hypervisor",),
    "move-a-node-to-another-host": ("add-a-hypervisor",),
}
"""The pages that begin with the lab's cluster of one host, and those that are carried out before."""

SAID = {"SIZE": "20GiB", "VERSION": "v1.20.4", "OWNER": "0123456789abcdef", "HV2_URI": "qemu+ssh://root@hv2/system"}
"""What words in capitals stand for where the inventory takes not just anything."""

PAGE = """\
Text with `SIZE`.

   ```console
   $ meshctl status INVENTORY
   w1 … Ready
   $ meshctl cordon INVENTORY w1 # exit code 5
   ```

    $ meshctl destroy INVENTORY

  ```diff
   - name: w1
  -  disk: …
  +  disk: SIZE
  ```

```console
$ meshctl plan INVENTORY 'two words'
SIZE
```
"""


def test_commands_edits_and_what_is_said_are_found_in_order() -> None:
    found = parts(PAGE)
    assert found == (
        Step("meshctl status INVENTORY", ("w1 … Ready",)),
        Step("meshctl cordon INVENTORY w1", status=5),
        Edit((" - name: w1", "-  disk: …", "+  disk: SIZE")),
        Step("meshctl plan INVENTORY 'two words'", ("SIZE",)),
    )
    assert stand_ins(PAGE) == {"INVENTORY", "SIZE"}
    assert isinstance(found[3], Step)
    assert found[3].words({"INVENTORY": "/x y.yaml"}) == ["meshctl", "plan", "/x y.yaml", "two words"]
    assert (found[3].unsaid("20GiB", {"SIZE": "20GiB"}), found[3].unsaid("20GiB")) == ("", "SIZE")
    with pytest.raises(KeyError):
        found[3].words({})
    with pytest.raises(ValueError, match="begins with a command"):
        parts("```console\nw1\n```\n")


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


INVENTORY = """\
nodes:
  - name: w1
    role: worker

    disk: 12GiB   # enough
  - name: w2
    disk: 12GiB
ssh:
  user: mesh
"""


@pytest.mark.parametrize(
    ("lines", "old", "new"),
    [
        (
            (" - name: w2", "-  disk: …", "+  disk: SIZE"),
            "w2\n    disk: 12GiB",
            "w2\n    disk: 20GiB",
        ),
        ((" - name: w1", "   …", "-  disk: …", "+  disk: SIZE"), "12GiB   # enough", "20GiB"),
        ((" nodes:", "   …", "-  - name: w2", "-    …"), "  - name: w2\n    disk: 12GiB\n", ""),
        ((" nodes:", "   …", "+  - name: w3", " ssh:"), "ssh:\n", "  - name: w3\nssh:\n"),
    ],
)
def test_an_edit_changes_its_lines_and_no_others(lines: tuple[str, ...], old: str, new: str) -> None:
    assert Edit(lines).of(INVENTORY, {"SIZE": "20GiB"}) == INVENTORY.replace(old, new)


@pytest.mark.parametrize("lines", [(" - name: w3",), ("-    disk: …",), ("nodes:",)])
def test_an_edit_without_one_place_of_its_own_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"places in the inventory|begins with"):
        Edit(lines).of(INVENTORY, {})


pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.stem))


@pages
def test_each_command_is_one_that_there_is(page: Path) -> None:
    found = [part for part in parts(page.read_text()) if isinstance(part, Step)]
    assert found
    for step in found:
        program, name, *words = step.words(defaultdict(lambda: "x.yaml", SAID))
        if program in OTHERS:
            continue
        command = meshctl.get_command(click.Context(meshctl), name)
        if isinstance(command, click.Group):
            command = command.get_command(click.Context(command), words.pop(0))
        assert (program, command is not None) == ("meshctl", True), step.command
        assert command
        command.make_context(name, list(words), resilient_parsing=False)


@pages
def test_words_in_capitals_are_explained(page: Path) -> None:
    text = page.read_text()
    assert [word for word in stand_ins(text) - {"INVENTORY"} if f"`{word}`" not in text] == []


@pages
def test_after_each_edit_the_inventory_is_valid(page: Path, tmp_path: Path) -> None:
    """From the inventory that its scenario in the lab begins with."""
    lab = Lab("test")
    start = on_one_host(lab) if page.stem in FIRST else three_nodes(lab)
    text = yaml.safe_dump(start, sort_keys=False)
    names = defaultdict(lambda: str(tmp_path / "x"), SAID)
    for name in (*FIRST.get(page.stem, ()), page.stem):
        for edit in (part for part in parts((RUNBOOKS / f"{name}.md").read_text()) if isinstance(part, Edit)):
            text = edit.of(text, names)
            load(str(tmp_path / "inventory.yaml"), text)


def test_each_page_is_carried_out_by_one_scenario_or_says_why_not() -> None:
    tests = "\n".join(path.read_text() for path in sorted(LAB_TESTS.rglob("*.py")))
    wanted = Counter(page.stem for page in PAGES if NOT_RUN not in page.read_text())
    assert Counter(re.findall(r'mark\.scenario\("runbook-([a-z0-9-]+)"\)', tests)) == wanted
    assert Counter(re.findall(r'carr(?:y|ied)_out\(\s*\w+, "([a-z0-9-]+)"', tests)) == wanted


def test_every_page_is_listed_and_leads_to_what_there_is() -> None:
    listed = (RUNBOOKS / "README.md").read_text()
    assert [page.name for page in PAGES if f"({page.name})" not in listed] == []
    for path in (RUNBOOKS / "README.md", *PAGES):
        for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
            assert (RUNBOOKS / target).is_file(), (path.name, target)
