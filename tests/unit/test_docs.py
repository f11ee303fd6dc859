"""Pages of docs/ that are made from data: as the data say now (`make docs` makes them anew), and the command that prints one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from provision.cli.explain import explain, pages
from provision.doctor.handbook import doctor
from provision.linkerd import handbook

DOCS = Path(__file__).parents[2] / "docs"
MADE = {f"linkerd/{name}": text for name, text in handbook.pages().items()} | {"doctor.md": doctor()}


@pytest.mark.parametrize("name", MADE)
def test_is_what_the_data_say(name: str) -> None:
    path = DOCS / name
    if os.environ.get("MESHCTL_REGENERATE"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MADE[name])
    assert path.read_text() == MADE[name], "stale: make docs"


def test_explain_prints_the_page_that_stands_in_the_docs() -> None:
    for id_, page in pages().items():
        result = CliRunner().invoke(explain, [id_.lower()])
        assert (result.exit_code, result.output) == (0, page.text())
        assert page.text().rstrip() in MADE["linkerd/findings.md" if id_.startswith("ML") else "doctor.md"]


def test_explain_lists_all_ids_and_names_the_nearest_one() -> None:
    listed = CliRunner().invoke(explain, []).output
    assert [line.split()[0] for line in listed.splitlines()] == list(pages())
    wrong = CliRunner().invoke(explain, ["ML333"])
    assert wrong.exit_code == 2
    assert "the nearest is ML3" in wrong.output


def test_versions_says_what_came_and_went() -> None:
    text = MADE["linkerd/versions.md"]
    section = text.partition("### 0.9.0")[2].partition("### 0.9.1")[0]
    assert "| key gone | `baseDtab` | router of every protocol | dtab since 0.9.0 |" in section
    assert "| new key | `usage` | top of the file |" in section
    assert "| kind gone | `io.l5d.commonMetrics` | telemeter | io.l5d.prometheus since 0.9.0 |" in section
