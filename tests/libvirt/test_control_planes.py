"""A cluster of three control planes on libvirt's test driver: what is planned for it, from its beginning to the loss of one of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from provision.base.errors import ConflictError, InventoryError, Unreachable
from provision.inventory import load
from provision.plan import INIT, JOIN, HostSeen, NodeSeen, Observed, Plan, Verb, departure, limits, plan, rebuilding
from provision.run.engine import World, intent, opened
from provision.run.observe import kubernetes_spec
from provision.run.rebuild import plan_rebuild, refuse_leaving_control_planes
from provision.run.restore import _refuse_several
from provision.run.stages import rebuild, volumes
from provision.run.stages.guests import _bring_up
from provision.specs import BUT_DATA, GONE, PUT_BACK, TAKE_UP, THROWN_AWAY, Stamp, stamp_text
from tests.doubles.indoors import Indoors
from tests.doubles.sandbox import NodeShell
from tests.libvirt import test_rebuild
from tests.libvirt.test_changes import Living, Said, furnished, made, said, two_more_control_planes
from tests.libvirt.test_engine import _sealed
from tests.unit.kubernetes.test_kubernetes_1_5 import Cluster as Kube

kube = test_rebuild.kube

PLANES = ("cp1", "cp2", "cp3")


@dataclass(frozen=True)
class Three(Living):
    """The same with what its nodes are."""

    def by(self, text: Said) -> World:
        """The same hosts with another inventory."""
        return replace(self.world, cluster=load(str(self.folder / "x.yaml"), yaml.safe_dump(text)))

    def seen(self, nodes: Mapping[str, NodeSeen], world: World | None = None) -> Observed:
        """As the hosts are now, with these words of nodes; the others are members."""
        members = {
            node.name: NodeSeen(member=True, role=node.role, version="v1.20.2")
            for node in (world or self.world).cluster.nodes
        }
        return Observed(self.hosts(world), members | dict(nodes), ())

    def hosts(self, world: World | None = None) -> Mapping[str, HostSeen]:
        return intent(world or self.world).hosts

    def planned(self, observed: Observed, anew: tuple[str, ...] = (), mark: str = THROWN_AWAY) -> Plan:
        meant = intent(self.world)
        marks = rebuilding.anew(self.world.cluster.owner, observed.hosts, dict.fromkeys(anew, mark))
        found = plan(meant.wanted, rebuilding.emptied(observed, self.world.cluster, marks), anew=marks)
        return rebuilding.throwing_away(found, self.world.cluster, observed, marks)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    with three_in(tmp_path_factory.mktemp("three")) as found:
        yield found


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[Three]:
    """The same for one test, which changes it."""
    with three_in(tmp_path) as found:
        yield found


@contextmanager
def three_in(folder: Path) -> Iterator[Three]:
    with furnished(folder):
        text = said(folder)
        text["nodes"].pop(1)
        two_more_control_planes(text, folder)
        with opened(load(str(folder / "x.yaml"), yaml.safe_dump(text)), lambda _: None) as world:
            living = made(world, folder, text)
            yield Three(living.world, living.folder, living.said, living.spec)


def tasks(found: Plan) -> dict[str, str]:
    return {action.name: action.kind for action in found.actions if action.kind in (INIT, JOIN)}


def without(three: Three, *nodes: str) -> Said:
    text = copy.deepcopy(three.said)
    text["nodes"] = [node for node in text["nodes"] if node["name"] not in nodes]
    return text


def test_every_control_planes_guest_says_the_endpoint_that_it_was_made_with(three: Three) -> None:
    stamps = [one.stamp for one in three.world.domains() if one.stamp]
    assert {one.node: one.endpoint for one in stamps} == {**dict.fromkeys(PLANES, "10.77.0.250"), "w2": ""}


def test_the_first_begins_and_the_others_join(three: Three) -> None:
    nobody = dict.fromkeys((*PLANES, "w2"), NodeSeen())
    assert tasks(three.planned(three.seen(nobody))) == {"cp1": INIT, "cp2": JOIN, "cp3": JOIN, "w2": JOIN}


def test_a_first_that_is_none_joins_the_cluster_that_another_has(three: Three) -> None:
    """Else it would begin a second one under the same address."""
    found = three.planned(three.seen({"cp1": NodeSeen()}))
    assert tasks(found)["cp1"] == JOIN
    assert found.of("kubernetes", INIT) == ()


def test_a_rebuilt_first_joins_too_and_its_state_is_put_back_by_nobody(three: Three) -> None:
    found = three.planned(three.seen({}), anew=("cp1",))
    assert [(action.stage, action.name) for action in found.of("rebuild")] == [("rebuild", "cp1")]
    assert "its member of etcd taken away" in found.of("rebuild")[0].reason
    assert [action.name for action in found.of("kubernetes", JOIN)] == ["cp1"]
    assert found.of("kubernetes", INIT) == ()


def test_a_worker_of_a_limited_run_joins_by_whichever_control_plane_is_there(three: Three) -> None:
    meant = intent(three.world)
    lost = three.seen({"cp1": NodeSeen(unreachable="cp1: no route"), "w2": NodeSeen()})
    narrow = plan(limits.narrowed(meant.wanted, ("w2",)), lost)
    found = limits.limited(narrow, plan(meant.wanted, lost), three.world.cluster, lost, ("w2",))
    assert [action.name for action in found.of("kubernetes", JOIN)] == ["w2"]
    none = three.seen(dict.fromkeys((*PLANES, "w2"), NodeSeen()))
    with pytest.raises(ConflictError, match="w2 cannot join: cp1"):
        limits.limited(narrow, plan(meant.wanted, none), three.world.cluster, none, ("w2",))


def test_one_rebuild_is_of_one_control_plane(three: Three) -> None:
    with pytest.raises(ConflictError, match="cp1, cp2 are control planes, of which one is rebuilt at a time"):
        plan_rebuild(three.world, ["cp1", "w2", "cp2"], keep_data=False)


def test_a_backup_is_not_put_back_on_several(three: Three) -> None:
    with pytest.raises(ConflictError, match=r"not put back on a cluster of 3 control planes \(cp1, cp2, cp3\)"):
        _refuse_several(three.world)


def test_one_that_leaves_is_a_control_plane_till_it_is_gone_and_the_only_one_left_is_not_taken_for_it(
    three: Three,
) -> None:
    world = three.by(without(three, "cp2", "cp3"))
    meant = intent(world)
    assert {member.name: member.role for member in meant.wanted.leaving} == dict.fromkeys(
        ("cp2", "cp3"), "control-plane"
    )
    spec = kubernetes_spec(world.cluster, meant.wanted, meant.sealed)
    assert {member.name for member in spec.control_planes} == set(PLANES)
    observed = replace(three.seen({}, world), hosts=meant.hosts)
    found = departure.taking_away(plan(meant.wanted, observed), world.cluster, observed, ["cp3", "cp2"])
    assert all("its member of etcd and the virtual address" in one.reason for one in found.of("removal"))
    with pytest.raises(ConflictError, match="cannot rebuild cp1 while cp2, cp3, which the inventory no longer has"):
        refuse_leaving_control_planes(world, "rebuild cp1")
    with pytest.raises(ConflictError, match="cluster of 3 control planes"):
        _refuse_several(world)


def test_another_cluster_gets_neither_a_node_nor_an_endpoint_at_that_address(three: Three) -> None:
    other = without(three, "cp2", "cp3") | {"cluster": "other", "id": "f" * 16}
    other["nodes"] = [node | {"host": "hv1"} for node in other["nodes"]]
    with pytest.raises(InventoryError, match=r"control_plane_endpoint: 10\.77\.0\.250 is in use already: by another"):
        intent(three.by(other))
    other["kubernetes"] = other["kubernetes"] | {"control_plane_endpoint": "10.77.0.249"}
    other["network"] = other["network"] | {"nodes": "10.77.0.249-10.77.0.252"}
    assert {member.address for member in intent(three.by(other)).wanted.members} == {"10.77.0.251", "10.77.0.252"}


def test_a_cluster_without_an_endpoint_does_not_get_one(three: Three) -> None:
    observed = three.seen({})
    domains = [
        replace(one, stamp=replace(one.stamp, endpoint=""))
        if isinstance(one.stamp, Stamp) and one.stamp.node == "cp1"
        else one
        for one in observed.hosts["hv1"].domains
    ]
    hosts = dict(observed.hosts) | {"hv1": replace(observed.hosts["hv1"], domains=tuple(domains))}
    with pytest.raises(ConflictError, match=r"cp1 was made without one, the inventory now says 10\.77\.0\.250"):
        three.planned(replace(observed, hosts=hosts))


def test_the_first_ones_host_may_be_lost(three: Three) -> None:
    """Of one control plane alone that is a refusal: workers would never know another."""
    observed = three.seen({}).without("demo", ["cp1"])
    assert tasks(three.planned(observed))["cp1"] == JOIN


# ── their state volumes ──────────────────────────────────────────────────────────────────────────────────────────


def state_of(three: Three, node: str) -> str:
    """The name of its state volume."""
    return next(one.name for one in intent(three.world).wanted.volumes if (one.node, one.kind) == (node, "state"))


def cp2(three: Three) -> Stamp:
    stamps = [domain.definition.stamp for domain in three.world.domains()]
    return next(stamp for stamp in stamps if stamp is not None and stamp.node == "cp2")


def there(three: Three) -> set[str]:
    """What is in the pool of cp2's host."""
    return {one.name for one in three.world.hypervisors["hv2"].volumes("meshctl")}


