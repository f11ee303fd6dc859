"""Nodes thrown away and made anew, as far as hosts notice it: on libvirt's test driver with doubles of Kubernetes 1.5 for the nodes, and on
a real libvirtd, where a run is killed before each of its changes.
"""

from __future__ import annotations

import importlib
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from provision import images
from provision.base.errors import ConflictError
from provision.base.events import Changed, Event, Warned
from provision.bundle import seal
from provision.images.builder import path as image_path
from provision.inventory import load
from provision.kubernetes import Eviction
from provision.kubernetes.kubectl import kubectl_argv
from provision.libvirt_xml import DomainSeen, judged_domains
from provision.plan import GIVEN, NodeSeen, Observed, Plan, rebuilding
from provision.plan.compare import plan
from provision.run import plan_rebuild
from provision.run.backup_file import Backup, described, packed
from provision.run.engine import World, go_through, intent, make_plan, opened, provision
from provision.run.observe import all_domains
from provision.run.rebuild import backup_path
from provision.run.stages import rebuild, volumes
from provision.run.stages.doors import Doors
from provision.run.stages.given import give_all_back
from provision.run.stages.guests import _bring_up
from provision.run.stages.order import STAGES
from provision.specs import BUT_DATA, GONE, PUT_BACK, TAKE_UP, THROWN_AWAY, Stamp, stamp_text
from tests.doubles.indoors import Indoors, here
from tests.libvirt import test_engine
from tests.libvirt.killing import KILLED, cluster_of, points, run
from tests.libvirt.real_daemon import daemon
from tests.libvirt.test_engine import INVENTORY, _sealed, guests_too
from tests.libvirt.test_killed import INVENTORY as REAL
from tests.unit.bundle.test_bundle import lay_out
from tests.unit.kubernetes import test_kubernetes_1_5
from tests.unit.kubernetes.test_kubernetes_1_5 import Cluster as Kube
from tests.unit.run.test_backup_file import backup, tar_gz

rebuilds = importlib.import_module("provision.run.rebuild")
"""The module: `provision.run.rebuild` is the command there."""

kube, events = test_kubernetes_1_5.cluster, test_engine.events

DATA = "disk: 10GiB, volumes: [{name: d, size: 1GiB, mount: /srv/d}]}\nssh:"
MEMBERS = {"cp1": NodeSeen(member=True), "w1": NodeSeen(member=True)}


@pytest.fixture
def world(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[Event]) -> Iterator[World]:
    """cp1, and w1 with a data volume, as far as the test driver has them."""
    monkeypatch.setenv("MESHCTL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MESHCTL_STATE", str(tmp_path / "state"))
    folder = lay_out(tmp_path / "bundle", "v1.20.2", "meshctl/l5d-standin:0.8.5", "meshctl/kubectl:v1.20.2")
    seal(folder, "v1.20.2")
    image = image_path(images.recipe("debian-12"))
    image.parent.mkdir(parents=True)
    image.write_bytes(b"an image")
    text = INVENTORY.format(uri=uri, bundle=folder, pool=tmp_path / "pool").replace("disk: 10GiB}\nssh:", DATA)
    with opened(load("x.yaml", text), events.append) as made:
        provision(made, make_plan(made), "volumes")
        guests_too(made)
        yield made


def doors(world: World, kube: Kube | None = None) -> Indoors:
    """Doors to the world's hosts, and to the double's nodes in the place of its guests."""
    made = world.doors(_sealed(world))
    version = made.cluster.kubernetes.model_copy(update={"version": "v1.5.8"})
    cluster = made.cluster.model_copy(update={"kubernetes": version})
    return Indoors(
        cluster,
        made.hypervisors,
        made.sessions,
        made.emit,
        made.host_shell,
        made.bundle,
        nodes_here=kube.shells if kube else {},
    )


def planned(world: World, asked: Mapping[str, str]) -> Plan:
    """As `make_plan` would, if the guests said that they are members."""
    meant = intent(world)
    observed, owner = Observed(meant.hosts, MEMBERS, ()), world.cluster.owner
    anew = rebuilding.anew(owner, meant.hosts, asked)
    found = plan(meant.wanted, rebuilding.emptied(observed, world.cluster, anew), anew=anew)
    return rebuilding.throwing_away(found, world.cluster, observed, anew)


