"""Whose a thing is: two clusters of one name, clones, clusters from before there were ids, and addresses that somebody has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provision.base.errors import ConflictError, InventoryError
from provision.inventory.model import Cluster, Network
from provision.plan import Plan, Verb
from provision.run.destruction import destroy, plan_removal
from provision.run.engine import World, make_plan, opened, provision
from provision.run.identity import Identity
from provision.run.stages.guests import _bring_up
from tests.libvirt import test_engine
from tests.libvirt.test_engine import guests_too

cluster = test_engine.cluster

MINE, THEIRS = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4g other"


@pytest.fixture
def world(cluster: Cluster) -> Iterator[World]:
    """Of guests so small that several clusters have room."""
    nodes = tuple(node.model_copy(update={"vcpus": 1}) for node in cluster.nodes)
    with opened(cluster.model_copy(update={"id": MINE, "nodes": nodes}), print) as made:
        yield made


@pytest.fixture
def made(world: World) -> World:
    """A cluster as far as the test driver can have one."""
    provision(world, make_plan(world), "volumes")
    guests_too(world)
    return world


@pytest.fixture
def by_hand(world: World) -> Any:
    return world.hypervisors["hv1"]._connection.use("do it by hand", changes=True)


def seen_by(world: World, said: Cluster, *, adopt: bool = False, source: str = "", careful: bool = True) -> str:
    """The id that another laptop with the inventory `said` comes to, on the same hosts."""
    domains = {name: door.domains() for name, door in world.hypervisors.items()}
    return Identity(said, source, adopt=adopt, careful=careful).found(domains)


def another(world: World, **changes: Any) -> World:
    """The same hosts, as an inventory with these changes has them."""
    return replace(world, cluster=world.cluster.model_copy(update=changes))


def reasons(plan: Plan, kind: str) -> list[str]:
    return [action.reason for action in plan.changes if action.kind == kind]


# ── two clusters of one name ─────────────────────────────────────────────────────────────────────────────────────


def test_another_inventory_of_the_same_name_is_refused_and_destroys_nothing(made: World) -> None:
    stranger = made.cluster.model_copy(
        update={"id": None, "ssh": made.cluster.ssh.model_copy(update={"public_key": OTHER_KEY})}
    )
    with pytest.raises(ConflictError, match="a cluster called demo is on these hosts already") as caught:
        seen_by(made, stranger)
    assert f"`id: {MINE}`" in caught.value.hint
    theirs = another(made, id=THEIRS)
    assert plan_removal(theirs, purge=False) == ()
    assert plan_removal(theirs, purge=True) == ()
    with pytest.raises(ConflictError, match="belongs to another cluster demo"):
        make_plan(theirs)


def test_volumes_of_two_owners_have_other_names(made: World) -> None:
    renamed = [node.model_copy(update={"name": f"x{number}"}) for number, node in enumerate(made.cluster.nodes)]
    beside = another(
        made, id=THEIRS, nodes=tuple(renamed), network=Network(name="other", cidr="10.78.0.0/24", bridge="meshbr8")
    )
    names = {volume.name for volume in make_plan(beside).desired.volumes}
    assert not names & {volume.name for volume in made.hypervisors["hv1"].volumes("meshctl")}


def test_the_same_inventory_goes_on_elsewhere_and_keeps_the_id_it_found(made: World, tmp_path: Path) -> None:
    same = made.cluster.model_copy(update={"id": None, "id_file": str(tmp_path / "kept" / "id")})
    found = Identity(same)
    assert found.found({"hv1": made.hypervisors["hv1"].domains()}) == MINE
    assert "goes on as it is" in found.note
    found.keep(MINE, print)
    assert (tmp_path / "kept" / "id").read_text() == f"{MINE}\n"
    assert Identity(same).found({}) == MINE


def test_a_changed_inventory_elsewhere_goes_on_when_it_is_told_to(made: World) -> None:
    changed = made.cluster.model_copy(update={"id": None, "sysctl": {"net.core.somaxconn": 1024}})
    with pytest.raises(ConflictError, match="nothing shows that this inventory made it"):
        seen_by(made, changed)
    assert seen_by(made, changed, adopt=True) == MINE
    assert seen_by(made, changed, careful=False) == MINE


def test_a_first_run_that_was_ended_before_any_guest_goes_on_elsewhere_when_it_is_told_to(world: World) -> None:
    """On another laptop: the network is there with its owner's id, and no guest whose seed could show whose it is."""
    provision(world, make_plan(world), "networks")
    same = world.cluster.model_copy(update={"id": None})
    networks = {name: door.networks() for name, door in world.hypervisors.items()}
    with pytest.raises(ConflictError, match=r"a cluster called demo is on these hosts already \(meshctl\)") as caught:
        Identity(same).found({}, networks)
    assert "--adopt" in caught.value.hint
    assert Identity(same, adopt=True).found({}, networks) == MINE


