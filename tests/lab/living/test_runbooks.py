"""The pages of docs/runbooks that a cluster on one host can carry out, word by word. Each leaves the cluster as it found it.

Those that need two hosts are in test_across_hosts.py; the upgrade, from which there is no way back, in test_upgrade_runbook.py.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyrage
import pytest
import yaml

from provision.base.units import MIB, format_size, parse_size
from tests.lab.conftest import Place
from tests.lab.living.load import kubectl
from tests.lab.living.runbooks import carried_out, carry_out
from tests.lab.living.test_members import converged, provision
from tests.lab.living.test_nodes import ready

pytestmark = pytest.mark.lab


def inside(place: Place, node: str, command: str) -> str:
    """What a shell command says in a guest."""
    done = place.meshctl("ssh", str(place.inventory), node, "--", command)
    assert done.status == 0, done.stderr
    return done.stdout


@pytest.mark.scenario("runbook-restart-a-node")
def test_a_persons_cordon_outlives_a_restart(place: Place) -> None:
    for command, done in carried_out(place, "restart-a-node"):
        if " restart " in command:
            assert "uncordon" not in done.stderr
            assert ready(place, "w1") == "Ready,SchedulingDisabled"
    assert ready(place, "w1") == "Ready"


@pytest.mark.scenario("runbook-grow-a-disk")
def test_a_disk_grows_and_the_guest_runs_on(place: Place) -> None:
    """No disk becomes smaller: the inventory keeps the larger one."""
    look = "df --block-size=1M --output=size / | tail -1; cat /proc/sys/kernel/random/boot_id"
    before, boot = inside(place, "w1", look).split()
    said = next(node for node in yaml.safe_load(place.inventory.read_text())["nodes"] if node["name"] == "w1")
    carry_out(place, "grow-a-disk", SIZE=format_size(parse_size(said["disk"]) + 1024 * MIB))
    after, boot_after = inside(place, "w1", look).split()
    assert int(after) - int(before) > 950
    assert boot_after == boot


@pytest.mark.scenario("runbook-rotate-the-ssh-key")
def test_the_new_key_lets_in_and_the_old_one_does_not(place: Place, tmp_path: Path) -> None:
    text = place.inventory.read_text()
    old, new = yaml.safe_load(text)["ssh"]["key_file"], str(tmp_path / "new")
    carry_out(place, "rotate-the-ssh-key", OLD_KEY=old, NEW_KEY=new)
    place.inventory.write_text(text)
    assert place.meshctl("ssh", str(place.inventory), "w1", "--", "true").status == 255
    provision(place, "--old-key", new)
    assert converged(place)


@pytest.mark.scenario("runbook-renew-certificates")
def test_certificates_are_others_and_authorities_the_same(place: Place, tmp_path: Path) -> None:
    look = "sudo sha256sum /etc/kubernetes/pki/apiserver.crt /etc/kubernetes/pki/ca.crt | cut -c-64"
    before, fetched = inside(place, "cp1", look).split(), tmp_path / "kubeconfig"
    carry_out(place, "renew-certificates", KUBECONFIG=str(fetched))
    after = inside(place, "cp1", look).split()
    assert (after[0] != before[0], after[1] == before[1]) == (True, True)
    assert "client-key-data" in fetched.read_text()
    assert {guest["ready"] for guest in place.status()["guests"]} == {"Ready"}


@pytest.mark.scenario("runbook-restore-from-backup")
def test_what_was_written_after_the_backup_is_gone_and_what_was_before_is_there(place: Place, tmp_path: Path) -> None:
    backup, identity, key = tmp_path / "backup", tmp_path / "age.key", pyrage.x25519.Identity.generate()
    identity.write_text(f"{key}\n")
    kubectl(place, "create", "configmap", "of-then", "--from-literal=said=yes")
    words = ("--to", str(backup), "--recipient", str(key.to_public()))
    assert place.meshctl("backup", str(place.inventory), *words).status == 0
    kubectl(place, "create", "configmap", "of-later", "--from-literal=said=no")
    boot = "cat /proc/sys/kernel/random/boot_id"
    booted = inside(place, "w1", boot)
    names = {"BACKUP": str(backup), "IDENTITY": str(identity), "BEFORE": str(tmp_path / "before")}
    carry_out(place, "restore-from-backup", **names)
    found = kubectl(place, "get", "configmaps", "-o", "name").split()
    assert ("configmap/of-then" in found, "configmap/of-later" in found) == (True, False)
    assert inside(place, "w1", boot) == booted
    kubectl(place, "delete", "configmap", "of-then")


@pytest.mark.scenario("runbook-take-a-cluster-over-from-a-colleague")
def test_another_laptop_with_inventory_and_key_goes_on(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state folder of its own, in which nothing is known of the cluster; nothing is changed for who made it."""
    name = yaml.safe_load(place.inventory.read_text())["cluster"]
    listed = json.loads(place.meshctl("list", "--inventory", str(place.inventory), "--json").stdout)["clusters"]
    owner = next(one["owner"] for one in listed if one["cluster"] == name)
    monkeypatch.setenv("MESHCTL_STATE", str(tmp_path / "state"))
    mine = Place(place.lab, Path(shutil.copy(place.inventory, tmp_path / "theirs.yaml")))
    carry_out(mine, "take-a-cluster-over-from-a-colleague", OWNER=owner, KUBECONFIG=str(tmp_path / "kubeconfig"))
    monkeypatch.undo()
    assert converged(place)


@pytest.mark.scenario("runbook-rebuild-a-worker")
def test_a_worker_is_made_anew(place: Place) -> None:
    """With what somebody had given it in Kubernetes."""
    kubectl(place, "label", "node", "w2", "disk=nvme")
    kubectl(place, "taint", "node", "w2", "for=db:PreferNoSchedule")
    carry_out(place, "rebuild-a-worker")
    assert converged(place)
    found = json.loads(kubectl(place, "get", "node", "w2", "-o", "json"))
    assert found["metadata"]["labels"]["disk"] == "nvme"
    assert found["spec"]["taints"] == [{"key": "for", "value": "db", "effect": "PreferNoSchedule"}]
    kubectl(place, "label", "node", "w2", "disk-")
    kubectl(place, "taint", "node", "w2", "for-")


@pytest.mark.scenario("runbook-rebuild-the-control-plane")
def test_the_control_plane_is_made_anew(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a backup goes to where one stands
    carry_out(place, "rebuild-the-control-plane")
    assert converged(place)