def seen(world: World, node: str = "w1") -> DomainSeen:
    domains = judged_domains(world.cluster.owner, world.hypervisors["hv1"].domains())
    return next(domain for domain in domains if domain.name == f"demo-{node}")


def stamp(world: World, node: str = "w1") -> Stamp:
    found = seen(world, node).definition.stamp
    assert found is not None
    return found


def files(world: World, node: str = "w1") -> set[str]:
    """The kinds of what a node has in the pool."""
    names = (one.name for one in world.hypervisors["hv1"].volumes("meshctl"))
    return {name.split(".")[2].partition("-")[0] for name in names if name.startswith(f"demo.{node}.")}


def changes(events: list[Event]) -> list[str]:
    return [f"{event.object}: {event.change}" for event in events if isinstance(event, Changed)]


@pytest.mark.parametrize(("mark", "left"), [(THROWN_AWAY, set()), (BUT_DATA, {"data"})])
def test_a_worker_is_drained_forgotten_stopped_and_loses_its_volumes_in_this_order(
    world: World, events: list[Event], kube: Kube, mark: str, left: set[str]
) -> None:
    before = stamp(world)
    found = planned(world, {"w1": mark})
    events.clear()
    rebuild.run(found, doors(world, kube))
    said = changes(events)
    begin = ["node w1: drain", "guest w1: marked: to be thrown away", "node w1: delete from Kubernetes"]
    assert [one for one in said if not one.startswith("pods ")][:4] == [*begin, "guest w1: stop"]
    removed = said[said.index("guest w1: stop") + 1 : -1]
    assert all(one.endswith(": remove") for one in removed)
    assert said[-1] == "guest w1: marked: thrown away"
    assert files(world) == left
    assert not seen(world).active
    assert stamp(world) == replace(before, rebuild=GONE)
    assert (files(world, "cp1"), seen(world, "cp1").active) == ({"root", "seed", "state"}, True)


def made(world: World) -> None:
    """What the stages behind it make, as far as the test driver goes."""
    found, ways = planned(world, {}), doors(world)
    volumes.run(found, ways)
    for action in found.of("guests", "guest"):
        _bring_up(action, found, ways)


def test_it_comes_back_as_who_it_was_with_a_key_of_its_own(world: World, kube: Kube) -> None:
    was, before = seen(world), stamp(world)
    rebuild.run(planned(world, {"w1": BUT_DATA}), doors(world, kube))
    made(world)
    now, after = seen(world), stamp(world)
    assert (now.uuid, now.macs, now.active) == (was.uuid, was.macs, True)
    assert after.host_key != before.host_key
    assert after == replace(before, host_key=after.host_key, upkeep=after.upkeep)
    assert files(world) == {"root", "seed", "data"}
    assert planned(world, {}).of("guests", "guest") == ()


def test_labels_and_taints_that_somebody_gave_it_are_given_back(world: World, events: list[Event], kube: Kube) -> None:
    """Killed when it has thrown the node away, and when it has made it: the next run knows them."""
    for verb, word in (("label", "disk=nvme"), ("taint", "for=db:NoSchedule")):
        kube.shells["cp1"].run(kubectl_argv(verb, "node", "w1", word))
    rebuild.run(planned(world, {"w1": BUT_DATA}), doors(world, kube))
    remark(world, THROWN_AWAY, node="w1")
    rebuild.run(planned(world, {}), doors(world, kube))  # its kubelet still ran, and has made a bare node of it
    made(world)
    found = planned(world, {})
    (owed,) = found.of("kubernetes", GIVEN)
    assert owed.reason == "it had them before it was made anew: disk=nvme, for=db:NoSchedule"
    kube.shells["w1"].run(["systemctl", "restart", "kubelet"])
    events.clear()
    shells = here(world.cluster, kube.shells, all_domains(world.cluster.owner, world.hypervisors))
    give_all_back("kubernetes", {"w1"}, found, shells, kube.kubectl, doors(world, kube))
    assert changes(events) == ["labels disk=nvme of w1: put back", "taints for=db:NoSchedule of w1: put back"]
    now = seen(world)
    assert now.stamp is not None
    assert (now.stamp.given, stamp(world).given, planned(world, {}).of("kubernetes", GIVEN)) == ("", "", ())
    kube.kubectl.delete("node", "w1")
    kube.shells["w1"].run(["systemctl", "restart", "kubelet"])