@pytest.mark.parametrize("mark", [THROWN_AWAY, BUT_DATA])
@pytest.mark.parametrize("node", ["cp1", "cp2"])
def test_the_state_volume_of_one_that_is_rebuilt_goes_and_a_blank_one_is_made(
    three: Three, node: str, mark: str
) -> None:
    """What is on it was a member of etcd that is taken away: a new guest would find it, and join nothing."""
    found, name = three.planned(three.seen({}), anew=(node,), mark=mark), state_of(three, node)
    (thrown,) = found.of("rebuild")
    assert thrown.kind == rebuilding.OF_SEVERAL[mark]
    assert f"state volume {name}" in thrown.reason.partition("; deleted: ")[2]
    assert "kept" not in thrown.reason
    (blank,) = [one for one in found.of("volumes") if one.name == name]
    assert (blank.verb, blank.reason) == (Verb.CREATE, "there is none; 8192 MiB, blank")
    assert [one.basis for one in found.of("guests", "guest")] == [rebuilding.ANEW]
    assert tasks(found)[node] == JOIN
    assert [one.name for one in found.of("kubernetes", JOIN)] == [node]
    assert all(one.basis != rebuilding.ANEW_WITH_STATE for one in found.actions)


def test_one_that_has_lost_its_state_volume_is_rebuilt_and_no_backup_is_asked_for(changing: Three) -> None:
    changing.world.hypervisors["hv2"].delete_volume("meshctl", name := state_of(changing, "cp2"))
    with pytest.raises(ConflictError, match=f"cp2 still runs, but its state volume {name} is gone") as caught:
        changing.planned(changing.seen({}))
    assert caught.value.message.endswith("`meshctl rebuild INVENTORY cp2` makes the node anew")
    assert "restore" not in str(caught.value)
    found = changing.planned(changing.seen({}), anew=("cp2",))
    assert [(one.verb, one.kind) for one in found.of("volumes") if one.name == name] == [(Verb.CREATE, "state volume")]
    assert tasks(found)["cp2"] == JOIN


