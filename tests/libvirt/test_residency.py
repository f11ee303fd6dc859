"""`report residency` on libvirt's test driver: volumes that are there, guests that do not answer, and the command in its forms."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from provision.base.errors import InventoryError
from provision.cli import meshctl
from provision.hosts import Hypervisor
from provision.inventory.model import Cluster
from provision.inventory.policy import Policy
from provision.report.residency import record
from provision.report.residency_text import as_html, as_text
from provision.run import answering
from provision.run.engine import World, make_plan, provision
from provision.run.residency import whereabouts
from tests.libvirt import test_engine
from tests.libvirt.test_engine import INVENTORY, guests_too

cluster, events, empty = test_engine.cluster, test_engine.events, test_engine.world
TODAY = date(2026, 12, 1)


@pytest.fixture
def world(empty: World) -> World:
    """A cluster as far as the test driver has one, under a policy."""
    provision(empty, make_plan(empty), "volumes")
    guests_too(empty)
    host = empty.cluster.hosts[0].model_copy(update={"jurisdiction": "NO"})
    said = Policy(residency=("EEA",), operator="US")
    return replace(empty, cluster=empty.cluster.model_copy(update={"hosts": (host,), "policy": said}))


def test_every_volume_of_the_cluster_is_in_the_record_and_who_was_not_seen_too(world: World) -> None:
    before = world.calls.mutations
    found = whereabouts(world, world.cluster, TODAY)
    kinds = {(disk.node, disk.kind) for disk in found.disks}
    assert {("cp1", "root"), ("cp1", "state"), ("w1", "root"), ("cp1", "seed"), ("w1", "seed")} <= kinds
    assert all(disk.used and disk.host == "hv1" for disk in found.disks)
    assert next(disk.size_mib for disk in found.disks if disk.kind == "state") == 8192
    assert {text.partition(":")[0] for text in found.blind} == {"cp1", "w1", "Kubernetes could not be asked"}
    assert world.calls.mutations == before
    assert [one.place.field for one in found.verdicts if not one.allowed] == [("policy", "operator")]


def test_a_volume_that_no_guest_has_any_more_is_data_all_the_same(world: World) -> None:
    world.hypervisors["hv1"].remove_domain("demo-w1")
    found = whereabouts(world, world.cluster, TODAY)
    assert {disk.used for disk in found.disks if disk.node == "w1"} == {False}
    now = datetime(2026, 12, 1, tzinfo=UTC)
    text = as_text(record(world.cluster, found, now))
    assert "root of w1 (no guest has it)" in " ".join(text.split())
    assert "demo" in as_html(record(world.cluster, found, now))


def test_a_host_that_gives_no_answer_is_judged_and_said_not_to_be_seen(world: World) -> None:
    gone = world.cluster.hosts[0].model_copy(update={"name": "hv2", "uri": "test:///no/such/node.xml"})
    cluster = world.cluster.model_copy(update={"hosts": (*world.cluster.hosts, gone)})
    doors = {**world.hypervisors, "hv2": Hypervisor("hv2", gone.uri)}
    seeing, _ = answering(replace(world, cluster=cluster, hypervisors=doors))
    found = whereabouts(seeing, cluster, TODAY)
    assert "host hv2" in {one.place.where for one in found.verdicts}
    assert "hv2 gives no answer: its guests are not seen" in found.blind
    assert {disk.host for disk in found.disks} == {"hv1"}


DOCS = Path(__file__).parents[2] / "docs" / "residency.md"
COMMANDS = re.findall(r"^    meshctl (report residency inventory.yaml[^#>\n]*)", DOCS.read_text(), re.MULTILINE)


@pytest.fixture
def folder(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an inventory.yaml that breaks its policy."""
    host = cluster.hosts[0]
    text = INVENTORY.format(uri=host.uri, bundle=cluster.kubernetes.bundle, pool=host.pool.path)
    policy = "policy: {residency: EEA, operator: US, controller: '<Example & Co>'}\n"
    (tmp_path / "inventory.yaml").write_text(text + policy)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(meshctl, words)


@pytest.mark.usefixtures("folder")
def test_the_commands_of_the_page_write_it_of_a_cluster_that_breaks_its_policy() -> None:
    text, as_json, as_page = (run(*command.split()) for command in COMMANDS)
    assert (text.exit_code, as_json.exit_code, as_page.exit_code) == (0, 0, 0), text.output
    assert "nobody says in which country host hv1 is" in text.stdout
    data = json.loads(as_json.stdout)
    assert {one["said"]: one["allowed"] for one in data["recipients"]} == {
        "hosts[0].jurisdiction": False,
        "policy.operator": False,
    }
    assert as_page.stdout.startswith("<!doctype html>")
    assert "&lt;Example &amp; Co&gt;" in as_page.stdout


@pytest.mark.usefixtures("folder")
def test_two_forms_at_once_are_refused() -> None:
    assert run("report", "residency", "inventory.yaml", "--json", "--html").exit_code == 2


@pytest.mark.usefixtures("folder")
def test_who_looks_goes_on() -> None:
    assert run("status", "inventory.yaml").exit_code == 0
    assert run("mesh", "validate", "inventory.yaml").exit_code == 0


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "words", [("validate",), ("plan",), ("provision", "--yes"), ("rebuild", "w1", "--yes"), ("backup", "--to", "b")]
)
def test_who_makes_something_refuses_the_same_inventory(words: tuple[str, ...], folder: Path) -> None:
    refused = run(words[0], "inventory.yaml", *words[1:])
    assert isinstance(refused.exception, InventoryError)
    assert {one.field for one in refused.exception.problems} == {"hosts[0].jurisdiction", "policy.operator"}
    assert not (folder / "b").exists()
