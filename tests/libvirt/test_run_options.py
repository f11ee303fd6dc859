"""Options of a run against libvirt: saved plans, --limit, --keep-going, --junit."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from provision import images
from provision.base.errors import ConflictError, HypervisorError, SomeFailed
from provision.base.events import Changed, Emit, Event, Failed, GaveUp, StageStarted
from provision.bundle import seal
from provision.images.builder import path as image_path
from provision.inventory import Cluster, load
from provision.report.plan_text import as_text
from provision.run.engine import World, make_plan, opened, provision
from tests.libvirt.conftest import NODE
from tests.libvirt.daemon import Daemon
from tests.libvirt.process import Place
from tests.unit.bundle.test_bundle import lay_out

INVENTORY = """\
apiVersion: meshctl/v1
cluster: demo
id: "0123456789abcdef"
hosts:
- {{name: hv1, uri: "test://{folder}/one.xml", pool: {{path: {folder}/pool}}, reserved_memory: 0MiB}}
- {{name: hv2, uri: "test://{folder}/two.xml", pool: {{path: {folder}/pool}}, reserved_memory: 0MiB}}
network: {{cidr: 10.77.0.0/24, mode: bridge, bridge: br0}}
nodes:
- {{name: cp1, role: control-plane, host: hv1, vcpus: 2, memory: 2GiB, disk: 10GiB}}
- {{name: w1, role: worker, host: hv1, vcpus: 2, memory: 2GiB, disk: 10GiB}}
- {{name: w2, role: worker, host: hv2, vcpus: 2, memory: 2GiB, disk: 10GiB}}
ssh: {{public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f t, proxy_command: ["false"]}}
kubernetes: {{version: v1.20.2, bundle: {bundle}}}
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("MESHCTL_CACHE", str(tmp_path / "cache"))
    for name in ("one.xml", "two.xml"):
        (tmp_path / name).write_text(NODE)
    folder = lay_out(tmp_path / "bundle", "v1.20.2", "meshctl/l5d-standin:0.8.5", "meshctl/kubectl:v1.20.2")
    seal(folder, "v1.20.2")
    image = image_path(images.recipe("debian-12"))
    image.parent.mkdir(parents=True)
    image.write_bytes(b"an image")
    return load("x.yaml", INVENTORY.format(folder=tmp_path, bundle=folder))


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def world(cluster: Cluster, events: list[Event]) -> Iterator[World]:
    with opened(cluster, events.append) as made:
        yield made


def volumes(world: World, host: str) -> set[str]:
    """The nodes whose root volumes are on a host."""
    names = (volume.name for volume in world.hypervisors[host].volumes("meshctl"))
    return {name.split(".")[1] for name in names if ".root." in name}


def without_pool(world: World, host: str, emit: Emit) -> Emit:
    """Somebody takes a host's pool away as soon as its volumes are to be made."""

    def meddle(event: Event) -> None:
        emit(event)
        if isinstance(event, StageStarted) and event.stage == "volumes":
            use = world.hypervisors[host]._connection.use("do it by hand", changes=True)
            use.storagePoolLookupByName("meshctl").destroy()

    return meddle


def test_a_limited_run_touches_the_hosts_of_its_nodes_only_and_places_as_the_whole(world: World) -> None:
    whole = make_plan(world)
    plan = make_plan(world, limit=["cp1"])
    assert {action.where for action in plan.changes} == {"hv1", "cp1", "cluster"}
    assert as_text(plan).startswith("Plan for cluster demo, cp1 only:\n")
    assert plan.desired.guest("cp1") == whole.desired.guest("cp1")
    provision(world, plan, "volumes", limit=["cp1"])
    assert volumes(world, "hv1") == {"cp1"}
    assert world.hypervisors["hv2"].pools() == ()
    assert world.hypervisors["hv2"].networks() == ()
    assert make_plan(world, limit=["cp1"]).of("hosts") == ()
    assert make_plan(world).wanted("hosts", "pool", "hv2", "meshctl")


def test_a_worker_alone_is_refused_before_there_is_a_control_plane(world: World) -> None:
    with pytest.raises(ConflictError, match="w2 cannot join: cp1"):
        make_plan(world, limit=["w2"])
    with pytest.raises(ConflictError, match="--limit w3: there is no such node"):
        make_plan(world, limit=["w3"])


def test_a_host_that_fails_is_gone_on_without_and_told_at_the_end(world: World, events: list[Event]) -> None:
    meddling = replace(world, emit=without_pool(world, "hv2", world.emit))
    with pytest.raises(SomeFailed, match=r"1 node\(s\) were given up, all else is done:\n  w2: hv2: ") as caught:
        provision(meddling, make_plan(world), "volumes", keep_going=True)
    assert caught.value.exit_code == 16
    assert volumes(world, "hv1") == {"cp1", "w1"}
    (given_up,) = [event for event in events if isinstance(event, GaveUp)]
    assert (given_up.stage, given_up.node, given_up.error) == ("volumes", "w2", "HypervisorError")
    assert [event.error for event in events if isinstance(event, Failed)] == ["SomeFailed"]


