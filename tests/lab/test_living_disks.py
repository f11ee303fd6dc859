"""A cluster lives on while a disk grows and its key changes: grow-disk and rotate-key, each killed once on its way."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from provision.base.units import MIB, format_size, parse_size
from tests.lab.conftest import Place
from tests.unit.guests.sshd import make_key


def edited(place: Place, change: Any) -> None:
    """Writes the inventory anew."""
    said = yaml.safe_load(place.inventory.read_text())
    change(said)
    place.inventory.write_text(yaml.safe_dump(said, sort_keys=False))


def inside(place: Place, node: str, command: str) -> str:
    done = place.meshctl("ssh", str(place.inventory), node, "--", command)
    assert done.status == 0, done.stderr
    return done.stdout


def plan(place: Place, *words: str) -> str:
    done = place.meshctl("plan", str(place.inventory), *words)
    assert done.status == 0, done.stderr
    return done.stdout


def provision(place: Place, *words: str) -> None:
    done = place.meshctl("provision", str(place.inventory), "--yes", *words)
    assert done.status == 0, done.stderr


@pytest.fixture(scope="module")
def cluster(place: Place) -> Place:
    provision(place)
    return place


def root_mib(place: Place) -> int:
    return int(inside(place, "w1", "df --block-size=1M --output=size /").split()[-1])


def test_grow_disk(cluster: Place) -> None:
    before, boot = root_mib(cluster), inside(cluster, "w1", "cat /proc/sys/kernel/random/boot_id")

    def larger(said: dict[str, Any]) -> None:
        (w1,) = (node for node in said["nodes"] if node["name"] == "w1")
        w1["disk"] = format_size(parse_size(w1["disk"]) + 1024 * MIB)

    edited(cluster, larger)
    shown = plan(cluster)
    assert "MiB, grown live" in shown
    assert "0 to create, 1 to change" in shown
    provision(cluster, "--until", "volumes")  # as if it was killed then: the guest has the disk, and its filesystem not
    assert "boot: partition of disk root has" in plan(cluster)
    provision(cluster)
    assert root_mib(cluster) - before > 950
    assert inside(cluster, "w1", "cat /proc/sys/kernel/random/boot_id") == boot
    assert "No changes" in plan(cluster)
    cluster.virsh("reboot", "lab-w1", "--mode", "acpi")
    provision(cluster)
    assert root_mib(cluster) - before > 950


def test_rotate_key(cluster: Place) -> None:
    old = yaml.safe_load(cluster.inventory.read_text())["ssh"]["key_file"]
    new = str(make_key(cluster.inventory.parent / "new"))
    inside(cluster, "w1", "echo ssh-ed25519 AAAAtheirs somebody >> ~/.ssh/authorized_keys")
    edited(cluster, lambda said: said["ssh"].update(key_file=new))
    refused = cluster.meshctl("plan", str(cluster.inventory))
    assert refused.status == 7
    assert "--old-key FILE" in refused.stderr
    shown = plan(cluster, "--old-key", old)
    assert f"w1: login: mesh by {old} → mesh by {new}" in shown
    provision(cluster, "--old-key", old)
    assert "No changes" in plan(cluster)
    assert "No changes" in plan(cluster, "--old-key", old)
    keys = inside(cluster, "w1", "cat ~/.ssh/authorized_keys")
    assert "somebody" in keys
    assert keys.count("ssh-ed25519") == 2
    edited(cluster, lambda said: said["ssh"].update(key_file=old))
    assert cluster.meshctl("ssh", str(cluster.inventory), "w1", "--", "true").status == 255
    provision(cluster, "--old-key", new)
    assert inside(cluster, "w1", "cat ~/.ssh/authorized_keys").count("ssh-ed25519") == 2