def test_its_address_is_nobody_elses_while_it_is_away(world: World, kube: Kube) -> None:
    address = stamp(world).address
    rebuild.run(planned(world, {"w1": THROWN_AWAY}), doors(world, kube))
    node = world.cluster.nodes[1].model_copy(update={"name": "a0", "volumes": ()})
    cluster = world.cluster.model_copy(update={"nodes": (node, *world.cluster.nodes)})
    given = {member.name: member.address for member in planned(replace(world, cluster=cluster), {}).desired.members}
    assert given["w1"] == address
    assert given["a0"] != address


def test_saved_memory_and_snapshots_do_not_come_back_with_it(world: World, kube: Kube) -> None:
    by_hand = world.hypervisors["hv1"]._connection.use("do it by hand", changes=True)
    by_hand.lookupByName("demo-w1").snapshotCreateXML("<domainsnapshot><name>before</name></domainsnapshot>")
    by_hand.lookupByName("demo-w1").managedSave()
    rebuild.run(planned(world, {"w1": THROWN_AWAY}), doors(world, kube))
    assert world.hypervisors["hv1"].attachments() == {}


def test_what_others_live_on_is_found_before_anything_is_done(world: World, events: list[Event], kube: Kube) -> None:
    root = next(
        volume.path for volume in make_plan(world).desired.volumes if (volume.node, volume.kind) == ("w1", "root")
    )
    disk = f"<disk type='file'><source file='{root}'/><target dev='vda'/></disk>"
    theirs = f"<domain type='test'><name>theirs</name><memory>1024</memory><os><type>hvm</type></os><devices>{disk}</devices></domain>"
    world.hypervisors["hv1"]._connection.use("do it by hand", changes=True).defineXML(theirs)
    found, before = planned(world, {"w1": THROWN_AWAY}), stamp(world)
    events.clear()
    with pytest.raises(ConflictError, match="nothing was removed, as something hangs on it"):
        rebuild.run(found, doors(world, kube))
    assert (changes(events), stamp(world), seen(world).active) == ([], before, True)


def test_a_domain_that_somebody_changed_since_is_left_alone(world: World, kube: Kube) -> None:
    found = planned(world, {"w1": THROWN_AWAY})
    world.hypervisors["hv1"].mark_domain("demo-w1", stamp_text(replace(stamp(world), digest="0" * 16)))
    with pytest.raises(ConflictError, match="changed by somebody else since the plan was made"):
        rebuild.run(found, doors(world, kube))
    assert seen(world).active


def test_one_that_is_marked_is_not_drained_again(world: World, events: list[Event], kube: Kube) -> None:
    """Kubernetes may know it no more; what is left to do is done."""
    world.hypervisors["hv1"].mark_domain("demo-w1", stamp_text(replace(stamp(world), rebuild=BUT_DATA)))
    found = planned(world, {})
    assert [action.kind for action in found.of(rebuild.NAME)] == ["node but its data"]
    events.clear()
    rebuild.run(found, doors(world, kube))
    assert "node w1: drain" not in changes(events)
    assert files(world) == {"data"}


def test_nobody_is_drained_who_is_not_ready(world: World, events: list[Event], kube: Kube) -> None:
    kube.shells["w1"].run(["systemctl", "stop", "kubelet"])
    kube.kubectl.delete("node", "w1")
    rebuild.run(planned(world, {"w1": THROWN_AWAY}), doors(world, kube))
    kube.shells["w1"].run(["systemctl", "start", "kubelet"])
    assert any(isinstance(event, Warned) and event.message.startswith("w1 is not Ready") for event in events)
    assert "node w1: drain" not in changes(events)


