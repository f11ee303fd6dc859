"""Clusters that one inventory is the template of, planned at once on one host: what somebody took meanwhile is found anew, or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from provision.base.errors import ConflictError
from provision.base.events import Event, Warned, nowhere
from provision.hosts.hypervisor import Hypervisor
from provision.inventory import named
from provision.inventory.model import Cluster
from provision.run.engine import World, make_plan, opened, provision
from provision.run.identity import Identity
from provision.run.stages import guests
from tests.libvirt import test_engine

cluster = test_engine.cluster
TAKEN = "<network><name>theirs</name><bridge name='virbr-t'/><ip address='{}' prefix='24'/></network>"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test driver's guests never boot: they are not waited for."""
    monkeypatch.setattr(guests, "settle", lambda *_: None)


@pytest.fixture
def host(cluster: Cluster) -> Iterator[Hypervisor]:
    door = Hypervisor("hv1", cluster.hosts[0].uri)
    yield door
    door.close()


@contextmanager
def world(said: Cluster, name: str, host: Hypervisor) -> Iterator[World]:
    """A run for the cluster of a name, with its own doors to the one libvirt; its guests have a CPU each."""
    nodes = tuple(node.model_copy(update={"vcpus": 1}) for node in said.nodes)
    template = named(said.model_copy(update={"nodes": nodes, "id": "0123456789abcdef"}), name)
    door = Hypervisor("hv1", host.uri)
    door._connection = host._connection
    with opened(template, nowhere, named=True) as made:
        yield replace(made, hypervisors={"hv1": door}).looked_again()


def test_who_waited_for_the_other_gets_other_cpus(cluster: Cluster, host: Hypervisor) -> None:
    with world(cluster, "pr-1", host) as first, world(cluster, "pr-2", host) as second:
        plans = make_plan(first), make_plan(second)
        assert plans[0].desired.guests[0].vcpu_pins == plans[1].desired.guests[0].vcpu_pins
        provision(first, plans[0], "guests", anyhow=True)
        with pytest.raises(ConflictError, match="the world changed since the plan was shown"):
            provision(second, plans[1], "guests")
        provision(second, plans[1], "guests", anyhow=True)
    found = host.domains()
    assert {domain.name for domain in found} == {"pr-1-cp1", "pr-1-w1", "pr-2-cp1", "pr-2-w1"}
    assert set(Counter(cpus for domain in found for cpus in domain.vcpu_cpus).values()) == {1}


def test_a_range_that_somebody_took_meanwhile_is_found_anew(cluster: Cluster, host: Hypervisor) -> None:
    with world(cluster, "pr-1", host) as mine:
        agreed = make_plan(mine)
        planned = agreed.desired.networks[0]
        host.create_network(TAKEN.format(planned.address))
        with pytest.raises(ConflictError, match="the world changed since the plan was shown"):
            provision(mine, agreed, "networks")
        provision(mine, agreed, "networks", anyhow=True)
    (made,) = (network for network in host.networks() if network.name == "mesh-pr-1")
    assert made.addresses != (f"{planned.address}/24",)
    with world(cluster, "pr-1", host) as again:
        assert make_plan(again).of("networks") == ()


def test_what_another_run_did_meanwhile_is_said_and_the_rest_is_done(cluster: Cluster, host: Hypervisor) -> None:
    said: list[Event] = []
    with world(cluster, "pr-1", host) as mine, world(cluster, "pr-1", host) as theirs:
        agreed = make_plan(mine)
        provision(theirs, make_plan(theirs), "networks")
        provision(replace(mine, emit=said.append), agreed, "guests")
    warned = [event.message for event in said if isinstance(event, Warned)]
    assert "no longer to do: create network mesh-pr-1 on hv1" in warned
    assert {domain.name for domain in host.domains()} == {"pr-1-cp1", "pr-1-w1"}


def test_a_network_that_was_taken_away_is_made_again_where_the_guests_are(cluster: Cluster, host: Hypervisor) -> None:
    with world(cluster, "pr-1", host) as mine:
        provision(mine, make_plan(mine), "guests")
        before = {domain.stamp.address for domain in host.domains() if domain.stamp}
        host.remove_network("mesh-pr-1")
    with world(cluster, "pr-1", host) as again:
        provision(again, make_plan(again), "guests")
        assert {guest.address for guest in make_plan(again).desired.guests} == before


def test_two_inventories_with_one_name_do_not_get_into_each_others_cluster(cluster: Cluster, host: Hypervisor) -> None:
    with world(cluster, "pr-1", host) as mine:
        provision(mine, make_plan(mine), "guests")
    stranger = named(cluster.model_copy(update={"id": "f" * 16}), "pr-1")
    with world(cluster, "pr-1", host) as theirs:
        other = replace(theirs, cluster=theirs.cluster.model_copy(update={"id": stranger.id}))
        with pytest.raises(ConflictError, match="it belongs to another cluster pr-1, of owner"):
            make_plan(other)


def test_another_machine_knows_its_cluster_by_the_seeds(cluster: Cluster, host: Hypervisor) -> None:
    """Without `id:` in the inventory: the seed holds addresses in the network that was found free, which is found first."""
    with world(cluster, "pr-1", host) as mine:
        provision(mine, make_plan(mine), "guests")
        said = mine.cluster.model_copy(update={"id": None})
        assert Identity(said).found({"hv1": host.domains()}) == mine.cluster.id


def test_an_id_that_was_kept_for_the_inventory_is_not_that_of_its_named_clusters(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHCTL_STATE", str(tmp_path))
    source = str(tmp_path / "x.yaml")
    Identity(cluster, source).keep("a" * 16, print)
    assert Identity(named(cluster, "pr-1"), f"{source}#pr-1").found({}) != "a" * 16