class Nodes(dict[str, NodeShell]):
    """Those that answer; the others have no guest."""

    def __missing__(self, node: str) -> NodeShell:
        raise Unreachable(f"{node}: no such guest")


def ways_of(three: Three, kube: Kube) -> Indoors:
    """Doors to the hosts; Kubernetes, a double of 1.5, which knows nothing of etcd's members, answers as cp1."""
    made = three.world.doors(_sealed(three.world))
    version = made.cluster.kubernetes.model_copy(update={"version": "v1.5.8"})
    cluster = made.cluster.model_copy(update={"kubernetes": version})
    nodes = Nodes({"cp1": kube.shells["cp1"]})
    return Indoors(cluster, made.hypervisors, made.sessions, made.emit, made.host_shell, made.bundle, nodes_here=nodes)


def test_one_that_is_rebuilt_loses_its_state_volume_and_gets_another(changing: Three, kube: Kube) -> None:
    name, before = state_of(changing, "cp2"), cp2(changing)
    assert before.state == name
    assert name in there(changing)
    rebuild.run(changing.planned(changing.seen({}), anew=("cp2",)), ways_of(changing, kube))
    assert not {one for one in there(changing) if one.startswith("demo.cp2.")}
    assert cp2(changing) == replace(before, rebuild=GONE, state="")
    found, ways = changing.planned(changing.seen({"cp2": NodeSeen()})), ways_of(changing, kube)
    volumes.run(found, ways)
    for action in found.of("guests", "guest"):
        _bring_up(action, found, ways)
    assert name in there(changing)
    assert (cp2(changing).rebuild, cp2(changing).state) == ("", name)  # nothing to put back, nothing to take up
    assert tasks(changing.planned(changing.seen({"cp2": NodeSeen()})))["cp2"] == JOIN


def test_what_an_ended_run_has_begun_goes_on_and_its_state_volume_is_none_from_the_mark_on(changing: Three) -> None:
    door, before = changing.world.hypervisors["hv2"], cp2(changing)
    for mark, kinds in {THROWN_AWAY: [rebuilding.OF_SEVERAL[THROWN_AWAY]], GONE: []}.items():
        door.mark_domain("demo-cp2", stamp_text(replace(before, rebuild=mark, state="")))
        found = changing.planned(changing.seen({"cp2": NodeSeen()}))
        assert [one.kind for one in found.of("rebuild")] == kinds
        assert tasks(found)["cp2"] == JOIN
        assert begun(changing) == {"cp2": mark}


def begun(three: Three) -> Mapping[str, str]:
    return rebuilding.marks(three.world.cluster.owner, three.hosts())


@pytest.mark.parametrize("mark", [THROWN_AWAY, GONE, TAKE_UP, PUT_BACK])
def test_one_that_nobody_is_there_for_to_join_is_not_gone_on_with(changing: Three, mark: str) -> None:
    """It may have been the only one when that began: then the cluster is on its state volume, or in a file."""
    changing.world.hypervisors["hv2"].mark_domain("demo-cp2", stamp_text(replace(cp2(changing), rebuild=mark)))
    nobody = changing.seen(dict.fromkeys(PLANES, NodeSeen()))
    with pytest.raises(
        ConflictError, match="cp2 is being rebuilt by a run that was ended, and none of cp1, cp3"
    ) as caught:
        changing.planned(nobody)
    assert "take them out of nodes until it is rebuilt" in caught.value.message
    assert state_of(changing, "cp2") in there(changing)