# ── the control plane, whose state is on its way back ───────────────────────────────────────────────────────────


def remark(world: World, rebuild: str = "", state: str | None = None, *, node: str = "cp1") -> None:
    """Writes something else into a guest's stamp."""
    found = stamp(world, node)
    said = replace(found, rebuild=rebuild, state=found.state if state is None else state)
    world.hypervisors["hv1"].mark_domain(f"demo-{node}", stamp_text(said))


def test_what_cannot_be_copied_is_not_thrown_away(world: World) -> None:
    """Nothing answers behind the test driver, and its state volume is not its own."""
    remark(world, state="")
    before = world.calls.mutations
    with pytest.raises(ConflictError, match="cp1 cannot be rebuilt, as its state cannot be copied first: ") as caught:
        plan_rebuild(world, ("cp1",), keep_data=False)
    assert "`meshctl restore INVENTORY FILE` makes it anew from a backup" in caught.value.hint
    with pytest.raises(ConflictError, match="cp1 is the control plane, and is rebuilt by itself") as caught:
        plan_rebuild(world, ("w1", "cp1"), keep_data=False)
    assert caught.value.hint == "`meshctl rebuild INVENTORY cp1`, and then `meshctl rebuild INVENTORY w1`"
    assert world.calls.mutations == before


def test_a_worker_is_not_rebuilt_while_no_control_plane_answers(world: World) -> None:
    with pytest.raises(ConflictError, match="w1 cannot be rebuilt, as it could not join again: cp1: "):
        plan_rebuild(world, ("w1",), keep_data=False)


def test_who_has_not_the_backup_of_one_that_is_being_rebuilt_is_told_where_it_should_be(world: World) -> None:
    remark(world, rebuild=GONE, state="")
    with pytest.raises(ConflictError, match="its backup is not on this machine: there is no ") as caught:
        plan_rebuild(world, ("cp1",), keep_data=False)
    assert str(backup_path(world)) in caught.value.message
    assert "meshctl restore INVENTORY FILE" in caught.value.hint
    with pytest.raises(ConflictError, match="cp1, the control plane, is being rebuilt by a run that was ended"):
        make_plan(world)


LOGS = {said: tar_gz({"member/wal/0.wal": said.encode()}) for said in ("then", "now", "older")}


def copy_of(world: World, version: str, said: str) -> Backup:
    owner = world.cluster.owner
    state = replace(backup().state, kubernetes=version, log=LOGS[said])
    return described(owner.cluster, owner.id, "cp1", stamp(world, "cp1").address, state, datetime.now(UTC))


