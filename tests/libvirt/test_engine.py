"""The engine up to the guests, against libvirt's test driver: create, no-op, resume, conflict, removal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provision import bundle, images
from provision.base.errors import ConflictError, HypervisorError, ImageError, PlacementError
from provision.base.events import Event, RunFinished
from provision.bundle import Bundle, seal
from provision.images.builder import path as image_path
from provision.inventory import load
from provision.inventory.model import Cluster
from provision.libvirt_xml.domain_xml import network_xml
from provision.plan.compare import Verb
from provision.report.plan_text import as_data, as_text
from provision.run.destruction import destroy, plan_removal
from provision.run.engine import (
    World,
    make_plan,
    opened,
    provision,
)
from provision.run.stages.guests import _bring_up
from tests.unit.bundle.test_bundle import lay_out

INVENTORY = """\
apiVersion: meshctl/v1
cluster: demo
hosts:
- name: hv1
  uri: {uri}
  pool: {{path: {pool}}}
  reserved_memory: 0MiB
network: {{cidr: 10.77.0.0/24, bridge: meshbr9}}
nodes:
- {{name: cp1, role: control-plane, vcpus: 2, memory: 2GiB, disk: 10GiB}}
- {{name: w1, role: worker, vcpus: 2, memory: 2GiB, disk: 10GiB}}
ssh:
  public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f test
  proxy_command: ["false"]   # nothing answers there: no packet leaves the machine
kubernetes: {{version: v1.20.2, bundle: {bundle}}}
"""


@pytest.fixture
def cluster(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("MESHCTL_CACHE", str(tmp_path / "cache"))
    folder = lay_out(tmp_path / "bundle", "v1.20.2", "meshctl/l5d-standin:0.8.5", "meshctl/kubectl:v1.20.2")
    seal(folder, "v1.20.2")
    image = image_path(images.recipe("debian-12"))
    image.parent.mkdir(parents=True)
    image.write_bytes(b"an image")
    return load("x.yaml", INVENTORY.format(uri=uri, bundle=folder, pool=tmp_path / "pool"))


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def world(cluster: Cluster, events: list[Event]) -> Iterator[World]:
    with opened(cluster, events.append) as made:
        yield made


def guests_too(world: World) -> None:
    """The part of the stage guests that needs no guest that boots: the test driver's never do."""
    plan = make_plan(world)
    doors = world.doors(_sealed(world))
    for action in plan.of("guests", "guest"):
        _bring_up(action, plan, doors)


def _sealed(world: World) -> Bundle:
    return bundle.load(bundle.find(world.cluster.kubernetes.bundle))


def test_planning_changes_nothing(world: World) -> None:
    plan = make_plan(world)
    assert {action.verb for action in plan.actions} == {Verb.CREATE}
    assert world.calls.mutations == 0


def test_the_plan_shows_who_is_on_which_cpus(world: World) -> None:
    plan = make_plan(world)
    assert "    hv1 cell 0: host 0 | cp1 1 2 | w1 3 4 | free 5 6 7\n" in as_text(plan)
    (cell,) = as_data(plan)["cells"]
    assert cell["owners"][1] == {"owner": "cp1", "cores": [[1], [2]]}


def test_volumes_and_networks_are_made_once(world: World, events: list[Event]) -> None:
    provision(world, make_plan(world), "volumes")
    left = {action.stage for action in make_plan(world).changes}
    assert left <= {"images", "volumes", "guests", "kubernetes", "mesh"}
    kinds = {action.kind for action in make_plan(world).of("volumes")}
    assert kinds == {"seed"}  # made with their guest
    assert isinstance(events[-1], RunFinished)
    assert events[-1].mutations > 0


