"""Backup and restore in the lab: on a control plane that lives, on one whose disk is gone, and certificates renewed.

The tests build on each other in the order of this file.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pyrage
import pytest

from provision.base.shell import Completed
from tests.lab.conftest import Place
from tests.lab.living.test_members import killed_at

pytestmark = [pytest.mark.lab, pytest.mark.in_turn, pytest.mark.scenario("backup-restore")]

IDENTITY = pyrage.x25519.Identity.generate()


@pytest.fixture(scope="module")
def backup(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encrypted backup of a cluster with a ConfigMap `before`; `later` is of after it."""
    kubectl(place, "create", "configmap", "before", "--from-literal=said=yes").checked()
    path = tmp_path_factory.mktemp("backup") / "lab.backup"
    words = ("--to", str(path), "--recipient", str(IDENTITY.to_public()))
    assert place.meshctl("backup", str(place.inventory), *words).status == 0
    path.with_suffix(".key").write_text(f"# of this test\n{IDENTITY}\n")
    kubectl(place, "create", "configmap", "later", "--from-literal=said=no").checked()
    return path


def kubectl(place: Place, *words: str) -> Completed:
    means = ("sudo", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf")
    return place.meshctl("ssh", str(place.inventory), "cp1", "--", *means, *words, within_s=120)


def restored(place: Place, backup: Path) -> None:
    words = ("--yes", "--identity", str(backup.with_suffix(".key")), "--json")
    done = place.meshctl("restore", str(place.inventory), str(backup), *words)
    assert done.status == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    answers = [event["line"] for event in events if event["event"] == "Output" and event["source"] == "verify"]
    assert len(answers) == 3
    assert all("200 by echo-" in answer for answer in answers)
    names = kubectl(place, "get", "configmaps", "-o", "name").checked().stdout.split()
    assert "configmap/before" in names
    assert "configmap/later" not in names
    assert {guest["ready"] for guest in place.status()["guests"]} == {"Ready"}
    assert place.meshctl("plan", str(place.inventory), "--detailed-exitcode").status == 0


def boot_id(place: Place) -> str:
    return place.meshctl("ssh", str(place.inventory), "w1", "--", "cat", "/proc/sys/kernel/random/boot_id").stdout


def test_a_backup_is_private_encrypted_and_never_written_over(place: Place, backup: Path) -> None:
    content = backup.read_bytes()
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert content.startswith(b"age-encryption.org/v1\n")
    assert place.meshctl("backup", str(place.inventory), "--to", str(backup)).status == 5
    assert backup.read_bytes() == content
    left = place.meshctl(
        "ssh", str(place.inventory), "cp1", "--", "sudo find /var/lib/meshctl /var/lib/etcd /run -name '*restore*'"
    )
    assert left.stdout == ""


def test_the_living_control_plane_goes_back(place: Place, backup: Path) -> None:
    restored(place, backup)


def test_a_control_plane_whose_disk_is_gone_comes_back_though_the_run_is_killed_once_and_its_worker_ran_on(
    place: Place, backup: Path
) -> None:
    before = boot_id(place)
    place.virsh("destroy", "lab-cp1")
    for line in place.virsh("vol-list", "meshctl").splitlines():
        if line.strip().startswith("lab.cp1."):
            place.virsh("vol-delete", line.split()[0], "--pool", "meshctl")
    words = (str(backup), "--identity", str(backup.with_suffix(".key")))
    killed_at(place, "etcd's data and the cluster's keys: put back", *words, command="restore")
    restored(place, backup)
    assert boot_id(place) == before


def test_certificates_are_renewed_and_the_cluster_serves(place: Place, backup: Path) -> None:
    words = ("sudo", "sha256sum", "/etc/kubernetes/pki/apiserver.crt", "/etc/kubernetes/pki/ca.crt")
    before = place.meshctl("ssh", str(place.inventory), "cp1", "--", *words).checked().stdout.split()
    assert place.meshctl("renew", str(place.inventory), "--yes").status == 0
    assert place.meshctl("ssh", str(place.inventory), "cp1", "--", *words).stdout.split() == before
    assert place.meshctl("renew", str(place.inventory), "--yes", "--force").status == 0
    after = place.meshctl("ssh", str(place.inventory), "cp1", "--", *words).checked().stdout.split()
    assert after[0] != before[0]
    assert after[2] == before[2]
    assert {guest["ready"] for guest in place.status()["guests"]} == {"Ready"}
    assert place.meshctl("provision", str(place.inventory), "--yes").status == 0
