"""`destroy` with a host that is away, and with one that fails in the middle: the others' part is done, the rest is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from provision.base.errors import HypervisorError, Unfinished, Unreachable
from provision.base.events import Changed, Event, Warned
from provision.cli.access import kubeconfig, ssh
from provision.cli.destroy import destroy as command
from provision.cli.status import status
from provision.inventory import Cluster, load
from provision.libvirt_xml import network_xml, pool_xml, upload_volume_xml
from provision.plan.desired import pool_spec
from provision.run.away import answering
from provision.run.destruction import destroy, plan_removal
from provision.run.engine import World, opened
from provision.specs import NetworkSpec, Owner
from provision.specs.volume_names import volume_name
from tests.libvirt.conftest import NODE

INVENTORY = """\
apiVersion: meshctl/v1
cluster: demo
id: "0123456789abcdef"
hosts:
- {{name: hv1, uri: "{uris[0]}"}}
- {{name: hv2, uri: "{uris[1]}"}}
network: {{cidr: 10.77.0.0/24, mode: bridge, bridge: br0}}
nodes:
- {{name: cp1, role: control-plane, memory: 2GiB, disk: 10GiB}}
ssh: {{public_key: ssh-ed25519 AAAA test}}
kubernetes: {{version: v1.20.2}}
"""

OWNER = Owner("demo", "0123456789abcdef")
VOLUME = volume_name(OWNER, "cp1", "root", "qcow2")


def _inventory(*uris: str) -> str:
    return INVENTORY.format(uris=uris)


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    for name in ("one.xml", "two.xml"):
        (tmp_path / name).write_text(NODE)
    return load("x.yaml", _inventory(f"test://{tmp_path}/one.xml", f"test://{tmp_path}/two.xml"))


@pytest.fixture
def world(cluster: Cluster, events: list[Event]) -> Iterator[World]:
    with opened(cluster, events.append) as made:
        for host, hypervisor in made.hypervisors.items():
            hypervisor.create_network(network_xml(_network(host), OWNER))
        yield made


def _network(host: str) -> NetworkSpec:
    return NetworkSpec("demo", host, "meshctl", "bridge", "br0", "10.77.0.1", 24, 1500)


def _furnish(world: World) -> None:
    """A pool with a volume of ours on each host."""
    for host in world.cluster.hosts:
        hypervisor = world.hypervisors[host.name]
        hypervisor.create_pool(pool_xml(pool_spec(host)))
        hypervisor.create_volume(host.pool.name, upload_volume_xml(VOLUME, private=False))


def _left(events: list[Event]) -> list[str]:
    return [e.message for e in events if isinstance(e, Warned) and e.message.endswith(" is left")]


def test_a_host_that_fails_in_the_middle_is_left_and_others_go_on(world: World, events: list[Event]) -> None:
    _furnish(world)

    def meddle(event: Event) -> None:
        """Somebody takes hv1's pool away while its volume's turn has not come."""
        events.append(event)
        if isinstance(event, Changed) and (event.where, event.object) == ("hv1", "network meshctl"):
            pool = (
                world.hypervisors["hv1"]
                ._connection.use("do it by hand", changes=True)
                .storagePoolLookupByName("meshctl")
            )
            pool.destroy()
            pool.undefine()

    with pytest.raises(Unfinished, match=f"not all is removed: hv1: cannot delete {VOLUME}: "):
        destroy(replace(world, emit=meddle), plan_removal(world, purge=True), purge=True)
    assert _left(events) == [f"hv1: root volume {VOLUME} is left", "hv1: pool meshctl is left"]
    assert plan_removal(world, purge=True) == ()


def test_who_is_away_is_said_with_the_nodes_that_may_be_there(cluster: Cluster, tmp_path: Path) -> None:
    gone = cluster.hosts[1].model_copy(update={"uri": f"test://{tmp_path}/gone.xml"})
    with opened(cluster.model_copy(update={"hosts": (cluster.hosts[0], gone)}), print) as world:
        here, away = answering(world)
        assert [host.name for host in here.cluster.hosts] == ["hv1"]
        (one,) = away
        said = one.but("its guests are not seen").message
        assert said.startswith(f"hv2: no connection to test://{tmp_path}/gone.xml: ")
        assert said.endswith("its guests are not seen, perhaps cp1")


def test_when_no_host_answers_nothing_is_begun(cluster: Cluster, tmp_path: Path) -> None:
    gone = tuple(host.model_copy(update={"uri": f"test://{tmp_path}/gone.xml"}) for host in cluster.hosts)
    with (
        opened(cluster.model_copy(update={"hosts": gone}), print) as world,
        pytest.raises(HypervisorError, match=r"no host answers:\nhv1: no connection .*\nhv2: no connection"),
    ):
        answering(world)


def test_the_command_removes_what_it_can_reach_and_ends_with_15(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHCTL_STATE", str(tmp_path / "state"))
    inventory = tmp_path / "x.yaml"
    inventory.write_text(_inventory(f"test://{tmp_path}/one.xml", f"test://{tmp_path}/gone.xml"))
    done = CliRunner().invoke(command, [str(inventory), "--yes"])
    assert isinstance(done.exception, Unfinished)
    assert done.exception.exit_code == 15
    assert "warning: hv2: no connection to " in done.stderr
    assert "what it holds of the cluster is left, perhaps cp1" in done.stderr


@pytest.fixture
def half_away(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The inventory of a cluster whose second host is away; on the first is what `world` made there."""
    monkeypatch.setenv("MESHCTL_STATE", str(tmp_path / "state"))
    inventory = tmp_path / "x.yaml"
    inventory.write_text(_inventory(f"test://{tmp_path}/one.xml", f"test://{tmp_path}/gone.xml"))
    return str(inventory)


def test_status_shows_what_is_seen_and_says_who_is_away(half_away: str) -> None:
    done = CliRunner().invoke(status, [half_away, "--json"])
    assert isinstance(done.exception, HypervisorError)
    assert "not all is seen: no answer from hv2" in str(done.exception)
    assert "warning: hv2: no connection to " in done.stderr
    assert "its guests are not seen, perhaps cp1" in done.stderr
    (guest,) = json.loads(done.stdout)["guests"]
    assert (guest["node"], guest["state"]) == ("cp1", "unknown")


@pytest.mark.parametrize(("command", "words"), [(ssh, ("cp1", "--", "true")), (kubeconfig, ("--output", "-"))])
def test_what_may_be_on_a_host_that_is_away_is_not_said_to_be_absent(
    half_away: str, command: click.Command, words: tuple[str, ...]
) -> None:
    done = CliRunner().invoke(command, [half_away, *words])
    assert isinstance(done.exception, Unreachable)
    assert done.exception.message == "cp1: none of the hosts that answer has it"
    assert "it may be on hv2" in done.exception.hint