def test_guests_carry_their_stamp_and_are_left_alone_afterwards(world: World) -> None:
    provision(world, make_plan(world), "volumes")
    guests_too(world)
    domains = {domain.name: domain for domain in world.hypervisors["hv1"].domains()}
    assert set(domains) == {"demo-cp1", "demo-w1"}
    stamp = domains["demo-w1"].stamp
    assert stamp is not None
    assert (stamp.cluster, stamp.node) == ("demo", "w1")
    assert stamp.host_key.startswith("ssh-ed25519 ")
    again = make_plan(world)
    assert again.of("guests", "guest") == ()
    assert [action.verb for action in again.of("guests", "boot")] == [Verb.CHANGE, Verb.CHANGE]  # nothing answers


def test_pins_are_exclusive_on_the_host(world: World) -> None:
    provision(world, make_plan(world), "volumes")
    guests_too(world)
    pins = [cpus for domain in world.hypervisors["hv1"].domains() for cpus in domain.vcpu_cpus]
    assert len(pins) == len(set(pins)) == 4


def test_a_plan_that_would_do_more_than_was_agreed_to_is_refused(world: World) -> None:
    made = make_plan(world).desired.networks[0]
    world.hypervisors["hv1"].create_network(network_xml(made, world.cluster.owner))
    agreed = make_plan(world.looked_again())
    world.hypervisors["hv1"].remove_network(made.name)
    with pytest.raises(
        ConflictError, match=f"the world changed since the plan was shown:\n  new: create network {made.name} on hv1"
    ):
        provision(world, agreed, "volumes")
    assert made.name not in [network.name for network in world.hypervisors["hv1"].networks()]


def test_a_network_of_the_same_name_is_a_conflict_and_stays(world: World) -> None:
    world.hypervisors["hv1"].create_network("<network><name>meshctl</name><bridge name='virbr-t'/></network>")
    with pytest.raises(ConflictError, match="network meshctl exists and carries nobody's stamp"):
        make_plan(world)
    assert [network.name for network in world.hypervisors["hv1"].networks()] == ["meshctl"]


def test_guests_that_do_not_fit_are_refused_before_anything_is_made(cluster: Cluster) -> None:
    large = cluster.nodes[1].model_copy(update={"vcpus": 64})
    with opened(cluster.model_copy(update={"nodes": (cluster.nodes[0], large)}), print) as world:
        with pytest.raises(PlacementError, match=r"w1 needs 64(.|\n)*hv1 cell 0: host 0 \| cp1 1 2"):
            make_plan(world)
        assert world.calls.mutations == 0


def test_destroy_takes_ours_and_leaves_theirs(world: World) -> None:
    hypervisor = world.hypervisors["hv1"]
    provision(world, make_plan(world), "volumes")
    guests_too(world)
    hypervisor.create_network("<network><name>theirs</name><bridge name='virbr-t'/></network>")
    destroy(world, plan_removal(world, purge=False))
    assert hypervisor.domains() == ()
    assert [network.name for network in hypervisor.networks()] == ["theirs"]
    assert {volume.name.partition(".")[0] for volume in hypervisor.volumes("meshctl")} == {"meshctl"}
    assert plan_removal(world, purge=False) == ()


def test_another_version_in_the_bundle_is_refused(cluster: Cluster) -> None:
    other = cluster.kubernetes.model_copy(update={"version": "v1.20.15"})
    with (
        opened(cluster.model_copy(update={"kubernetes": other}), print) as world,
        pytest.raises(ImageError, match="holds"),
    ):
        make_plan(world)


def test_an_image_that_was_not_built_says_how(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHCTL_CACHE", str(tmp_path / "empty"))
    with opened(cluster, print) as world, pytest.raises(ImageError) as caught:
        make_plan(world)
    assert caught.value.hint == "meshctl image build debian-12"


def test_a_host_that_does_not_answer_is_named(cluster: Cluster) -> None:
    host = cluster.hosts[0].model_copy(update={"uri": "test:///no/such/file.xml"})
    lost = cluster.model_copy(update={"hosts": (host,)})
    with opened(lost, print) as world, pytest.raises(HypervisorError, match="hv1: no connection"):
        make_plan(world)
