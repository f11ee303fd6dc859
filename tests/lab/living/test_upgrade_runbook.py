"""The runbook of an upgrade, to a version that no other scenario has been at. There is no way back: the last of all scenarios."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.bundle import find
from tests.lab.conftest import Place
from tests.lab.living.runbooks import carry_out
from tests.lab.living.test_upgrade import versions
from tests.lab.relabelled import after, relabel

pytestmark = pytest.mark.lab


@pytest.mark.scenario("runbook-upgrade-a-patch-version")
def test_every_node_says_the_new_version(place: Place, tmp_path: Path) -> None:
    version = after(versions(place)[-1])
    bundle = relabel(find("debian-source"), tmp_path / version, version)
    names = {
        "VERSION": version,
        "BUNDLE": str(bundle),
        "BEFORE": str(tmp_path / "before"),
        "AFTER": str(tmp_path / "after"),
    }
    carry_out(place, "upgrade-a-patch-version", **names)
    assert {guest["kubernetes"] for guest in place.status()["guests"]} == {version}
