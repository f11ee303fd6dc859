"""The article's linkerd.yaml as it was printed, for the release that the article installs: every fault in one run."""

from __future__ import annotations

from pathlib import Path

from provision.linkerd.check.validate import validate

ARTICLE = (Path(__file__).parents[2] / "data" / "linkerd" / "article.yaml").read_text()


def test_all_its_faults_on_0_8_5_in_one_run() -> None:
    found = {finding.id: finding for finding in validate(ARTICLE, "0.8.5")}
    assert {id_: (one.line, one.severity) for id_, one in found.items()} == {
        "ML353": (2, "trap"),  # admin open to everybody
        "ML352": (5, "trap"),  # ten clients
        "ML305": (7, "error"),  # dtab is baseDtab here
        "ML341": (8, "trap"),  # no namer
        "ML342": (8, "trap"),  # /svc is never met
        "ML309": (16, "error"),  # the kind is io.l5d.consecutiveFailures
        "ML343": (19, "trap"),  # backoff is not used
    }
    assert "names are like /http/1.1/GET/HOST" in found["ML342"].message


def test_on_1_3_0_the_kind_is_its_only_error() -> None:
    assert [one.id for one in validate(ARTICLE, "1.3.0") if one.severity == "error"] == ["ML309"]