def test_the_copy_is_private_and_takes_the_place_of_one_that_an_earlier_rebuild_has_left(
    world: World, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = backup_path(world)
    for said in ("then", "now"):
        monkeypatch.setattr(rebuilds, "taken", lambda _, said=said: copy_of(world, "v1.20.2", said))
        rebuilds._kept_anew(world, path)
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    assert rebuilds._kept(path).state.log == LOGS["now"]
    assert f"backup {path}: written: " in changes(events)[-1]
    monkeypatch.setattr(rebuilds, "taken", lambda _: copy_of(world, "v1.20.1", "older"))
    with pytest.raises(
        ConflictError, match=r"this is a backup of Kubernetes v1\.20\.1, inventory and bundle have v1\.20\.2"
    ):
        rebuilds._kept_anew(world, path)
    assert rebuilds._kept(path).state.log == LOGS["now"]


def test_what_it_does_is_said_before(world: World) -> None:
    path, now = backup_path(world), datetime.now(UTC)
    first = rebuilds.Rebuild(("cp1",), THROWN_AWAY, make_plan(world), backup=path)
    assert rebuilds.in_words(first, now).startswith(
        f"  ~ cp1: its state is copied into {path}, and put back on the new guest"
    )
    path.parent.mkdir(parents=True)
    path.write_bytes(packed(copy_of(world, "v1.20.2", "now")))
    said = rebuilds.in_words(replace(first, begun=True), now + timedelta(hours=2))
    assert said.startswith(f"  ~ cp1: goes on with the state that a run took 2 h 0 min ago: {path}")
    workers = rebuilds.Rebuild(("w1", "w2"), THROWN_AWAY, first.plan, {"w1": (Eviction("shop", "web-1", orphan=True),)})
    assert rebuilds.in_words(workers, now).splitlines() == [
        "  ~ w1: drained, thrown away, made anew",
        "      - shop/web-1 (nothing makes it anew)",
        "  ~ w2: made anew",
    ]


def guest_anew(world: World) -> None:
    """The guest's part of `rebuild cp1`, as far as guests that never boot let it."""
    asked = {} if stamp(world, "cp1").rebuild == PUT_BACK else {"cp1": THROWN_AWAY}
    found, ways = make_plan(world, restoring=True, limit=("cp1",), anew=asked), world.doors(_sealed(world))
    go_through(found, [stage for stage in STAGES if stage.name in ("rebuild", "volumes")], ways)
    for action in found.of("guests", "guest"):
        _bring_up(action, found, ways)


def test_its_guest_says_until_its_state_is_back_that_it_is_not(world: World) -> None:
    before = stamp(world, "cp1")
    guest_anew(world)
    after = stamp(world, "cp1")
    assert after.rebuild == PUT_BACK
    assert after.address == before.address
    guest_anew(world)
    assert stamp(world, "cp1").host_key == after.host_key  # not thrown away again
    with pytest.raises(ConflictError, match="is being rebuilt"):
        make_plan(world)
    rebuild.unmark("cp1", "hv1", doors(world))
    assert (stamp(world, "cp1").rebuild, getattr(seen(world, "cp1").stamp, "rebuild", None)) == ("", "")
    assert make_plan(world).of("rebuild") == ()


# ── the control plane with its state on a volume ────────────────────────────────────────────────────────────────


def with_its_state(world: World) -> None:
    """The guest's part of `rebuild cp1` where its cluster is on its state volume, as far as guests that never boot let it."""
    found, ways = make_plan(world, limit=("cp1",), anew={"cp1": THROWN_AWAY}), world.doors(_sealed(world))
    _guest_of(found, ways)


def _guest_of(found: Plan, ways: Doors) -> None:
    go_through(found, [stage for stage in STAGES if stage.name in ("rebuild", "volumes")], ways)
    for action in found.of("guests", "guest"):
        _bring_up(action, found, ways)


def state_file(world: World) -> str:
    return next(one.name for one in world.hypervisors["hv1"].volumes("meshctl") if ".state." in one.name)


def test_one_that_does_not_answer_is_rebuilt_with_the_state_of_its_volume(world: World, events: list[Event]) -> None:
    before, state = stamp(world, "cp1"), state_file(world)
    assert before.state == state
    agreed = plan_rebuild(world, ("cp1",), keep_data=False)
    assert (agreed.state, agreed.backup) == (state, None)
    said = rebuilds.in_words(agreed, datetime.now(UTC)).splitlines()
    assert said[0] == f"  ~ cp1: made anew; its cluster stays on {state}, and goes on from there"
    assert said[-1] == "      nothing that was written to the API is lost"
    events.clear()
    with_its_state(world)
    assert not [one for one in changes(events) if state in one]
    assert any(
        isinstance(event, Warned) and "cp1: its disks are taken as they are" in event.message for event in events
    )
    after = stamp(world, "cp1")
    assert (after.rebuild, after.state, after.address, files(world, "cp1")) == (
        TAKE_UP,
        state,
        before.address,
        {"root", "seed", "state"},
    )
    assert after.host_key != before.host_key
    assert not backup_path(world).exists()


def test_one_that_answers_must_have_a_cluster_and_of_the_version_that_its_new_guest_gets(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.calls.mutations
    monkeypatch.setattr(rebuilds, "prepared_version", lambda _: "v1.20.1")
    for member, why in ((False, "it answers, and is no control plane"), (True, r"its cluster has v1\.20\.1")):
        monkeypatch.setattr(rebuilds, "is_member", lambda _, member=member: member)
        with pytest.raises(ConflictError, match=f"cp1 cannot be rebuilt.*{why}"):
            plan_rebuild(world, ("cp1",), keep_data=False)
    monkeypatch.setattr(rebuilds, "prepared_version", lambda _: "v1.20.2")
    assert plan_rebuild(world, ("cp1",), keep_data=False).state == state_file(world)
    assert world.calls.mutations == before


def test_provision_goes_on_with_it_and_makes_no_other_cluster(world: World) -> None:
    remark(world, rebuild=THROWN_AWAY)
    found = make_plan(world)
    assert [one.kind for one in found.of("rebuild")] == ["node"]
    _guest_of(found, world.doors(_sealed(world)))
    key = stamp(world, "cp1").host_key
    found = make_plan(world)
    assert (found.of("rebuild"), found.of("guests", "guest")) == ((), ())
    assert [one.basis for one in found.of("kubernetes", "kubeadm init")] == [rebuilding.ANEW_WITH_STATE]
    assert stamp(world, "cp1").host_key == key
    rebuild.unmark("cp1", "hv1", doors(world))
    assert [one.basis for one in make_plan(world).of("kubernetes", "kubeadm init")] == [""]


def test_a_state_volume_that_is_gone_is_no_state(world: World) -> None:
    """By copy while it answers, which nothing does here."""
    world.hypervisors["hv1"].delete_volume("meshctl", state_file(world))
    with pytest.raises(ConflictError, match="cp1 cannot be rebuilt, as its state cannot be copied first: ") as caught:
        plan_rebuild(world, ("cp1",), keep_data=False)
    assert "meshctl restore INVENTORY FILE" in caught.value.hint
    with pytest.raises(ConflictError, match=r"guest cp1 still runs, but its state volume demo\.cp1\.state"):
        make_plan(world)


def test_while_a_backup_is_put_back_no_other_run_takes_the_volume_for_its_cluster(world: World) -> None:
    """Killed once the volume is there, blank: a run that went on with it would make another cluster on it."""
    world.hypervisors["hv1"].delete_volume("meshctl", state_file(world))
    found, ways = make_plan(world, restoring=True, limit=("cp1",)), world.doors(_sealed(world))
    go_through(found, [stage for stage in STAGES if stage.name in ("rebuild", "volumes")], ways)
    assert (stamp(world, "cp1").rebuild, stamp(world, "cp1").state) == (GONE, "")
    assert state_file(world)
    with pytest.raises(ConflictError, match="cp1, the control plane, is being rebuilt by a run that was ended"):
        make_plan(world)
    for action in found.of("guests", "guest"):
        _bring_up(action, found, ways)
    assert (stamp(world, "cp1").rebuild, stamp(world, "cp1").state) == (PUT_BACK, state_file(world))


def without_state(world: World) -> World:
    """cp1 as an older meshctl made it."""
    door, (cp1, *rest) = world.hypervisors["hv1"], world.cluster.nodes
    door.remove_domain("demo-cp1")
    door.delete_volume("meshctl", state_file(world))
    older = world.cluster.model_copy(update={"nodes": (cp1.model_copy(update={"state": 0}), *rest)})
    guests_too(replace(world, cluster=older))
    assert (stamp(world, "cp1").state, files(world, "cp1")) == ("", {"root", "seed"})
    return world


def test_one_that_was_made_without_is_left_so_and_gets_it_when_it_is_made_anew(world: World) -> None:
    without_state(world)
    found = make_plan(world)
    assert (found.of("volumes"), found.of("guests", "guest"), found.pending) == ((), (), ())
    assert [note for note in found.notes if "cp1 was made without a state volume" in note]
    assert not [note for note in found.notes if "older seed" in note]
    with pytest.raises(ConflictError, match="its state cannot be copied first"):
        plan_rebuild(world, ("cp1",), keep_data=False)
    guest_anew(world)
    assert (stamp(world, "cp1").rebuild, stamp(world, "cp1").state) == (PUT_BACK, state_file(world))
    assert any(".state." in path for path in seen(world, "cp1").disks)
    rebuild.unmark("cp1", "hv1", doors(world))
    assert not [note for note in make_plan(world).notes if "state volume" in note]


# ── killed before each change, on a real libvirtd ───────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The inventory of a libvirtd on which cp1 has an address that nobody would work out for it again."""
    folder = tmp_path_factory.mktemp("hv")
    with pytest.MonkeyPatch.context() as patch, daemon(folder / "libvirt") as uri:
        patch.setenv("MESHCTL_CACHE", str(folder / "cache"))
        sealed = lay_out(folder / "bundle", "v1.20.2", "meshctl/l5d-standin:0.8.5", "meshctl/kubectl:v1.20.2")
        seal(sealed, "v1.20.2")
        image = image_path(images.recipe("debian-12"))
        image.parent.mkdir(parents=True)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "64M"], check=True)
        text = REAL.format(uri=uri, pool=folder / "pool", bundle=sealed)
        with opened(
            cluster_of(text.replace("{name: cp1,", "{name: cp1, address: 10.77.0.3,")), lambda _: None
        ) as world:
            provision(world, make_plan(world), "volumes")
            guests_too(world)
        yield text


