"""What `restore` says before it is asked to, against libvirt's test driver, where no guest runs: the control plane is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from provision.base.errors import ConflictError, Unreachable
from provision.inventory.model import Cluster
from provision.kubernetes import ControlState
from provision.run import back_up, plan_restore, restore
from provision.run.backup_file import Backup, Manifest
from provision.run.engine import World, make_plan
from tests.libvirt import test_engine

cluster, events, world = test_engine.cluster, test_engine.events, test_engine.world

NOW = datetime(2026, 11, 30, 5, 30, tzinfo=UTC)
STATE = ControlState("v1.20.2", b"", b"", b"")


@pytest.fixture
def backup(world: World) -> Backup:
    member = next(one for one in make_plan(world).desired.members if one.name == "cp1")
    taken = (NOW - timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Backup(Manifest("demo", world.cluster.owner.id, "v1.20.2", "cp1", member.address, "", taken, {}), STATE)


def test_the_guests_that_must_be_there_first_are_planned_and_nothing_behind_them(world: World, backup: Backup) -> None:
    found = plan_restore(world, backup)
    assert {action.stage for action in found.guests.changes} == {"hosts", "images", "networks", "volumes", "guests"}
    text = found.as_text(NOW)
    assert (
        "Restore cluster demo on cp1 from a backup of 2026-11-30T02:30:00Z, 3 h 0 min ago, Kubernetes v1.20.2" in text
    )
    assert f"first {len(found.guests.changes)} changes to hosts and guests" in text
    assert "LOST: every object that was written since then" in text
    assert world.calls.mutations == 0


def test_a_control_plane_at_another_address_is_refused_with_the_line_that_is_missing(
    world: World, backup: Backup
) -> None:
    elsewhere = replace(backup, manifest=replace(backup.manifest, address="10.77.0.99"))
    with pytest.raises(
        ConflictError, match=r"of control plane cp1 at 10\.77\.0\.99, the inventory's is cp1 at 10\.77"
    ) as failure:
        plan_restore(world, elsewhere)
    assert "address: 10.77.0.99" in failure.value.hint
    renamed = replace(backup, manifest=replace(backup.manifest, node="master"))
    with pytest.raises(ConflictError, match="of control plane master at"):
        plan_restore(world, renamed)


def test_another_owners_backup_is_refused_before_anything_is_looked_at(world: World, backup: Backup) -> None:
    reads = world.calls.reads
    with pytest.raises(ConflictError, match="backup of another cluster that is called demo"):
        plan_restore(world, replace(backup, manifest=replace(backup.manifest, owner="f" * 16)))
    assert world.calls.reads == reads


def test_guests_that_changed_since_they_were_shown_end_it(world: World, backup: Backup) -> None:
    agreed = plan_restore(world, backup)
    other = replace(agreed, guests=replace(agreed.guests, actions=agreed.guests.actions[1:]))
    with pytest.raises(ConflictError, match="the world changed since the plan was shown"):
        restore(world, other)
    assert world.hypervisors["hv1"].lease() is None


def test_there_is_nothing_to_back_up_where_there_is_no_control_plane(world: World, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="cp1"):
        back_up(world, tmp_path / "b", ())
    (tmp_path / "b").write_text("mine")
    with pytest.raises(ConflictError, match="it is there already"):
        back_up(world, tmp_path / "b", ())
    assert (tmp_path / "b").read_text() == "mine"


def test_the_inventory_says_for_whom_backups_are(cluster: Cluster) -> None:
    assert cluster.backup.recipients == ()
