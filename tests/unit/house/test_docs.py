"""Pages of docs/ that are made from data: as the data say now (`make docs` makes them anew), and the command that prints one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from provision.cli.explain import explain, pages
from provision.diagnose import read_recording
from provision.diagnose.handbook import diagnose
from provision.doctor.handbook import doctor
from provision.doctor.judge_host import OLDEST_LIBVIRT, OLDEST_QEMU
from provision.guests.ports import PORTS, ZIPKIN, mesh_ports, table
from provision.hosts.pools import IO_URING
from provision.kubernetes.handbook import failures
from provision.linkerd.knowledge.versions import FIRST, LAST
from provision.linkerd.pages import handbook
from provision.placement import GUESTS_ARCHITECTURE
from provision.plan.changes import changes_page

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
GHOST = ROOT / "tests" / "data" / "diagnose" / "ghost.json"
MADE = {f"linkerd/{name}": text for name, text in handbook.pages().items()} | {
    "doctor.md": doctor(),
    "diagnose.md": diagnose(
        read_recording(GHOST.read_text(), GHOST.name), f"meshctl diagnose --from {GHOST.relative_to(ROOT)}"
    ),
    "changes.md": changes_page(),
    "kubernetes-failures.md": failures(),
}
PLACES = {"ML": "linkerd/findings.md", "MC": "doctor.md", "MK": "kubernetes-failures.md", "MD": "diagnose.md"}
"""Where the pages of a family of ids stand."""


MADE_PORTS = re.compile(r"(<!-- ports: made .*-->\n)[^<]*(<!-- ports: end -->)")


def test_the_table_of_ports_is_what_the_firewall_closes() -> None:
    path = DOCS / "security.md"
    now = MADE_PORTS.sub(
        lambda found: found[1] + table((*PORTS, *mesh_ports((4140, 4141), 9990), ZIPKIN)) + found[2], path.read_text()
    )
    if os.environ.get("MESHCTL_REGENERATE"):
        path.write_text(now)
    assert path.read_text() == now, "stale: make docs"
    assert "| 10250 | every node | kubelet |" in now


SAID = re.compile(r"```console\n\$ meshctl (.*)\n(?:(?!```).*\n)*```")


@pytest.mark.parametrize("name", MADE)
def test_is_what_the_data_say(name: str) -> None:
    path = DOCS / name
    if os.environ.get("MESHCTL_REGENERATE"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MADE[name])
    assert path.read_text() == MADE[name], "stale: make docs"


def test_what_the_page_about_placement_shows_is_what_the_command_says_and_draws(tmp_path: Path) -> None:
    page, pictures = DOCS / "placement.md", []

    def said(match: re.Match[str]) -> str:
        words = match[1].split()
        if words[-2] == "--svg":
            pictures.append((ROOT / words[-1], tmp_path / Path(words[-1]).name))
            words[-1] = str(pictures[-1][1])
        argv = [str(Path(sys.executable).with_name("meshctl")), *words]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
        return f"```console\n$ meshctl {match[1]}\n{done.stdout}{done.stderr}```"

    now = SAID.sub(said, page.read_text())
    if os.environ.get("MESHCTL_REGENERATE"):
        page.write_text(now)
        for picture, drawn in pictures:
            picture.write_text(drawn.read_text())
    assert page.read_text() == now, "stale: make docs"
    assert len(pictures) == 3
    for picture, drawn in pictures:
        assert picture.read_text() == drawn.read_text(), f"{picture.name} is stale: make docs"
        assert f"(placement/{picture.name})" in now


def test_explain_prints_the_page_that_stands_in_the_docs() -> None:
    for id_, page in pages().items():
        result = CliRunner().invoke(explain, [id_.lower()])
        assert (result.exit_code, result.output) == (0, page.text())
        assert page.text().rstrip() in MADE[PLACES[id_[:2]]]


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


def test_what_is_supported_is_what_the_code_takes() -> None:
    page = (DOCS / "supported.md").read_text()
    for name, oldest in (("libvirt", OLDEST_LIBVIRT), ("QEMU", OLDEST_QEMU)):
        assert f"| {name} | {oldest[0]}.{oldest[1]} (" in page.replace("[", "")
    for program, (major, minor) in IO_URING:
        assert f"{program.replace('hypervisor', 'QEMU')} {major}.{minor}" in page
    assert f"**Architecture: {GUESTS_ARCHITECTURE} only.**" in page
    assert "| linkerd {} … {} |".format(*map(str, (FIRST, LAST))) in page
