"""`meshctl provision` as click sees it."""

from __future__ import annotations

from provision.cli.provision import STAGES
from provision.run.stages.order import NAMES


def test_until_offers_the_stages_that_there_are() -> None:
    assert STAGES == NAMES
