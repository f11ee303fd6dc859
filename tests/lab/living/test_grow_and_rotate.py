"""A disk grows and the SSH key changes while the cluster lives, each killed once on its way."""

from __future__ import annotations

import pytest
import yaml

from provision.base.units import MIB, format_size, parse_size
from tests.lab.conftest import Place
from tests.lab.living.test_members import Said, converged, edited, killed_at, provision
from tests.unit.guests.sshd import make_key

pytestmark = pytest.mark.lab


def inside(place: Place, command: str) -> str:
    """What a command says on w1."""
    done = place.meshctl("ssh", str(place.inventory), "w1", "--", command)
    assert done.status == 0, done.stderr
    return done.stdout


def plan(place: Place, *words: str) -> str:
    done = place.meshctl("plan", str(place.inventory), *words)
    assert done.status == 0, done.stderr
    return done.stdout


def root_mib(place: Place) -> int:
    return int(inside(place, "df --block-size=1M --output=size /").split()[-1])


@pytest.mark.scenario("grow-disk")
def test_a_disk_grows_and_its_filesystem_with_it_though_the_run_is_killed_between(place: Place) -> None:
    """No disk becomes smaller: the inventory keeps the larger one."""
    before, boot = root_mib(place), inside(place, "cat /proc/sys/kernel/random/boot_id")
    said: Said = yaml.safe_load(place.inventory.read_text())
    larger = parse_size(said["nodes"][1]["disk"]) + 1024 * MIB
    said["nodes"][1]["disk"] = format_size(larger)
    place.inventory.write_text(yaml.safe_dump(said, sort_keys=False))
    assert f"→ {larger // MIB} MiB, grown live" in plan(place)
    provision(place, "--until", "volumes")  # as if it was killed there: the guest has the disk, and does not use it
    assert "boot: partition of disk root has" in plan(place)
    provision(place)
    assert root_mib(place) - before > 950
    assert inside(place, "cat /proc/sys/kernel/random/boot_id") == boot
    assert converged(place)


@pytest.mark.scenario("rotate-key")
def test_a_key_is_changed_and_back_though_the_run_is_killed_once(place: Place) -> None:
    old = yaml.safe_load(place.inventory.read_text())["ssh"]["key_file"]
    new = str(make_key(place.inventory.parent / "another"))
    inside(place, "echo ssh-ed25519 AAAAtheirs somebody >> ~/.ssh/authorized_keys")
    with edited(place, lambda said: said["ssh"].update(key_file=new)):
        refused = place.meshctl("plan", str(place.inventory))
        assert refused.status == 7
        assert "--old-key FILE" in refused.stderr
        assert f"w1: login: mesh by {old} → mesh by {new}" in plan(place, "--old-key", old)
        killed_at(place, f"login mesh by {new}: add", "--old-key", old)
        provision(place, "--old-key", old)
        assert converged(place)
        assert inside(place, "cut -d' ' -f1,3 ~/.ssh/authorized_keys").splitlines() == [
            "ssh-ed25519 somebody",
            "ssh-ed25519 test",
        ]
    assert place.meshctl("ssh", str(place.inventory), "w1", "--", "true").status == 255
    provision(place, "--old-key", new)
    inside(place, "sed -i /AAAAtheirs/d ~/.ssh/authorized_keys")
    assert converged(place)