def anew(inventory: str) -> None:
    with opened(cluster_of(inventory), lambda _: None) as world:
        guest_anew(world)


def back(inventory: str) -> tuple[str, ...]:
    """What makes cp1 who it is, and what of its guest is left to do; its state counts as put back then."""
    with opened(cluster_of(inventory), lambda _: None) as world:
        found, open_ = stamp(world, "cp1"), make_plan(world, restoring=True)
        left = [one.kind for one in open_.until(("rebuild", "volumes", "guests")).changes if one.kind != "boot"]
        assert found.rebuild == PUT_BACK
        rebuild.unmark("cp1", "hv1", world.doors(_sealed(world)))
        return (found.address, found.pod_subnet, *seen(world, "cp1").macs, *left)


def test_killed_before_any_of_its_changes_the_next_run_makes_the_same_node(real: str) -> None:
    assert run(anew, real)[0] == 0
    who = back(real)
    assert who[0] == "10.77.0.3"
    assert len(who) == 3  # nothing is left to do
    _, calls = run(anew, real)
    assert back(real) == who
    assert {"virDomainSetMetadata", "virDomainDestroy", "virStorageVolDelete", "virDomainDefineXMLFlags"} <= set(calls)
    for at, call in points(calls):
        assert run(anew, real, at)[0] == KILLED, call
        assert run(anew, real)[0] == 0, f"killed before call {at}, {call}"
        assert back(real) == who, f"killed before call {at}, {call}"