def test_two_owners_of_one_name_are_told_apart_by_nobody_but_the_user(made: World, by_hand: Any) -> None:
    xml = by_hand.lookupByName("demo-w1").XMLDesc()
    made.hypervisors["hv1"].remove_domain("demo-w1")
    by_hand.defineXML(xml.replace(MINE, THEIRS))
    with pytest.raises(ConflictError, match=f"owner {MINE}: demo-cp1\n  owner {THEIRS}: demo-w1"):
        seen_by(made, made.cluster.model_copy(update={"id": None}))


def test_a_cluster_is_not_renamed(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the id that the inventory names, or by the one that was kept for this file under the former name."""
    with pytest.raises(
        ConflictError, match="this cluster is called demo, not other: demo-cp1, demo-w1 carry"
    ) as caught:
        make_plan(another(made, cluster="other"))
    assert "put `cluster: demo` back" in caught.value.hint
    monkeypatch.setenv("MESHCTL_STATE", str(tmp_path))
    source, said = str(tmp_path / "x.yaml"), made.cluster.model_copy(update={"id": None})
    Identity(said, source).keep(MINE, print)
    renamed = said.model_copy(update={"cluster": "other"})
    assert Identity(renamed, source).found({}) == MINE
    assert Identity(renamed, str(tmp_path / "y.yaml")).found({}) != MINE


def test_the_id_is_drawn_once_and_kept_at_the_first_provision(cluster: Cluster, tmp_path: Path) -> None:
    said = cluster.model_copy(update={"id_file": str(tmp_path / "id")})
    with opened(said, print) as world:
        drawn = world.cluster.id
        make_plan(world)
        assert not (tmp_path / "id").exists()
        provision(world, make_plan(world), "hosts")
    assert (tmp_path / "id").read_text() == f"{drawn}\n"
    with opened(said, print) as again:
        assert again.cluster.id == drawn


def test_a_file_without_an_id_is_refused_and_one_that_cannot_be_written_is_warned_of(
    cluster: Cluster,
    tmp_path: Path,
) -> None:
    (tmp_path / "id").write_text("nonsense\n")
    with pytest.raises(ConflictError, match="holds no id"):
        Identity(cluster.model_copy(update={"id_file": str(tmp_path / "id")})).known()
    (tmp_path / "file").write_text("")
    said: list[Any] = []
    Identity(cluster.model_copy(update={"id_file": str(tmp_path / "file" / "id")})).keep(MINE, said.append)
    assert "was not kept" in said[0].message


# ── clones ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["demo-w1-clone", "demo-w2"])
def test_a_clone_carries_our_stamp_and_is_left_alone(made: World, by_hand: Any, name: str) -> None:
    xml = by_hand.lookupByName("demo-w1").XMLDesc()
    xml = re.sub("<name>.*?</name>", f"<name>{name}</name>", xml)
    # virt-clone copies the disks too; on our network it would keep that from going, which test_removal tries.
    xml = re.sub("<(disk|interface) .*?</(disk|interface)>", "", xml, flags=re.DOTALL)
    by_hand.defineXML(re.sub("<uuid>.*?</uuid>", "", xml).replace('node="w1"', f'node="{name.removeprefix("demo-")}"'))
    assert all(removal.name != name for removal in plan_removal(made, purge=False))
    assert any(f"domain {name} carries our stamp but is not ours" in note for note in make_plan(made).notes)
    destroy(made, plan_removal(made, purge=False))
    assert [domain.name for domain in made.hypervisors["hv1"].domains()] == [name]


# ── clusters from before there were ids ──────────────────────────────────────────────────────────────────────────


def test_an_old_cluster_is_taken_over_once_and_visibly(world: World) -> None:
    old = another(world, id=None)
    provision(old, make_plan(old), "volumes")
    guests_too(old)
    id_ = seen_by(world, old.cluster)
    assert id_.startswith("old-")
    taken = another(world, id=id_)
    plan = make_plan(taken)
    assert [reason.partition(":")[0] for reason in reasons(plan, "guest")] == ["taken over", "taken over"]
    assert {action.verb for action in plan.of("volumes")} == set()
    for action in plan.of("guests", "guest"):
        _bring_up(action, plan, taken.doors(test_engine._sealed(taken)))
    assert make_plan(taken).of("guests", "guest") == ()
    stamps = [domain.definition.stamp for domain in world.hypervisors["hv1"].domains()]
    assert {stamp and stamp.owner for stamp in stamps} == {id_}
    destroy(taken, plan_removal(taken, purge=True), purge=True)
    assert world.hypervisors["hv1"].domains() == ()


# ── what changed between the look and the deed ───────────────────────────────────────────────────────────────────


def test_a_guest_that_somebody_changed_since_the_plan_is_not_defined_over(made: World, by_hand: Any) -> None:
    larger = made.cluster.nodes[1].model_copy(update={"memory": 3 * 1024**3})
    changed = another(made, nodes=(made.cluster.nodes[0], larger))
    plan = make_plan(changed)
    (action,) = plan.of("guests", "guest")
    before = by_hand.lookupByName("demo-w1").XMLDesc()
    by_hand.defineXML(re.sub("(<vcpupin vcpu='0' cpuset=)'.*?'", r"\1'7'", before))
    with pytest.raises(ConflictError, match="changed by somebody else since the plan was made"):
        _bring_up(action, plan, changed.doors(test_engine._sealed(changed)))


def test_a_guest_that_somebody_made_since_the_plan_is_not_made_again(made: World, by_hand: Any) -> None:
    xml = by_hand.lookupByName("demo-w1").XMLDesc()
    made.hypervisors["hv1"].remove_domain("demo-w1")
    plan = make_plan(made)
    (action,) = plan.of("guests", "guest")
    by_hand.defineXML(xml)
    with pytest.raises(ConflictError, match="somebody else has defined"):
        _bring_up(action, plan, made.doors(test_engine._sealed(made)))
    assert by_hand.lookupByName("demo-w1").UUIDString() in xml
    assert not by_hand.lookupByName("demo-w1").isActive()


def test_a_plan_agrees_with_one_of_other_words_and_not_with_one_of_other_deeds(world: World) -> None:
    plan = make_plan(world)
    reworded = replace(plan, actions=tuple(replace(action, reason="otherwise") for action in plan.actions))
    assert plan.agreement.departures(reworded.agreement) == ()
    assert plan.agreement.departures(replace(plan, actions=plan.actions[1:]).agreement)
    assert plan.agreement.departures(
        replace(plan, actions=tuple(replace(one, verb=Verb.CHANGE) for one in plan.actions)).agreement
    )


# ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────────


def address_of(plan: Plan, node: str) -> str:
    return next(member.address for member in plan.desired.members if member.name == node)


def test_the_address_of_a_node_that_left_the_inventory_is_not_given_again(made: World) -> None:
    left = address_of(make_plan(made), "w1")
    fixed = made.cluster.nodes[1].model_copy(update={"name": "w2", "address": left})
    with pytest.raises(ConflictError, match=f"domain demo-w1 has the address {left} that the inventory gives to w2"):
        make_plan(another(made, nodes=(made.cluster.nodes[0], fixed)))


def test_two_clusters_on_one_bridge_get_other_addresses_and_other_pods(made: World) -> None:
    """Of equal node names, and so of equal hashes; the hosts show one to the other."""
    ours = make_plan(made).desired.members
    alone = another(
        made, cluster="beta", id=THEIRS, network=Network(name="beta", mode="bridge", bridge="br0", cidr="10.77.0.0/24")
    )
    theirs = make_plan(alone).desired.members
    assert {one.name for one in ours} == {one.name for one in theirs}
    assert not {one.address for one in ours} & {one.address for one in theirs}
    assert not {one.pod_subnet for one in ours} & {one.pod_subnet for one in theirs}
    part = Network(name="beta", mode="bridge", bridge="br0", cidr="10.77.0.0/16", nodes="10.77.1.1-10.77.1.254")
    elsewhere = make_plan(another(alone, network=part)).desired.members
    assert not {one.pod_subnet for one in ours} & {one.pod_subnet for one in elsewhere}


def test_a_full_network_is_said_before_anything_is_made(made: World) -> None:
    small = Network(name="beta", mode="bridge", bridge="br0", cidr="10.77.0.0/29", nodes="10.77.0.2-10.77.0.3")
    nodes = [
        node.model_copy(update={"address": f"10.77.0.{2 + number}"}) for number, node in enumerate(made.cluster.nodes)
    ]
    fixed = another(made, network=small, nodes=tuple(nodes), cluster="gamma", id="c" * 16)
    provision(fixed, make_plan(fixed), "volumes")
    guests_too(fixed)
    with pytest.raises(InventoryError, match="no address is left"):
        make_plan(another(made, cluster="delta", id=THEIRS, network=small))


def test_a_changed_address_is_refused_with_the_reason(made: World) -> None:
    moved = made.cluster.nodes[1].model_copy(update={"address": "10.77.0.200"})
    with pytest.raises(ConflictError, match=r"guest w1 has the address .*, the inventory now says 10.77.0.200: routes"):
        make_plan(another(made, nodes=(made.cluster.nodes[0], moved)))
