"""The article's story, recorded: 500 ms now and then, CPUs idle. The file is made here, judged by the docs, and read by the command."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from lxml import etree

from provision.cli.diagnose import diagnose
from provision.diagnose import Recording, written
from provision.diagnose.facts import Destination
from tests.unit.diagnose.cluster import between, drawer, healthy, in_space, slower, with_

ROOT = Path(__file__).parents[3]
GHOST = ROOT / "tests" / "data" / "diagnose" / "ghost.json"


def ghost() -> Recording:
    """w3's host stands in another place: the way there is long and loses packets. w1 opens a connection for each request."""
    draw = drawer(2017)
    seen = slower(healthy(draw), 520.0)
    for one, other in (("w1", "w3"), ("w2", "w3"), ("cp1", "w3"), ("hv1", "hv3"), ("hv2", "hv3")):
        seen = between(
            seen,
            one,
            other,
            lambda path: with_(
                path, lost=int(draw(6, 14)), median_ms=draw(27, 29), p99_ms=draw(34, 48), jitter_ms=draw(2, 4)
            ),
        )
    busy = Destination(address="10.244.3.5:80", time_wait=26710, open=12)
    return in_space(
        seen,
        "w1",
        lambda space: with_(space, tw_reuse=0, somaxconn=128, destinations=(busy,), syn_retries=214, retransmitted=980),
    )


def rounded(seen: Recording) -> str:
    """A file that can be read: three digits behind the point."""
    return json.dumps(json.loads(written(seen), parse_float=lambda text: round(float(text), 3)), indent=1) + "\n"


def test_the_file_is_what_is_told() -> None:
    if os.environ.get("MESHCTL_REGENERATE"):
        GHOST.write_text(rounded(ghost()))
    assert GHOST.read_text() == rounded(ghost())


def test_the_command_names_time_wait_and_loss_as_the_docs_show_it() -> None:
    result = CliRunner().invoke(diagnose, ["--from", str(GHOST)])
    assert result.exit_code == 0
    assert result.output in (ROOT / "docs" / "diagnose.md").read_text()
    found = re.findall(r"^\d+\. (MD\d+)", result.output, re.MULTILINE)
    assert found == ["MD411", "MD401", "MD402"]
    assert "MD401 hv3 – hv1, hv2 (hosts)" in result.output
    assert "net.ipv4.tcp_tw_reuse: 1" in result.output


def test_the_picture_shows_all_ways_and_the_services(tmp_path: Path) -> None:
    picture = tmp_path / "ghost.svg"
    result = CliRunner().invoke(diagnose, ["--from", str(GHOST), "--svg", str(picture), "--json"])
    assert json.loads(result.output)["causes"][0]["id"] == "MD411"
    drawn = etree.fromstring(picture.read_bytes())
    texts = " ".join(map(str, drawn.itertext()))
    assert "w1 to w3" in texts
    assert "where p99 goes, by service" in texts
    assert len(drawn.findall(".//{*}rect[@class='g5']")) == 10


def test_a_recording_is_kept_and_judged_again(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    first = CliRunner().invoke(diagnose, ["--from", str(GHOST), "--record", str(kept)])
    again = CliRunner().invoke(diagnose, ["--from", str(kept)])
    assert again.output == first.output
    other = CliRunner().invoke(diagnose, ["--from", str(kept), "other"])
    assert "service other of lab" in other.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no recording"),
        ('{"cluster": "lab", "secret": 1}', "secret"),
        ('{"cluster": "lab", "version": 9}', "format 9"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    result = CliRunner().invoke(diagnose, ["--from", str(file)])
    assert result.exception is not None
    assert said in str(result.exception)


def test_without_inventory_and_recording_the_command_line_is_wrong() -> None:
    result = CliRunner().invoke(diagnose, [])
    assert (result.exit_code, "an INVENTORY is needed, or --from FILE" in result.output) == (2, True)
