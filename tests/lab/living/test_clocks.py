"""All certificates of a living cluster run out, because the clocks of its nodes are set; and they are renewed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.lab.conftest import Place
from tests.lab.living.test_members import converged, provision

pytestmark = pytest.mark.lab

NODES = ("cp1", "w1", "w2")
LATER_S = 400 * 86400
"""Beyond the year for which kubeadm and kubelets sign."""

API = ("sudo", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "get", "nodes")


def set_clocks(place: Place, ahead_s: int) -> None:
    """Sets each node's clock so much ahead of this machine's."""
    for node in NODES:
        words = ("sudo", "date", "--set", f"@{time.time() + ahead_s:.0f}")
        assert place.meshctl("ssh", str(place.inventory), node, "--", *words).status == 0


@pytest.fixture
def later(place: Place) -> Iterator[None]:
    """All that was signed has run out. What is signed then is valid from the authority's beginning on, so there is a way back."""
    set_clocks(place, LATER_S)
    yield
    set_clocks(place, 0)


@pytest.mark.scenario("renew-expired")
def test_a_cluster_whose_certificates_have_all_expired_comes_back(place: Place, later: None) -> None:
    refused = place.meshctl("ssh", str(place.inventory), "cp1", "--", *API)
    assert refused.status != 0
    assert "certificate has expired" in refused.stderr
    said = place.meshctl("status", str(place.inventory))
    assert "warning: certificates expire within 30 days: " in said.stdout
    assert "35 days ago" in said.stdout
    assert place.meshctl("renew", str(place.inventory), "--yes").status == 0
    assert {guest["ready"] for guest in place.status()["guests"]} == {"Ready"}
    provision(place)
    assert converged(place)


@pytest.mark.scenario("renew-expired")
def test_with_the_right_time_it_serves_as_before(place: Place) -> None:
    provision(place)
    assert converged(place)
    assert {guest["ready"] for guest in place.status()["guests"]} == {"Ready"}
