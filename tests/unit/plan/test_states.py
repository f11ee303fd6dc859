"""A control plane with its cluster on a state volume: that does not go with its guest, and no other cluster is made in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from provision.base.errors import ConflictError
from provision.base.units import MIB
from provision.guests.seed import render, seed_digest
from provision.inventory.model import Cluster, Node
from provision.libvirt_xml import DomainSeen, VolumeSeen, volume_xml
from provision.plan import (
    HostSeen,
    NodeSeen,
    Observed,
    Plan,
    Verb,
    as_made,
    losses,
    rebuilding,
    removals,
    without_state,
)
from provision.plan.compare import plan
from provision.plan.desired import desired
from provision.plan.states import without_yet
from provision.specs import (
    BUT_DATA,
    GONE,
    PUT_BACK,
    TAKE_UP,
    THROWN_AWAY,
    Desired,
    HostTraits,
    Stamp,
    digest,
)
from tests.unit.guests.test_seed import KEY
from tests.unit.plan.test_plan import MEMBERS, complete
from tests.unit.sample import ARTIFACTS, CLUSTER, PINNINGS

OWNER = CLUSTER.owner


def with_state(size: int | None = None) -> Cluster:
    cp1, *rest = CLUSTER.nodes
    return CLUSTER.model_copy(update={"nodes": (cp1.model_copy(update={"state": size}), *rest)})


def wanted(cluster: Cluster) -> Desired:
    seeds = {"cp1": "c" * 64, "w1": "d" * 64}
    return desired(cluster, PINNINGS, {"hv1": HostTraits("kvm")}, {}, ARTIFACTS, seeds)


STATEFUL = with_state()
WANTED = wanted(STATEFUL)
(STATE,) = (volume for volume in WANTED.volumes if volume.kind == "state")
(ROOT,) = (volume for volume in WANTED.volumes if (volume.node, volume.kind) == ("cp1", "root"))


def guest(node: str, *, rebuild: str = "", state: str = STATE.name, active: bool = True) -> DomainSeen:
    """A guest as it was defined with the volumes of WANTED."""
    one = WANTED.guest(node)
    seed = next(seed.name for seed in WANTED.seeds if seed.node == node)
    mine = state if node == "cp1" else ""
    stamp = Stamp(
        "lab",
        node,
        digest(one),
        one.address,
        "ssh-ed25519 AAAA",
        seed,
        rebuild=rebuild,
        state=mine,
        pod_subnet=subnet(node),
    )
    disks = tuple(disk.path for disk in one.disks)
    known = next(domain for domain in complete().domains if domain.name == one.domain)
    return replace(known, active=active, stamp=stamp, disks=disks)


def subnet(node: str) -> str:
    return next(member.pod_subnet for member in WANTED.members if member.name == node)


def host(cp1: DomainSeen | None = None, *, without: tuple[str, ...] = ()) -> HostSeen:
    there = complete()
    names = {volume.name for volume in there.volumes}
    more = tuple(VolumeSeen(one.name, "", 1) for one in WANTED.volumes if one.name not in names)
    volumes = tuple(one for one in (*there.volumes, *more) if one.name not in without)
    return replace(there, domains=(cp1 or guest("cp1"), guest("w1")), volumes=volumes)


def planned(
    asked: Mapping[str, str],
    seen: HostSeen,
    *,
    restoring: bool = False,
    nodes: Mapping[str, NodeSeen] = MEMBERS,
    desired: Desired = WANTED,
) -> Plan:
    observed = Observed({"hv1": seen}, nodes, ())
    anew = rebuilding.anew(OWNER, observed.hosts, asked)
    found = plan(desired, rebuilding.emptied(observed, CLUSTER, anew), restoring=restoring, anew=anew)
    return rebuilding.throwing_away(found, STATEFUL, observed, anew, restoring=restoring)


def refused(*args: Any, **more: Any) -> str:
    with pytest.raises(ConflictError) as caught:
        planned(*args, **more)
    return caught.value.message


# ── what is made ────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_new_control_plane_gets_one_and_no_worker() -> None:
    assert [(one.node, one.kind) for one in WANTED.volumes] == [("cp1", "root"), ("cp1", "state"), ("w1", "root")]
    assert (STATE.size_mib, STATE.title, STATE.path) == (8192, "state volume", f"/srv/pool/{STATE.name}")
    assert [(disk.serial, disk.format) for disk in WANTED.guest("cp1").disks] == [("root", "qcow2"), ("state", "raw")]
    assert wanted(with_state(0)).guest("cp1") == wanted(CLUSTER).guest("cp1")
    assert "<allocation>0</allocation>" in volume_xml(STATE)
    assert "allocation" not in volume_xml(ROOT)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"role": "worker", "state": "8GiB"}, "a worker has no state"),
        ({"state": "512MiB"}, "512 MiB is too small"),
        (
            {"volumes": [{"name": "e", "size": "9GiB", "mount": "/var/lib/etcd"}]},
            "/var/lib/etcd is on the node's state volume",
        ),
        (
            {"volumes": [{"name": "e", "size": "9GiB", "mount": "/var/lib/kubelet/pki/x"}]},
            "is on the node's state volume",
        ),
    ],
)
def test_what_an_inventory_must_not_say_of_it(said: dict[str, Any], why: str) -> None:
    node = {"name": "cp1", "role": "control-plane", "memory": "3GiB", "disk": "12GiB"}
    with pytest.raises(ValidationError, match=why):
        Node.model_validate(node | said)
    free = {key: value for key, value in said.items() if key == "volumes"}
    assert Node.model_validate({**node, **free, "state": "none"}).state_mib == 0
    assert Node.model_validate({**node, "role": "worker", "state": "none"}).state_mib == 0


def test_the_seed_of_others_is_what_it_was() -> None:
    """Else each node that there is would be said to have an older one."""
    for member, cluster in ((WANTED.members[1], STATEFUL), (WANTED.members[0], without_state(STATEFUL, ["cp1"]))):
        assert seed_digest(cluster, member, "k") == seed_digest(CLUSTER, member, "k")
        said = render(cluster, member, WANTED.members, "k", KEY).user_data.reveal()
        assert not any(word in said for word in ("meshctl-state", "kept/of", "/var/lib/etcd", "AssertPathIsMountPoint"))
    assert seed_digest(STATEFUL, WANTED.members[0], "k") != seed_digest(CLUSTER, WANTED.members[0], "k")


def test_one_that_was_made_without_stays_so_until_it_is_rebuilt() -> None:
    old = {"hv1": host(guest("cp1", state=""))}
    assert [node.state_mib for node in as_made(STATEFUL, old, {}).nodes] == [0, 0]
    assert as_made(STATEFUL, old, {"cp1": THROWN_AWAY}) == STATEFUL
    assert as_made(STATEFUL, {"hv1": host()}, {}) is STATEFUL
    assert as_made(STATEFUL, {"hv1": replace(host(), domains=())}, {}) is STATEFUL
    (note,) = without_yet(STATEFUL, wanted(CLUSTER))
    assert (
        note == "cp1 was made without a state volume, and goes on so until `meshctl rebuild INVENTORY cp1` gives it one"
    )
    assert list(without_yet(STATEFUL, WANTED)) == list(without_yet(CLUSTER, wanted(CLUSTER))) == []


def test_nothing_is_to_be_done_where_it_is() -> None:
    assert planned({}, host()).changes == ()


def test_it_is_not_taken_away_by_the_inventory_nor_made_smaller() -> None:
    assert "cp1 has its cluster on a state volume, the inventory now says `state: none`" in refused(
        {}, host(), desired=wanted(CLUSTER)
    )
    seen = host()
    seen = replace(
        seen,
        volumes=tuple(replace(one, capacity=9000 * MIB) if one.name == STATE.name else one for one in seen.volumes),
    )
    said = refused({}, seen)
    assert "cp1: state has 9000 MiB, the inventory now says 8192: a filesystem is not made smaller: put it back" in said
    assert "rebuild" not in said
    larger = planned({}, seen, desired=wanted(with_state(10240 * MIB)))
    assert [(one.kind, one.name) for one in larger.changes] == [("state volume size", STATE.name)]


def test_it_goes_with_the_cluster() -> None:
    gone = removals(OWNER, [(CLUSTER.host("hv1"), host())], purge=False)
    assert [(one.kind, one.node) for one in gone if one.name == STATE.name] == [("state volume", "cp1")]


# ── rebuilt ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cp1", [NodeSeen(member=True), NodeSeen(unreachable="no answer")])
@pytest.mark.parametrize("mark", [THROWN_AWAY, BUT_DATA])
def test_it_outlives_the_guest_which_goes_on_with_it_whether_that_answers_or_not(mark: str, cp1: NodeSeen) -> None:
    found = planned({"cp1": mark}, host(), nodes={**MEMBERS, "cp1": cp1})
    (thrown,) = found.of("rebuild")
    assert thrown.reason.startswith("stopped; its cluster's state stays on its state volume; deleted: ")
    assert thrown.reason.endswith(f"; kept: {STATE.name}")
    assert ROOT.name in thrown.reason
    assert [one.name for one in found.of("volumes") if one.kind != "seed"] == [ROOT.name]
    assert [one.basis for one in found.of("guests", "guest")] == [rebuilding.ANEW_WITH_STATE]
    (begun,) = found.of("kubernetes", "kubeadm init")
    assert (begun.verb, begun.basis, begun.reason) == (
        Verb.CHANGE,
        rebuilding.ANEW_WITH_STATE,
        "its cluster goes on from its state volume",
    )


@pytest.mark.parametrize("mark", [THROWN_AWAY, BUT_DATA, GONE, TAKE_UP])
def test_any_run_goes_on_with_it_and_makes_no_cluster(mark: str) -> None:
    found = planned({}, host(guest("cp1", rebuild=mark, active=mark != GONE)), nodes={"w1": NodeSeen(member=True)})
    assert bool(found.of("rebuild")) == (mark in (THROWN_AWAY, BUT_DATA))
    assert bool(found.of("guests", "guest")) == (mark != TAKE_UP)
    assert [one.basis for one in found.of("kubernetes", "kubeadm init")] == [rebuilding.ANEW_WITH_STATE]


def test_a_mark_that_is_left_is_still_to_be_taken_away() -> None:
    """The run was ended between the last step and the mark: the node is a member already."""
    found = planned({}, host(guest("cp1", rebuild=TAKE_UP)))
    assert [(one.kind, one.basis) for one in found.changes] == [("kubeadm init", rebuilding.ANEW_WITH_STATE)]
    assert [one.kind for one in planned({"cp1": THROWN_AWAY}, host(guest("cp1", rebuild=TAKE_UP))).of("rebuild")] == [
        "node"
    ]


@pytest.mark.parametrize(
    "seen",
    [
        host(guest("cp1", rebuild=PUT_BACK)),
        host(guest("cp1", rebuild=GONE, state="", active=False)),
        host(guest("cp1", rebuild=GONE, state="lab.cp1.state.00000000.raw", active=False)),
        host(guest("cp1", rebuild=GONE, active=False), without=(STATE.name,)),
    ],
    ids=["put-back", "from-a-backup", "of-another", "lost"],
)
def test_no_run_goes_on_that_would_find_it_empty_or_another(seen: HostSeen) -> None:
    assert "cp1, the control plane, is being rebuilt by a run that was ended" in refused({}, seen)


def test_while_a_backup_is_put_back_what_it_holds_is_no_cluster() -> None:
    """A blank or older one would be gone on with, or a second cluster made on it, by a run after one that was ended."""
    found = planned({"cp1": BUT_DATA}, host(), restoring=True)
    assert [one.kind for one in found.of("rebuild")] == ["control plane but its data"]
    assert [one.basis for one in found.of("guests", "guest")] == [rebuilding.ANEW]
    assert all(one.basis != rebuilding.ANEW_WITH_STATE for one in found.of("kubernetes"))


# ── lost ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_its_root_it_is_rebuilt_and_without_its_state_restored() -> None:
    root = refused({}, host(guest("cp1", active=False), without=(ROOT.name,)))
    assert root.endswith(
        "`meshctl rebuild INVENTORY cp1` makes the node anew, and its cluster goes on from its state volume"
    )
    state = refused({}, host(guest("cp1", active=False), without=(STATE.name,)))
    assert f"guest cp1 cannot start: its state volume {STATE.name} is gone: `meshctl restore INVENTORY FILE`" in state
    both = losses(WANTED, {"hv1": host(without=(ROOT.name, STATE.name))})["cp1"]
    assert (both.what, both.state) == (f"its root volume {ROOT.name} and its state volume {STATE.name}", False)
    assert planned({"cp1": THROWN_AWAY}, host(without=(ROOT.name,))).of("guests", "guest")
    old = host(guest("cp1", state=""), without=(STATE.name,))
    assert losses(wanted(CLUSTER), {"hv1": old}) == {}


def test_workers_do_not_hinder_one_that_comes_back_with_its_state_though_its_domain_is_gone() -> None:
    seen = replace(host(), domains=(guest("w1"),))
    nodes = {"w1": NodeSeen(member=True)}
    assert "cp1, the control plane, has no guest" in refused({}, seen, nodes=nodes)
    assert planned({"cp1": THROWN_AWAY}, seen, nodes=nodes).of("guests", "guest")[0].basis == rebuilding.ANEW_WITH_STATE
