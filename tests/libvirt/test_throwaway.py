"""Throw-away clusters on a real libvirtd: several of one inventory at once, listed, and taken away when their time is over."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import netaddr
import pytest

from provision.base.events import nowhere
from provision.base.moments import epoch_s, moment
from provision.plan import Verb
from provision.run.collection import collect, plan_gc
from provision.run.engine import make_plan
from provision.run.gathering import ground as doors_to
from provision.run.gathering import hosts_of
from provision.specs import is_artifact, mark_name
from tests.ci_words import Script, github, gitlab
from tests.libvirt.killing import KILLED, points, run
from tests.libvirt.real_daemon import daemon
from tests.libvirt.throwaway import Ground, expiries, lay_ground

HOUR = 3600.0
OTHERS = {"foreign", "theirs"}
Jobs = Callable[[str], list[Script]]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("hv")
    with pytest.MonkeyPatch.context() as patch, daemon(folder / "libvirt") as uri:
        patch.setenv("MESHCTL_CACHE", str(folder / "cache"))
        patch.setenv("MESHCTL_STATE", str(folder / "state"))
        yield lay_ground(folder, uri)


def past() -> str:
    return moment(time.time() - HOUR)


def future() -> str:
    return moment(time.time() + HOUR)


def ranges(ground: Ground) -> dict[str, str]:
    with ground.door() as door:
        return {one.name: str(netaddr.IPNetwork(one.addresses[0]).cidr) for one in door.networks()}


def test_two_names_at_once_get_a_network_each_and_keep_it(ground: Ground) -> None:
    words = ("--ttl", "2h", "--yes", "--until", "volumes", "--lock-timeout", "120")
    started = [ground.start("provision", "INVENTORY", "--name", name, *words) for name in ("pr-1", "pr-2")]
    for done in [one.ended() for one in started]:
        assert done.returncode == 0, done.stderr
    found = ranges(ground)
    assert {"mesh-pr-1", "mesh-pr-2"} < set(found)
    assert len(netaddr.IPSet(found.values())) == 3 * 256, "two networks overlap"
    assert "10.77.0.0/24" not in found.values(), "the inventory's own range was given away"
    for name in ("pr-1", "pr-2"):
        with ground.world(name) as world:
            plan = make_plan(world)
            assert plan.of("networks") == ()
            assert plan.desired.networks[0].address == str(netaddr.IPNetwork(found[f"mesh-{name}"])[1])
    assert ranges(ground) == found


def test_guests_of_two_names_share_no_address_no_subnet_of_pods_and_no_hardware_address(ground: Ground) -> None:
    for name in ("pr-1", "pr-2", ""):
        ground.build(name)
    with ground.door() as door:
        ours = [domain for domain in door.domains() if domain.stamp]
        assert [domain.active for domain in ours] == [True] * 3
        assert len({domain.stamp.address for domain in ours if domain.stamp}) == 3
        assert len({domain.stamp.pod_subnet for domain in ours if domain.stamp}) == 3
        assert len({mac for domain in ours for mac in domain.macs}) == 3
        by_name = ranges(ground)
        for domain in ours:
            assert domain.stamp is not None
            network = "meshctl" if domain.stamp.cluster == "demo" else f"mesh-{domain.stamp.cluster}"
            assert domain.stamp.address in netaddr.IPNetwork(by_name[network])


def test_the_environment_says_the_name_too_and_an_empty_one_is_refused(ground: Ground) -> None:
    said = ground.meshctl("plan", "INVENTORY", MESHCTL_NAME="pr-1")
    assert said.stdout.startswith("Plan for cluster pr-1, needed until 20")
    empty = ground.meshctl("destroy", "INVENTORY", "--name", "", "--yes")
    assert (empty.returncode, "--name" in empty.stderr) == (2, True)
    wrong = ground.meshctl("status", "INVENTORY", "--name", "PR_12")
    assert (wrong.returncode, ": pr-12" in wrong.stderr) == (3, True)


def test_the_list_says_whose_how_large_and_until_when(ground: Ground) -> None:
    found = ground.listed()
    assert set(found) == {"demo", "pr-1", "pr-2"}
    one = found["pr-1"]
    assert (one["nodes"], one["vcpus"], one["memory_mib"], one["hosts"]) == (["cp1"], 2, 64, ["localhost"])
    assert one["disk_mib"] >= 0
    assert 0 <= one["age_s"] < 2 * HOUR
    assert epoch_s(one["expires"]) == pytest.approx(epoch_s(one["created"]) + 2 * HOUR, abs=HOUR)
    assert len({cluster["owner"] for cluster in found.values()}) == 3
    assert found["demo"]["expires"] is None
    table = ground.meshctl("list", "URI").stdout.splitlines()
    assert table[0].split() == ["CLUSTER", "OWNER", "HOSTS", "NODES", "VCPUS", "MEMORY", "DISK", "AGE", "EXPIRES"]
    assert re.search(r" in (\d+ min|1 h)( \d+ \w+)?$", table[2])
    assert table[1].endswith("–")


def test_a_host_that_is_away_is_said_and_the_others_are_listed(ground: Ground) -> None:
    done = ground.meshctl("list", "URI", "qemu+unix:///system?socket=/nowhere/sock")
    assert done.returncode == 6
    assert "pr-2" in done.stdout
    assert "localhost-2: no connection to qemu+unix:///system?socket=/nowhere/sock" in done.stderr


def test_a_time_to_live_is_kept_and_extended_without_touching_the_guest(ground: Ground) -> None:
    until = ground.listed()["pr-2"]["expires"]
    with ground.door() as door:
        before = {domain.name: domain.settings for domain in door.domains()}
    ground.build("pr-2")
    assert set(expiries(ground, "pr-2")) == {until}
    later = moment(epoch_s(until) + HOUR)
    with ground.world("pr-2") as world:
        plan = make_plan(world, expires=later)
        kinds = {(action.kind, action.verb) for action in plan.changes if "expiry" in action.kind}
        assert kinds == {("expiry", Verb.CHANGE), ("network expiry", Verb.CHANGE)}
    ground.build("pr-2", expires=later)
    assert set(expiries(ground, "pr-2")) == {later}
    assert ground.listed()["pr-2"]["expires"] == later
    with ground.world("pr-2") as world:
        assert not [action for action in make_plan(world).changes if "expiry" in action.kind]
    with ground.door() as door:
        assert {domain.name: domain.settings for domain in door.domains()} == before
        assert all(domain.active for domain in door.domains() if domain.stamp)


def test_gc_takes_the_expired_cluster_and_nothing_else(ground: Ground) -> None:
    assert ground.meshctl("gc", "URI", "--yes").returncode == 0
    assert set(ground.listed()) == {"demo", "pr-1", "pr-2"}
    ground.build("pr-1", expires=past())
    files = {path.name for path in ground.pool.iterdir()}
    dry = ground.meshctl("gc", "URI", "--dry-run")
    assert "cluster pr-1 of owner" in dry.stderr
    assert "expired 1 h ago" in dry.stderr
    assert "pr-2" not in dry.stderr
    assert ground.meshctl("gc", "URI").returncode == 2  # nobody to ask
    assert {path.name for path in ground.pool.iterdir()} == files
    done = ground.meshctl("gc", "URI", "--yes")
    assert done.returncode == 0, done.stderr
    assert ground.things() == OTHERS | {"meshctl", "demo-cp1", "mesh-pr-2", "pr-2-cp1"}
    gone = files - {path.name for path in ground.pool.iterdir()}
    assert gone
    assert all(name.startswith("pr-1.") for name in gone)
    assert not [path.name for path in ground.pool.iterdir() if path.name.startswith("pr-1.")]
    again = ground.meshctl("gc", "URI", "--yes")
    assert (again.returncode, "Nothing is to be taken away." in again.stderr) == (0, True)


def test_gc_leaves_what_is_used_or_young_and_takes_the_rest(ground: Ground) -> None:
    """Copies that nobody uses, one sent long ago and one just now; those that the guests live on are old too."""
    old, young = (f"meshctl.debian-12.{digit * 32}-0000000{digit}.qcow2" for digit in "12")
    used = [path for path in ground.pool.iterdir() if is_artifact(path.name)]
    for name in (old, young):
        for file in (name, mark_name(name)):
            (ground.pool / file).write_bytes(b"")
    for path in (*used, ground.pool / old):
        os.utime(path, (time.time() - 30 * 24 * HOUR,) * 2)
    done = ground.meshctl("gc", "URI", "--yes", "--keep-artifacts", "20d")
    assert done.returncode == 0, done.stderr
    left = {path.name for path in ground.pool.iterdir()}
    assert {old, mark_name(old)} & left == set()
    assert {young, mark_name(young), *(path.name for path in used)} <= left
    assert len(used) == 2


def test_a_foreign_guest_on_its_network_keeps_an_expired_cluster(ground: Ground) -> None:
    ground.build("pr-3", expires=past())
    link = "<devices><interface type='network'><source network='mesh-pr-3'/></interface></devices>"
    with ground.door() as door:
        door.define_domain(
            "<domain type='qemu'><name>guest-of-theirs</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>"
            f"<os><type arch='x86_64' machine='q35'>hvm</type></os>{link}</domain>"
        )
        said = ground.meshctl("gc", "URI", "--yes")
        assert "left: cluster pr-3, expired" in said.stderr
        assert "guest-of-theirs, which is not the cluster's, is on network mesh-pr-3" in said.stderr
        door.remove_domain("guest-of-theirs")
    assert "pr-3" in ground.listed()
    assert ground.meshctl("destroy", "INVENTORY", "--name", "pr-3", "--yes").returncode == 0
    assert "pr-3" not in ground.listed()


def test_gc_that_was_killed_is_carried_on_by_the_next(ground: Ground) -> None:
    def gc(_inventory: str) -> None:
        with doors_to(hosts_of([ground.uri])) as on:
            found, _ = plan_gc(on, 90 * 24 * HOUR, nowhere)
            collect(on, found, 90 * 24 * HOUR, nowhere)

    def remains() -> list[str]:
        files = [path.name for path in ground.pool.iterdir() if path.name.startswith("pr-4.")]
        return files + [name for name in ground.things() if "pr-4" in name]

    ground.build("pr-4", expires=past())
    status, calls = run(gc, "")
    assert (status, remains()) == (0, [])
    kinds = [call for _, call in points(calls)]
    assert {"virDomainDestroy", "virStorageVolDelete", "virDomainUndefineFlags", "virNetworkUndefine"} <= set(kinds)
    first = {call: at for at, call in reversed(list(points(calls)))}
    for call, at in first.items():
        ground.build("pr-4", expires=past())
        assert run(gc, "", at)[0] == KILLED, call
        assert run(gc, "")[0] == 0, call
        assert remains() == [], f"killed before {call}"
    assert set(ground.listed()) == {"demo", "pr-2"}


@pytest.mark.parametrize("system", [gitlab, github])
def test_the_nightly_jobs_of_the_examples_take_what_is_over(ground: Ground, tmp_path: Path, system: Jobs) -> None:
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "ci.yaml").write_text(ground.inventory.read_text())
    ground.build("pr-7", expires=past())
    said = [script.run(tmp_path) for script in system("nightly-gc")]
    assert [done.returncode for done in said] == [0] * len(said), said
    assert "pr-7" in said[0].stdout
    assert set(ground.listed()) == {"demo", "pr-2"}


@pytest.mark.parametrize("system", [gitlab, github])
def test_what_the_examples_run_always_takes_their_cluster_and_no_other(
    ground: Ground, tmp_path: Path, system: Jobs
) -> None:
    """On a runner that has never seen the cluster, by what follows from the inventory's id."""
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "ci.yaml").write_text(ground.inventory.read_text())
    ground.build("pr-7")
    *_, always = system("mesh-tests")
    for _ in range(2):  # the second finds nothing, and that is well
        done = always.run(tmp_path)
        assert done.returncode == 0, done.stderr
        assert set(ground.listed()) == {"demo", "pr-2"}
