"""The pages of docs/runbooks that a cluster on one host can carry out, word by word. Each leaves the cluster as it found it."""

from __future__ import annotations

import pytest

from tests.lab.conftest import Place
from tests.lab.living.runbooks import carried_out
from tests.lab.living.test_nodes import ready

pytestmark = pytest.mark.lab


@pytest.mark.scenario("runbook-restart-a-node")
def test_a_persons_cordon_outlives_a_restart(place: Place) -> None:
    for command, done in carried_out(place, "restart-a-node"):
        if " restart " in command:
            assert "uncordon" not in done.stderr
            assert ready(place, "w1") == "Ready,SchedulingDisabled"
    assert ready(place, "w1") == "Ready"