def anew_with_state(inventory: str) -> None:
    with opened(cluster_of(inventory), lambda _: None) as world:
        with_its_state(world)


def back_with_state(inventory: str) -> tuple[str, ...]:
    """The same as `back`, with what is on the state volume; the cluster counts as taken up then."""
    with opened(cluster_of(inventory), lambda _: None) as world:
        found, open_ = stamp(world, "cp1"), make_plan(world)
        left = [one.kind for one in open_.until(("rebuild", "volumes", "guests")).changes if one.kind != "boot"]
        assert (found.rebuild, found.state) == (TAKE_UP, state_file(world))
        rebuild.unmark("cp1", "hv1", world.doors(_sealed(world)))
        with (Path(world.cluster.hosts[0].pool.path) / found.state).open("rb") as file:
            said = file.read(len(WRITTEN)).decode()
        return (said, found.address, found.pod_subnet, *seen(world, "cp1").macs, *left)


WRITTEN = "etcd's data"


def test_killed_before_any_of_its_changes_its_state_is_still_there_and_is_gone_on_with(real: str) -> None:
    with (
        opened(cluster_of(real), lambda _: None) as world,
        (Path(world.cluster.hosts[0].pool.path) / state_file(world)).open("r+b") as file,
    ):
        file.write(WRITTEN.encode())
    _, calls = run(anew_with_state, real)
    who = back_with_state(real)
    assert (who[0], len(who)) == (WRITTEN, 4)  # nothing is left to do
    for at, call in points(calls):
        assert run(anew_with_state, real, at)[0] == KILLED, call
        assert run(anew_with_state, real)[0] == 0, f"killed before call {at}, {call}"
        assert back_with_state(real) == who, f"killed before call {at}, {call}"