def test_the_next_run_goes_on_with_the_node_that_was_given_up(world: World) -> None:
    meddling = replace(world, emit=without_pool(world, "hv2", world.emit))
    with pytest.raises(SomeFailed):
        provision(meddling, make_plan(world), "volumes", keep_going=True)
    plan = make_plan(world)
    assert {action.where for action in plan.of("hosts")} == {"hv2"}
    provision(world, plan, "volumes", keep_going=True)
    assert volumes(world, "hv2") == {"w2"}


def test_without_the_word_the_first_failure_ends_the_run(world: World, events: list[Event]) -> None:
    meddling = replace(world, emit=without_pool(world, "hv2", world.emit))
    with pytest.raises(HypervisorError):
        provision(meddling, make_plan(world), "volumes")
    assert not [event for event in events if isinstance(event, GaveUp)]


def test_a_failure_of_the_control_planes_host_ends_the_run(world: World) -> None:
    meddling = replace(world, emit=without_pool(world, "hv1", world.emit))
    with pytest.raises(HypervisorError, match="hv1"):
        provision(meddling, make_plan(world), "volumes", keep_going=True)


def test_later_stages_leave_a_node_alone_that_was_given_up(world: World, events: list[Event]) -> None:
    """Its network fails, and its volumes are not begun."""

    def meddle(event: Event) -> None:
        events.append(event)
        if isinstance(event, StageStarted) and event.stage == "networks":
            world.hypervisors["hv2"].create_network(
                f"<network><name>theirs</name><uuid>{make.desired.networks[1].uuid}</uuid><bridge name='b'/></network>"
            )

    make = make_plan(world)
    with pytest.raises(SomeFailed, match="w2: hv2: "):
        provision(replace(world, emit=meddle), make, "volumes", keep_going=True)
    made = {event.where for event in events if isinstance(event, Changed) and "volume" in event.object}
    assert made == {"hv1"}


def test_a_lost_lease_is_no_nodes_failure(world: World, events: list[Event]) -> None:
    """It is met where the first change would be, which is at a worker's."""

    def meddle(event: Event) -> None:
        events.append(event)
        if isinstance(event, StageStarted) and event.stage == "volumes":
            world.calls.refuse(ConflictError("this run has lost its lease"))

    with pytest.raises(ConflictError, match="lost its lease"):
        provision(replace(world, emit=meddle), make_plan(world), "volumes", keep_going=True)
    assert not [event for event in events if isinstance(event, GaveUp)]


@pytest.fixture
def place(tmp_path: Path, libvirtd: Daemon) -> Place:
    """Each command meets a new libvirt: its state is its connection's."""
    node = libvirtd.socket.with_name("node.xml")
    node.write_text(NODE)
    node.chmod(0o644)
    return Place(tmp_path, libvirtd.with_node(node)).furnish()


def test_a_saved_plan_is_carried_out_without_a_question_with_the_id_that_it_drew(place: Place) -> None:
    file, report = place.folder / "plan.json", place.folder / "report.xml"
    assert place.run("plan", "INVENTORY", "--out", str(file)).status == 0
    done = place.run(
        "provision", "INVENTORY", "--plan", str(file), "--until", "volumes", "--json", "--junit", str(report)
    )
    assert done.status == 0, done.stderr
    owner = json.loads(file.read_text())["owner"]
    (kept,) = place.state.glob("owners/*")
    assert kept.read_text().strip() == owner
    (suite,) = ET.parse(report).getroot()
    cases = [case.get("classname", "").rpartition(".")[2] for case in suite]
    assert list(dict.fromkeys(cases)) == ["doctor", "hosts", "images", "networks", "rebuild", "volumes"]
    assert [case.get("name") for case in suite if case.get("name", "").startswith("w1")] == ["w1: volume"]
    assert suite.get("failures") == "0"


def test_a_saved_plan_is_refused_when_the_inventory_moved_and_all_of_it_is_said(place: Place) -> None:
    file, report = place.folder / "plan.json", place.folder / "report.xml"
    place.run("plan", "INVENTORY", "--out", str(file))
    text = place.inventory.read_text()
    place.inventory.write_text(text.replace("memory: 1GiB", "memory: 2GiB"))
    done = place.run("provision", "INVENTORY", "--plan", str(file), "--junit", str(report))
    assert done.status == 5
    said = done.stderr[done.stderr.index("error: ") :]
    assert "the inventory was changed" in said
    assert "should be otherwise: guest w1" in said
    assert "cp1" not in said
    assert not list(place.state.glob("owners/*"))
    (suite,) = ET.parse(report).getroot()
    assert [case[0].get("type") for case in suite if len(case)] == ["ConflictError"]
