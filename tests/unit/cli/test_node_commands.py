"""`logs` and `console` as click sees them, and the command lines that they come to."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from provision.base.errors import ConflictError
from provision.cli.node_logs import LOGS, _plain, logs
from provision.cli.nodes import _refuse_losses
from provision.kubernetes import Eviction, logs_argv
from provision.run.node_logs import JOURNALS, MESH, Part, journal_argv


def test_what_is_offered_is_what_there_is() -> None:
    assert set(LOGS) == {*JOURNALS, MESH}


@pytest.mark.parametrize(
    ("what", "part", "follow", "argv"),
    [
        ("kubelet", Part(tail=100), False, "--unit=kubelet.service --lines=100"),
        ("docker", Part(tail=5, since_s=600), True, "--unit=docker.service --since=-600s --lines=5 --follow"),
        ("kernel", Part(since_s=60), False, "--dmesg --since=-60s --lines=all"),
    ],
)
def test_the_journal_is_asked(what: str, part: Part, follow: bool, argv: str) -> None:
    given = journal_argv(JOURNALS[what], part, follow=follow)
    assert given == ["journalctl", "--no-pager", "--output=short-iso", *argv.split()]


def test_cloud_init_is_four_units() -> None:
    assert [word for word in journal_argv(JOURNALS["cloud-init"], Part(), follow=False) if "unit" in word] == [
        f"--unit={name}.service" for name in ("cloud-init-local", "cloud-init", "cloud-config", "cloud-final")
    ]


def test_a_pods_log_is_asked_for_in_words_that_1_5_knows() -> None:
    argv = logs_argv("l5d-x", "l5d", "mesh", tail=None, since_s=90, follow=True)
    assert argv[-8:] == ["logs", "l5d-x", "-c", "l5d", "--namespace", "mesh", "--since=90s", "--follow"]


@pytest.mark.parametrize("span", ["10", "m", "-5m", "1w", "10m ", "9999999999s"])
def test_a_span_that_is_none_is_refused(span: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(logs, [str(tmp_path / "x.yaml"), "w1", f"--since={span}"])
    assert done.exit_code == 2
    assert "is not a time span; write it like 10m" in done.output


def test_colours_are_taken_out_and_what_steers_is_left_to_be_written_out() -> None:
    assert _plain("\x1b[0;32m  OK  \x1b[0m started\r\n\x1b]0;title\x07") == "  OK   started\n\x1b]0;title\x07"


@pytest.mark.parametrize(
    ("orphan", "local_data", "words"),
    [(True, False, "--force"), (False, True, "--delete-emptydir-data"), (True, True, "--force --delete-emptydir-data")],
)
def test_what_is_lost_for_good_goes_by_a_word_of_its_own(orphan: bool, local_data: bool, words: str) -> None:
    pods = [Eviction("shop", "web"), Eviction("shop", "db", orphan=orphan, local_data=local_data)]
    with pytest.raises(ConflictError, match=r"(?s)nothing was changed.*shop/db \(") as caught:
        _refuse_losses(pods, force=False, empty=False)
    assert caught.value.hint == f"{words} lets them go all the same"
    assert "shop/web" not in caught.value.message
    _refuse_losses(pods, force=orphan, empty=local_data)
