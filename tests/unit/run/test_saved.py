"""Plans as files."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from provision.base.errors import ConflictError, InventoryError
from provision.plan import Plan
from provision.run.saved import FORMAT, Options, read, save
from tests.unit.plan.test_plan import EMPTY, planned
from tests.unit.sample import CLUSTER

OPTIONS = Options(restart=True, limit=("w1",))


@pytest.fixture
def plan() -> Plan:
    return planned(EMPTY, {}, None)


@pytest.fixture
def file(plan: Plan, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_text("an older one, that all may read")
    save(str(path), CLUSTER, plan, OPTIONS)
    return path


def test_it_comes_back_as_it_went_and_nobody_else_reads_it(plan: Plan, file: Path) -> None:
    found = read(str(file))
    assert (found.plan.cluster, found.plan.owner, found.plan.options) == ("lab", CLUSTER.owner.id, OPTIONS)
    assert found.plan.agreement == plan.agreement
    found.check(CLUSTER, plan)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["plan.json"]


def test_what_moved_in_the_world_is_said(plan: Plan, file: Path) -> None:
    now = replace(plan, actions=plan.actions[1:])
    with pytest.raises(
        ConflictError, match=r"no longer what would be done:\n  no longer to do: create pool meshctl on hv1"
    ):
        read(str(file)).check(CLUSTER, now)


def test_an_inventory_that_was_changed_is_said_even_where_the_deeds_are_the_same(plan: Plan, file: Path) -> None:
    mesh = CLUSTER.mesh.model_copy(update={"namespace": "other"})
    with pytest.raises(ConflictError, match="the inventory was changed"):
        read(str(file)).check(CLUSTER.model_copy(update={"mesh": mesh}), plan)


def test_where_files_lie_on_this_machine_is_no_change_and_what_linkerds_says_is_one(
    plan: Plan, file: Path, tmp_path: Path
) -> None:
    moved = CLUSTER.ssh.model_copy(update={"key_file": "/elsewhere/id"})
    read(str(file)).check(CLUSTER.model_copy(update={"ssh": moved}), plan)
    own = tmp_path / "linkerd.yaml"
    own.write_text("routers: []")
    mesh = CLUSTER.mesh.model_copy(update={"config_file": str(own)})
    with pytest.raises(ConflictError, match="the inventory was changed"):
        read(str(file)).check(CLUSTER.model_copy(update={"mesh": mesh}), plan)


@pytest.mark.parametrize("other", [{"cluster": "beta"}, {"id": "f" * 16}])
def test_another_clusters_is_refused(file: Path, other: dict[str, str]) -> None:
    with pytest.raises(ConflictError, match="it is for cluster lab of owner"):
        read(str(file)).check_cluster(CLUSTER.model_copy(update=other))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{}", '{"format": 1}', '{"format": "1"}', "\xff\x00"])
def test_what_is_no_plan_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InventoryError, match="no plan of this meshctl: it is damaged, or something else"):
        read(str(path))


def test_half_a_file_and_one_that_is_not_there_are_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(InventoryError, match="it is damaged"):
        read(str(file))
    file.unlink()
    with pytest.raises(InventoryError, match="cannot be read: No such file"):
        read(str(file))


def test_another_format_says_who_made_it(file: Path) -> None:
    said = json.loads(file.read_text()) | {"format": FORMAT + 1, "made_by": "meshctl 9.0"}
    file.write_text(json.dumps(said))
    with pytest.raises(InventoryError, match=f"meshctl 9.0 made it in format {FORMAT + 1}"):
        read(str(file))


def test_a_folder_that_takes_no_file_is_refused(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="cannot be written"):
        save(str(tmp_path / "none" / "x"), CLUSTER, plan, OPTIONS)
