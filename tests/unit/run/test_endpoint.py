"""The address that control planes are to share is nobody's: asked on a real wire, and of the stamps of guests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.base.errors import InventoryError
from provision.base.shell import Shell
from provision.inventory import Cluster
from provision.libvirt_xml import DomainSeen
from provision.plan import HostSeen
from provision.run.addresses import require_endpoint, taken_by_others
from provision.specs import Stamp
from tests.unit.hosts.test_wire import MAC, host
from tests.unit.plan.test_plan import EMPTY, domain
from tests.unit.sample import CLUSTER, PINNINGS

__all__ = ["host"]

TAKEN, FREE = "10.99.0.7", "10.99.0.8"


def cluster(endpoint: str) -> Cluster:
    return CLUSTER.model_copy(
        update={
            "network": CLUSTER.network.model_copy(update={"cidr": "10.99.0.0/24", "mode": "bridge", "bridge": "br0"}),
            "kubernetes": CLUSTER.kubernetes.model_copy(update={"control_plane_endpoint": endpoint}),
        }
    )


def guest(cluster: str, endpoint: str, node: str = "cp1") -> DomainSeen:
    return replace(domain("cp1"), stamp=Stamp(cluster, node, "d", "10.99.0.50", endpoint=endpoint))


def on(*domains: DomainSeen) -> dict[str, HostSeen]:
    return {"hv1": replace(EMPTY, domains=domains)}


def test_one_that_answers_on_the_wire_is_named(host: Shell) -> None:
    with pytest.raises(InventoryError, match=rf"control_plane_endpoint: 10\.99\.0\.7 is in use already: by {MAC}"):
        require_endpoint(cluster(TAKEN), on(), PINNINGS.values(), lambda _: host)
    require_endpoint(cluster(FREE), on(), PINNINGS.values(), lambda _: host)


def test_as_soon_as_a_control_plane_of_ours_may_have_it_nobody_is_asked(host: Shell) -> None:
    require_endpoint(cluster(TAKEN), on(guest("lab", TAKEN)), PINNINGS.values(), lambda _: host)


def test_another_clusters_is_taken_though_nobody_answers_for_it() -> None:
    theirs = guest("other", FREE)
    with pytest.raises(InventoryError, match="by another guest or cluster on these hosts"):
        require_endpoint(cluster(FREE), on(theirs), PINNINGS.values(), lambda _: None)
    assert taken_by_others(CLUSTER, on(theirs)).addresses == {"10.99.0.50", FREE}


def test_our_own_is_not_another_ones_while_a_control_plane_leaves() -> None:
    leaving = guest("lab", FREE, node="cp9")
    assert taken_by_others(cluster(FREE), on(leaving)).addresses == {"10.99.0.50"}
    require_endpoint(cluster(FREE), on(leaving), PINNINGS.values(), lambda _: None)
